"""Whether the instrument is sound: forward, mask, slopes, names and order, which all other claims presuppose."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import (
    Among,
    Copies,
    Cosine,
    Delta,
    EveryRole,
    ForwardParity,
    IfThere,
    Jacobian,
    LargestSlope,
    Listed,
    NameMismatches,
    Pair,
    PermutationError,
    PertEmbedding,
    Replay,
    SlopeError,
    Split,
    Targeted,
    TargetedSlopeError,
)
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, Below, Exactly

FEWSHOT = "fewshot/hepg2"
FAMILY = ("fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2")
BOTH = ("fewshot/hepg2", "zeroshot/hepg2")
PANELS = ("panel_secretory", "panel_ribosome")
LISTED, FEW = Listed(FEWSHOT, "routing"), Listed(FEWSHOT, "few")
JACOBIANS = Cosine(Among(Jacobian(FEWSHOT), FEW))
FIGURES = Figures.beside(__file__)

CLAIMS = [
    Claim(
        id="instrument-forward-matches-predict-step",
        finding="The forward pass that is differentiated gives the prediction that the model itself gives.",
        statistic="largest |Y - Y_predict_step| relative to max|Y_predict_step|, 20 knockdowns, all genes and cells",
        evidence={"deviation": EveryRole(ForwardParity(FEWSHOT), (*FAMILY, "seed-replicate"))},
        measure="jacprobe.stats.instrument.largest_deviation",
        criterion=Exactly(0, 1e-5),
        unit="knockdowns",
        flags=("the published forward left out the residual before the output layer and would not pass",),
    ),
    Claim(
        id="instrument-control-cells-exchangeable",
        finding="Permuting the control cells permutes the predictions and changes nothing else.",
        statistic="largest |P Y(X) - Y(P X)| relative to max|Y|, over 10 random permutations and 5 knockdowns",
        evidence={"deviation": EveryRole(PermutationError(FEWSHOT), FAMILY)},
        measure="jacprobe.stats.instrument.largest_deviation",
        criterion=Exactly(0, 1e-5),
        unit="permuted predictions",
        flags=("checkpoints of 2025 lack the flag for the mask; read as causal, predictions move by 24 %",),
    ),
    Claim(
        id="instrument-causal-mask-is-caught",
        finding="The same weights run with a causal mask are recognised as another model.",
        statistic="largest |P Y(X) - Y(P X)| relative to max|Y| of a causal build of the same weights",
        evidence={"deviation": PermutationError(FEWSHOT, mask="causal")},
        measure="jacprobe.stats.instrument.largest_deviation",
        criterion=Above(1e-2),
        unit="permuted predictions",
        flags=("positive control of instrument-control-cells-exchangeable",),
    ),
    Claim(
        id="instrument-jacobians-match-finite-differences",
        finding="The Jacobians are the slopes of the prediction, along the perturbation and along a control-cell gene.",
        statistic=(
            "largest relative error of dY/dpert (the engine that claims use, 5 knockdowns x 10 directions) and of "
            "dY[target]/dX[regulator] (both panels, 5 knockdowns) against float64 central differences; outputs within "
            "1e-5 of the ReLU's kink left out and counted"
        ),
        evidence={
            "deviation": EveryRole(SlopeError(FEWSHOT), FAMILY),
            "secretory": EveryRole(TargetedSlopeError(FEWSHOT, "panel_secretory"), FAMILY),
            "ribosome": EveryRole(TargetedSlopeError(FEWSHOT, "panel_ribosome"), FAMILY),
        },
        measure="jacprobe.stats.instrument.largest_deviation",
        criterion=Exactly(0, 1e-6),
        unit="derivatives",
    ),
    Claim(
        id="instrument-gene-and-knockdown-names",
        finding="Genes and knockdowns are matched by name, and their numbers are those of the model.",
        statistic="names and counts on which data, run folder, model widths and study disagree",
        evidence={"mismatches": EveryRole(NameMismatches(FEWSHOT), FAMILY)},
        measure="jacprobe.stats.instrument.total_mismatches",
        criterion=Exactly(0),
        unit="checks",
        published=FIGURES(
            "GEN-001", "GEN-002", "GEN-003", "GEN-013", "GEN-014", "NB01-092", "NB02-001", "NB05-002", "NB05-136"
        ),
        flags=(
            "the 2,024 perturbations are 2,023 knockdowns and non-targeting: ranks of 2,024 count the control",
            "the 2000 x 2000 Jacobian is that of the analysis before these notebooks",
        ),
    ),
    Claim(
        id="instrument-same-seed-same-numbers",
        finding="The same seed gives the same numbers bit for bit, whatever the order and the batches.",
        statistic="evidence arrays and estimates that differ when made once more from nothing, in reverse order",
        evidence={
            "first": PertEmbedding(FEWSHOT),
            "again": Replay(PertEmbedding(FEWSHOT)),
            "delta": Delta(FEWSHOT),
            "delta_again": Replay(Delta(FEWSHOT)),
            "jacobians": JACOBIANS,
            "jacobians_again": Replay(JACOBIANS),
        },
        measure="jacprobe.stats.instrument.differing_entries",
        criterion=Exactly(0),
        unit="evidence entries and estimates",
    ),
    Claim(
        id="instrument-own-gene-falls",
        finding="Knocking a gene down lowers the predicted expression of that gene.",
        statistic="dY of the knocked-down gene minus its mean dY under all other knockdowns, mean over knockdowns",
        evidence={
            "delta": EveryRole(Delta(FEWSHOT), FAMILY),
            "split": EveryRole(Split(FEWSHOT), FAMILY),
            "untrained": IfThere(Copies(Among(Delta(FEWSHOT), FEW), "untrained", 20)),
        },
        measure="jacprobe.stats.instrument.own_genes_fall",
        criterion=Below(0, sesoi=0.05),
        unit="knockdowns whose own gene is an output",
    ),
    Claim(
        id="instrument-dead-outputs-are-few",
        finding="Outputs whose gradient is exactly zero in every cell are rare and named.",
        statistic="share of outputs whose J is 0 for every knockdown, of both panels' targets or of all genes",
        evidence={
            "panels": IfThere(Pair(*(Targeted(FEWSHOT, panel=panel) for panel in PANELS))),
            "mean_cell": IfThere(Pair(*(Targeted(FEWSHOT, panel=panel, cells="mean") for panel in PANELS))),
            "slopes": IfThere(LargestSlope(Among(Jacobian(FEWSHOT), LISTED))),
        },
        measure="jacprobe.stats.instrument.dead_outputs",
        criterion=Below(0.05),
        unit="outputs",
        flags=(
            "published: J of MFGE8, 1 of 10 panel targets, is exactly 0 in all 28 triples",
            "so that 16 of 20 secretory pairs tell anything, and a fifth of that test's sample are ties",
        ),
    ),
    Claim(
        id="instrument-published-forward-changes-routing",
        finding="Leaving out the residual as the published code did changes the routing coherence.",
        statistic="|r of the published forward - r of the model's|, Pearson's coherence, in the less moved model",
        evidence={
            "jacobians": EveryRole(Cosine(Among(Jacobian(FEWSHOT), LISTED)), BOTH),
            "others": EveryRole(Cosine(Among(Jacobian(FEWSHOT, residual="published"), LISTED)), BOTH),
            "responses": EveryRole(Cosine(Among(Delta(FEWSHOT), LISTED)), BOTH),
        },
        measure="jacprobe.stats.routing.coherence_moved",
        criterion=Above(0.02),
        unit="knockdowns",
        flags=("every published Jacobian (NB05 to NB10) is of the function without the residual",),
    ),
]


@claims(CLAIMS)
def test_instrument(claim, study, rng):
    """Judge the instrument claims."""
    return claim.measure(**study.evidence(claim), rng=rng)
