"""Whether the instrument is sound: forward, mask, slopes, names and order, which all other claims presuppose."""

from __future__ import annotations

from jacprobe.instrument_requests import (
    ForwardParity,
    NameMismatches,
    PermutationError,
    SlopeError,
)
from jacprobe.plugin import claims
from jacprobe.requests import (
    Delta,
    EveryRole,
    PertEmbedding,
    Replay,
)
from jacprobe.verdicts.claim import Claim, Published
from jacprobe.verdicts.criteria import Above, Below, Exactly

FEWSHOT = "fewshot/hepg2"
FAMILY = ("fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2")

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
        finding="The Jacobians are the slopes of the prediction along the perturbation.",
        statistic=(
            "largest relative error of Jacobian-vector products dY/dpert against float64 central differences, "
            "5 knockdowns x 10 directions; outputs within 1e-5 of the ReLU's kink left out and counted"
        ),
        evidence={"deviation": EveryRole(SlopeError(FEWSHOT), FAMILY)},
        measure="jacprobe.stats.instrument.largest_deviation",
        criterion=Exactly(0, 1e-6),
        unit="directional derivatives",
    ),
    Claim(
        id="instrument-gene-and-knockdown-names",
        finding="Genes and knockdowns are matched by name, and their numbers are those of the model.",
        statistic="names and counts on which data, run folder, model widths and study disagree",
        evidence={"mismatches": EveryRole(NameMismatches(FEWSHOT), FAMILY)},
        measure="jacprobe.stats.instrument.total_mismatches",
        criterion=Exactly(0),
        unit="checks",
        published=(
            Published("2024->328", "NB02, first sentence", "NB02-001"),
            Published(2023, "NB05, part 1", "NB05-002"),
            Published("[2000, 328] x 225", "NB05, part 2", "NB05-136"),
        ),
        flags=("the 2,024 perturbations are 2,023 knockdowns and non-targeting: ranks of 2,024 count the control",),
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
        },
        measure="jacprobe.stats.instrument.differing_entries",
        criterion=Exactly(0),
        unit="evidence entries and estimates",
    ),
    Claim(
        id="instrument-own-gene-falls",
        finding="Knocking a gene down lowers the predicted expression of that gene.",
        statistic="dY of the knocked-down gene minus its mean dY under all other knockdowns, mean over knockdowns",
        evidence={"delta": EveryRole(Delta(FEWSHOT), FAMILY)},
        measure="jacprobe.stats.own_gene_contrast",
        options={"alternative": "less"},
        criterion=Below(0, sesoi=0.05),
        unit="knockdowns whose own gene is an output",
    ),
]


@claims(CLAIMS)
def test_instrument(claim, study, rng):
    """Judge the instrument claims."""
    return claim.measure(**study.evidence(claim), rng=rng)
