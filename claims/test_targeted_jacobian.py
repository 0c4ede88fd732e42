"""NB03, the input Jacobian dY/dX: do knockdowns of a pathway make its targets more sensitive to its regulators."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import (
    Among,
    Clusters,
    Copies,
    Delta,
    Draws,
    GeneSets,
    IfThere,
    InputAgreement,
    InputCosine,
    InputJacobian,
    Listed,
    Named,
    Pair,
    Panel,
    Targeted,
    TargetedPair,
)
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, AllOf, Below, Equivalent, NotElevated, Reproduces

FIGURES = Figures.beside(__file__)
FEWSHOT, JURKAT, REPLICATE = "fewshot/hepg2", "fewshot/jurkat", "seed-replicate"
FEW = Listed(FEWSHOT, "few")
CONTROLS = ("MYC", "BRCA1", "CHEK1")
SECRETORY = ("TRAPPC3", "TRAPPC5", "SRP54", "HSPA5")
PANELS = {"panel_secretory": SECRETORY, "panel_ribosome": ("RPL10", "RPS6", "RPL12", "RPS8")}
STATES = IfThere(Clusters(Delta(FEWSHOT)))
PAIR = TargetedPair(FEWSHOT, regulator="HSPA5", target="ARFGEF2")
PAIR_AGAIN = IfThere(PAIR.at(REPLICATE))
NONTARGETING = IfThere(Among(PAIR, Named(("non-targeting",))))
PATHWAYS = ("mitoribosome", "oxphos", "cytoplasmic_ribosome", "er_secretory", "proteasome", "rna_processing")
BASAL = {"first": ("TRAPPC3", "SRP54"), "second": ("MYC", "MAX", "PAXBP1")}

GENES = (
    "the genes planned as regulators and as controls (TRAPPC3/5, SRP54; MYC, MAX, PAXBP1) are not among the 2,000 "
    "variable genes; HSPA5, ATF4, XBP1, SEC24A and MYC, BRCA1, CHEK1 took their place"
)
TRIPLES = "published p: Mann-Whitney over 140 triples of 7 knockdowns, as if each were a knockdown of its own"
OF_2024 = "the published ranks are of 2,024 and count non-targeting; there are 2,023 knockdowns"


def _panel(name: str, cells: str = "each", others: int = 20) -> Targeted:
    return Targeted(FEWSHOT, panel=name, cells="each" if cells == "each" else "mean", others=others)


def _controls(name: str) -> dict[str, IfThere]:
    """Return what is shown beside a panel: another training of the line, and copies with re-drawn weights."""
    own = Named((*PANELS[name], *CONTROLS))
    again = Named(own.names, FEW)
    return {
        "replicate": IfThere(Among(Targeted(REPLICATE, panel=name), again)),
        "untrained": IfThere(Copies(Among(_panel(name, others=0), own), "untrained", 5)),
    }


def _inputs(role: str) -> Among:
    """Return dY/dX at the knockdowns that are named and at sixty others."""
    return Among(InputJacobian(role), Named((*BASAL["first"], *BASAL["second"]), FEW))


def _between(one: str, other: str) -> InputAgreement:
    return InputAgreement(_inputs(one), _inputs(other))


def _not_elevated(pathway: str, name: str, finding: str, *figures: str, flags: tuple[str, ...]) -> Claim:
    """Return the row for one panel: its pathway's knockdowns against all others."""
    return Claim(
        id=f"nb03-{pathway}-panel-not-elevated",
        finding=finding,
        statistic=(
            "mean |J| over the panel's pairs whose target responds: pathway knockdowns minus all others, over the mean "
            "of all; the interval allows for response clusters that differ at random"
        ),
        evidence={"J": _panel(name), "panel": Panel(name), "clusters": STATES, **_controls(name)},
        measure="jacprobe.stats.panels.panel_sensitivity",
        criterion=NotElevated(0.25),
        unit="knockdowns of the pathway",
        family="nb03/panels",
        published=FIGURES(*figures),
        flags=flags,
    )


CLAIMS = [
    _not_elevated(
        "secretory",
        "panel_secretory",
        "Secretory knockdowns do not raise the sensitivity of secretory targets to secretory regulators.",
        *(f"NB03-{i:03d}" for i in range(1, 13)),
        flags=(
            TRIPLES,
            "4 against 3 knockdowns: exact relabelling of them gives p .23 two-sided; untestable rather than null",
            "J on MFGE8 is exactly 0 in all 28 triples: 16 of 20 pairs say something, a fifth of the sample are ties",
            GENES,
        ),
    ),
    _not_elevated(
        "ribosome",
        "panel_ribosome",
        "Ribosomal knockdowns do not raise the sensitivity of ribosomal targets to ribosomal regulators.",
        *(f"NB03-{i:03d}" for i in range(13, 25)),
        flags=(TRIPLES, "4 against 3 knockdowns have 35 labellings: no p below .057 after Holm over two panels"),
    ),
    Claim(
        id="nb03-secretory-panel-reversed",
        finding="Control knockdowns sensitise secretory targets more than secretory knockdowns do.",
        statistic="mean signed J of the control knockdowns minus that of the pathway's, over the mean |J| of all",
        evidence={
            "J": _panel("panel_secretory"),
            "panel": Panel("panel_secretory"),
            "clusters": STATES,
            **_controls("panel_secretory"),
        },
        measure="jacprobe.stats.panels.panel_sensitivity",
        options={"group": "control_kds", "against": "pathway_kds", "absolute": False},
        criterion=Above(0, sesoi=0.25),
        unit="control knockdowns",
        published=FIGURES("NB03-002"),
        flags=(
            '"0.53x (reversed)" is a ratio of signed means; of mean |J| it is 0.91; a ratio below 1 is no reversal',
            "exact relabelling of the 7 knockdowns: p .23 two-sided, .029 at best",
        ),
    ),
    Claim(
        id="nb03-control-knockdowns-are-neutral",
        finding="MYC, BRCA1 and CHEK1 are neutral controls for the secretory panel.",
        statistic="mean |J| of HSPA5 on ARFGEF2: the three controls minus all other knockdowns, over the mean of all",
        evidence={
            "J": PAIR,
            "panel": Panel("panel_secretory"),
            "clusters": STATES,
            "replicate": PAIR_AGAIN,
        },
        measure="jacprobe.stats.panels.controls_are_neutral",
        criterion=Equivalent(0.25),
        unit="control knockdowns",
        published=FIGURES("NB03-045", "NB03-048"),
        published_effect=0.76,
        flags=("the published controls lie 76 % above the mean of all knockdowns (p .004): not neutral", GENES),
    ),
    Claim(
        id="nb03-chek1-rank-reproduces",
        finding="CHEK1 ranks 15 of 2,024 for HSPA5 on ARFGEF2.",
        statistic="rank of J of HSPA5 on ARFGEF2 under CHEK1, 1 the largest, over the number of knockdowns",
        evidence={"draws": Draws(PAIR, 5), "control": NONTARGETING},
        measure="jacprobe.stats.panels.rank_reproduces",
        options={"kd": "CHEK1", "published": "0.0074"},
        criterion=Reproduces(0.0074, tolerance=0.02),
        unit="control-cell draws",
        published=FIGURES("NB03-025", "NB03-040", "NB03-041"),
        published_effect=0.0074,
        flags=(OF_2024,),
    ),
    Claim(
        id="nb03-chek1-in-top-percent",
        finding="CHEK1, a DNA-damage gene, is in the top percent for the secretory pair HSPA5 on ARFGEF2.",
        statistic="rank of J under CHEK1 over the number of knockdowns, over control-cell draws",
        evidence={"draws": Draws(PAIR, 5), "control": NONTARGETING, "replicate": PAIR_AGAIN},
        measure="jacprobe.stats.panels.rank_over_draws",
        options={"kd": "CHEK1", "looked_at": 7},
        criterion=Below(0.01),
        unit="knockdowns",
        published=FIGURES("NB03-025"),
        published_effect=0.0074,
        flags=("named after looking at 7 knockdowns: .0074 times 7 is p .052", OF_2024),
    ),
    Claim(
        id="nb03-srp54-in-bottom-tenth",
        finding="SRP54, a secretory gene, is in the bottom tenth for the secretory pair HSPA5 on ARFGEF2.",
        statistic="rank of J under SRP54 over the number of knockdowns, over control-cell draws",
        evidence={"draws": Draws(PAIR, 5), "control": NONTARGETING, "replicate": PAIR_AGAIN},
        measure="jacprobe.stats.panels.rank_over_draws",
        options={"kd": "SRP54", "looked_at": 7, "alternative": "greater"},
        criterion=Above(0.90),
        unit="knockdowns",
        published=FIGURES("NB03-026", "NB03-032", "NB03-033"),
        published_effect=0.933,
        flags=("bottom 7 % by rank, but only 1.5 robust sd below the median; named after looking at 7", OF_2024),
    ),
    Claim(
        id="nb03-dna-damage-outranks-secretory",
        finding="CHEK1 stands above every secretory knockdown of the panel.",
        statistic="least chance over control-cell draws that J under CHEK1 exceeds that under one of the four",
        evidence={"draws": Draws(Among(PAIR, Named(("CHEK1", *SECRETORY))), 20)},
        measure="jacprobe.stats.panels.outranks_over_draws",
        options={"kd": "CHEK1", "others": SECRETORY},
        criterion=Above(0.95),
        unit="control-cell draws",
        published=FIGURES("NB03-027", "NB03-028", "NB03-029", "NB03-030", "NB03-031", "NB03-034", "NB03-035"),
        flags=("one draw was published: the order holds on it, and nothing says how often it would",),
    ),
    Claim(
        id="nb03-estimators-agree",
        finding="The mean-cell Jacobian and the average over true cells order the knockdowns alike.",
        statistic="Spearman r over knockdowns of the two estimators, mean over the pairs of both panels",
        evidence={
            "each": Pair(*(_panel(name) for name in PANELS)),
            "mean": Pair(*(_panel(name, "mean", others=0) for name in PANELS)),
        },
        measure="jacprobe.stats.input_jacobians.estimators_agree",
        criterion=Above(0.8),
        unit="knockdowns",
        flags=("the published panel is of the mean cell, repeated: an entry of it is whole or exactly 0",),
    ),
    Claim(
        id="nb03-basal-divergence-er-like-transcription",
        finding=(
            "Knocking down TRAPPC3 or SRP54 makes the two lines' input Jacobians no more different than knocking down "
            "MYC, MAX or PAXBP1 does."
        ),
        statistic="1 - cosine of dY/dX between the models: mean of the two minus that of the three, in sd over all",
        evidence={"agreement": _between(FEWSHOT, JURKAT), "replicate": IfThere(_between(FEWSHOT, REPLICATE))},
        measure="jacprobe.stats.input_jacobians.divergence_contrast",
        options=BASAL,
        criterion=Equivalent(0.5),
        unit="knockdowns",
        published=FIGURES("GEN-004", "GEN-003"),
        flags=(
            "published as a fold of about 3.3 and without a test",
            "two knockdowns against three say little of secretion or transcription at large",
        ),
    ),
    Claim(
        id="nb03-basal-jacobians-differ-by-model-not-knockdown",
        finding="The input Jacobians of two models differ for every knockdown alike, not by pathway.",
        statistic="mean cosine of dY/dX between knockdowns of one model minus that of one knockdown between the models",
        evidence={
            "within": Pair(*(InputCosine(_inputs(role)) for role in (FEWSHOT, JURKAT))),
            "across": _between(FEWSHOT, JURKAT),
            "sets": GeneSets(PATHWAYS, empty=True),
            "replicate": IfThere(_between(FEWSHOT, REPLICATE)),
        },
        measure="jacprobe.stats.input_jacobians.models_differ",
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns",
        published=FIGURES("GEN-003"),
        flags=("two trainings of one line tell fine-tuning from initialisation: the seed replicate is shown beside",),
    ),
    Claim(
        id="nb03-input-jacobian-not-pathway-specific",
        finding="The input Jacobian is not pathway-specific under any knockdown tried.",
        statistic="neither panel is more sensitive under its pathway's knockdowns",
        evidence={},
        criterion=AllOf(("nb03-secretory-panel-not-elevated", "nb03-ribosome-panel-not-elevated")),
        published=FIGURES("NB03-012", "NB03-024"),
        flags=('"regardless of KD conditioning" generalises from 7 knockdowns',),
    ),
]


@claims(CLAIMS)
def test_targeted_jacobian(claim, study, rng):
    """Judge NB03 claims."""
    return claim.measure(**study.evidence(claim), rng=rng)
