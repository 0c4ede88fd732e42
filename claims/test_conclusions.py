"""The overall conclusions: what they add to the notebooks, and composites over the claims that they stand on."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import (
    Among,
    Copies,
    Correlation,
    Cosine,
    Delta,
    EveryRole,
    Features,
    GeneSet,
    GeneSets,
    IfThere,
    Jacobian,
    Listed,
    Norm,
    Observed,
    Pair,
    Split,
)
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, AllOf, NotElevated

FEWSHOT, ZEROSHOT, JURKAT, REPLICATE = "fewshot/hepg2", "zeroshot/hepg2", "fewshot/jurkat", "seed-replicate"
# Two trainings of one model where the study has them: what another seed changes is no fine-tuning.
TRAININGS = (FEWSHOT, REPLICATE)
FIGURES = Figures.beside(__file__)
LISTED = Listed(FEWSHOT, "routing")
LOG_TENTH = 0.0953  # log 1.1
HEPG2, OTHER_LINE = Correlation(Delta(FEWSHOT), Observed("hepg2")), Correlation(Delta(JURKAT), Observed("jurkat"))
UNSEEN = Correlation(Delta(ZEROSHOT), Observed("hepg2"))
UNTESTED = "asserted without an analysis or a number"
NO_SPLIT = "the split into trained and held-out knockdowns was never used in the publication"
MARGINAL = '"marginal" is no verdict: read as INCONCLUSIVE'


def _jacobians(role: str) -> Cosine:
    return Cosine(Among(Jacobian(role), LISTED))


def _spaces(role: str) -> Pair:
    """Return similarities and norms of the responses and of the layer's activations."""
    return Pair(*(Pair(Cosine(rows), Norm(rows)) for rows in (Delta(role), Features(role, space="layer"))))


def _shifted(of: Correlation) -> Copies:
    return Copies(of, "mean-shift", 1)


def _linear(of: Correlation) -> Copies:
    return Copies(of, "linear-surrogate", 1)


def _larger(name: str, sets: GeneSets, who: str, figure: str) -> Claim:
    """Return the row for one program: fine-tuning enlarges its responses more than others."""
    return Claim(
        id=f"conclusion-fine-tuning-sharpens-{name}-magnitude",
        finding=f"Fine-tuning makes the responses to {who} knockdowns larger.",
        statistic=(
            "mean over members of log(|dY| fewshot / |dY| zeroshot) minus that of all other knockdowns, over trainings"
        ),
        evidence={
            "fewshot": EveryRole(Norm(Delta(FEWSHOT)), TRAININGS),
            "zeroshot": Norm(Delta(ZEROSHOT)),
            "sets": sets,
        },
        measure="jacprobe.stats.fine_tuning.sharpened",
        criterion=Above(0, sesoi=LOG_TENTH),
        unit="knockdowns of the set, or trainings",
        family="conclusion/magnitude",
        published=FIGURES(figure),
        flags=(UNTESTED,),
    )


def _memorised(name: str, members: GeneSet, finding: str, figure: str, *flags: str) -> Claim:
    """Return the row for one program: its responses are right where the knockdown was trained only."""
    return Claim(
        id=f"conclusion-{name}-programs-memorised",
        finding=finding,
        statistic=(
            "r of predicted with measured responses, trained minus held-out members, minus the same of all others"
        ),
        evidence={"r": HEPG2, "split": Split(FEWSHOT), "members": members, "zeroshot": IfThere(UNSEEN)},
        measure="jacprobe.stats.accuracy.memorised",
        criterion=Above(0, sesoi=0.10),
        unit="trained or held-out members, the fewer",
        family="conclusion/memorised",
        published=FIGURES(figure),
        flags=(NO_SPLIT, *flags),
    )


def _together(
    name: str, finding: str, statistic: str, parts: tuple[str, ...], figures: tuple[str, ...] = (), *flags: str
) -> Claim:
    """Return a composite over other rows."""
    return Claim(
        id=f"conclusion-{name}",
        finding=finding,
        statistic=statistic,
        evidence={},
        criterion=AllOf(parts),
        published=FIGURES(*figures),
        flags=flags,
    )


CLAIMS = [
    _larger("mitochondrial", GeneSets(("mitoribosome", "oxphos")), "mitochondrial", "CONC-002"),
    _larger("rna-processing", GeneSets(("rna_processing",), "clean"), "RNA-processing", "CONC-004"),
    Claim(
        id="conclusion-fine-tuning-sharpens-ribosome-specificity",
        finding="Fine-tuning makes ribosomal knockdowns stand out more from the rest.",
        statistic=(
            "excess cosine of the members, fewshot minus zeroshot, lesser of dY and layer activations, over trainings"
        ),
        evidence={
            "fewshot": EveryRole(_spaces(FEWSHOT), TRAININGS),
            "zeroshot": _spaces(ZEROSHOT),
            "members": GeneSet("cytoplasmic_ribosome"),
        },
        measure="jacprobe.stats.fine_tuning.more_distinct",
        options={"spaces": ("responses", "layer")},
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns of the set, or trainings",
        published=FIGURES("CONC-006"),
        flags=(UNTESTED,),
    ),
    _memorised(
        "er",
        GeneSet("er_secretory"),
        "ER / secretory responses are right only for the knockdowns seen in HepG2: memorised, not generalised.",
        "CONC-008",
    ),
    _memorised(
        "hepatocyte",
        GeneSet("hepatocyte", "clean"),
        "Hepatocyte responses are right only for the knockdowns seen in HepG2.",
        "CONC-010",
        "concluded from two genes, FOXO1 and FDPS: judged on the family",
    ),
    Claim(
        id="conclusion-er-routing-inconsistent-across-lines",
        finding="ER / secretory knockdowns are routed differently in the two lines.",
        statistic=(
            "correlation between a knockdown's rows of cosines of dY/dpert in the two models, mean over members minus "
            "that over all others"
        ),
        evidence={
            "a": _jacobians(FEWSHOT),
            "b": _jacobians(JURKAT),
            "members": GeneSet("er_secretory"),
            "replicate": IfThere(_jacobians(REPLICATE)),
        },
        measure="jacprobe.stats.fine_tuning.alike_across_lines",
        criterion=NotElevated(0.10),
        unit="knockdowns of the set",
        flags=("of the ER genes only TRAPPC6B was among the 200 that NB04 silenced",),
    ),
    Claim(
        id="conclusion-predicts-held-out-responses",
        finding="The model predicts the responses to held-out knockdowns better than the mean response does.",
        statistic=(
            "mean over held-out knockdowns of r of predicted with measured responses minus that of a mean response: "
            "the measured one of trained knockdowns, or the mean-shift surrogate; the least of both in two models"
        ),
        evidence={
            "r": Pair(HEPG2, OTHER_LINE),
            "split": Pair(Split(FEWSHOT), Split(JURKAT)),
            "observed": Pair(Observed("hepg2"), Observed("jurkat")),
            "mean_shift": Pair(_shifted(HEPG2), _shifted(OTHER_LINE)),
            "linear": IfThere(Pair(_linear(HEPG2), _linear(OTHER_LINE))),
        },
        measure="jacprobe.stats.accuracy.better_than_mean",
        options={"models": (FEWSHOT, JURKAT)},
        criterion=Above(0, sesoi=0.05),
        unit="held-out knockdowns",
        flags=('no accuracy is reported anywhere: "high-quality predictor" stands alone',),
    ),
    Claim(
        id="conclusion-fine-tuning-encodes-real-hepg2-biology",
        finding="Fine-tuning on HepG2 brings the predictions closer to what HepG2 cells do.",
        statistic=(
            "mean over held-out knockdowns of r of predicted with measured responses, fewshot minus zeroshot, over "
            "trainings"
        ),
        evidence={
            "fewshot": EveryRole(HEPG2, TRAININGS),
            "zeroshot": UNSEEN,
            "split": EveryRole(Split(FEWSHOT), (*TRAININGS, ZEROSHOT)),
        },
        measure="jacprobe.stats.accuracy.closer_with_data",
        criterion=Above(0, sesoi=0.05),
        unit="held-out knockdowns, or trainings",
        flags=(NO_SPLIT, UNTESTED),
    ),
    _together(
        "mitochondrial-programs-are-backbone",
        "Mitochondrial programs are in the backbone, and fine-tuning sharpens them.",
        "coherent in both lines and in zeroshot, learned, and enlarged by fine-tuning",
        (
            "nb01-mitochondrial-programs-backbone-level",
            "nb06-mitoribosome-coherent-in-zeroshot",
            "nb06-oxphos-coherent-in-zeroshot",
            "nb01-coherence-needs-training",
            "conclusion-fine-tuning-sharpens-mitochondrial-magnitude",
        ),
        ("CONC-001", "CONC-002"),
    ),
    _together(
        "rna-processing-is-backbone",
        "RNA processing generalises at the backbone level, and fine-tuning sharpens it.",
        "predicted alike in both models, coherent in zeroshot, and enlarged by fine-tuning",
        (
            "nb06-rna-processing-transfers",
            "nb06-mitochondrial-rna-transfers",
            "nb06-rna-processing-coherent-in-zeroshot",
            "conclusion-fine-tuning-sharpens-rna-processing-magnitude",
        ),
        ("CONC-003", "CONC-004"),
    ),
    _together(
        "cytoplasmic-ribosome-partly-backbone",
        "The cytoplasmic ribosome is marginally in the backbone, and fine-tuning sharpens its specificity.",
        "coherent in zeroshot, and more distinct in fewshot",
        (
            "nb06-cytoplasmic-ribosome-coherent-in-zeroshot",
            "conclusion-fine-tuning-sharpens-ribosome-specificity",
        ),
        ("CONC-005", "CONC-006"),
        MARGINAL,
    ),
    _together(
        "er-programs-are-fine-tuned",
        "ER / secretory programs are absent from the backbone and memorised from HepG2.",
        "not coherent in zeroshot, their cluster absent from it, and right only where trained",
        (
            "nb06-er-secretory-not-coherent-in-zeroshot",
            "nb06-er-cluster-absent-from-zeroshot",
            "conclusion-er-programs-memorised",
        ),
        ("CONC-007", "CONC-008"),
        "by membership it is the reverse: 7 of 17 share a zeroshot cluster (p 1.3e-4), none stands out in fewshot",
    ),
    _together(
        "hepatocyte-programs-are-fine-tuned",
        "Hepatocyte programs are anti-correlated in the backbone and memorised from HepG2.",
        "FOXO1 and FDPS of opposite sign in zeroshot, the family least conserved, and right only where trained",
        (
            "nb06-foxo1-fdps-anticorrelated",
            "nb06-hepatocyte-knockdowns-transfer-least",
            "conclusion-hepatocyte-programs-memorised",
        ),
        ("CONC-009", "CONC-010"),
        "read off two genes that are 2nd and 7th lowest of 2,023",
    ),
    _together(
        "representations-are-coherent",
        "The model has learned coherent representations of perturbations, in both fewshot and zeroshot.",
        "pathways coherent and learned, in every model, and the named neighbourhoods",
        (
            "nb02-encodes-pathway-identity",
            "nb02-coherent-in-every-model",
            "nb02-trappc3-nearest-is-trappc5",
            "nb02-ribosomal-genes-form-an-island",
            "nb02-myc-nearest-is-max",
            "nb02-neighbourhoods-hold-in-zeroshot",
        ),
        ("NB02-125",),
        "the zeroshot embedding was never examined, and Jurkat's only for the cosine of each knockdown across models",
        "4 of the 5 sets that were tested are among the findings",
    ),
    _together(
        "no-consistent-causal-routing",
        "The representations are not turned into consistent causal routing.",
        "panels null, knockouts line-specific and below r = 0.4, routing below r = 0.4, and no rank signal in zeroshot",
        (
            "nb03-input-jacobian-not-pathway-specific",
            "nb04-knockout-agreement-below-circuit-threshold",
            "nb04-no-backbone-routing",
            "nb05-routing-coherence-below-circuit-threshold",
            "nb06-rank-signal-collapses",
        ),
        ("CONC-011", "CONC-012", "CONC-013"),
        "without another training of a line this cannot be evaluated",
    ),
    _together(
        "representational-not-mechanistic",
        "The organisation by pathway is representational, not mechanistic.",
        "coherent representations, and no consistent routing",
        ("conclusion-representations-are-coherent", "conclusion-no-consistent-causal-routing"),
    ),
    _together(
        "routing-is-weak-backbone-compression",
        "The weak routing coherence is a backbone property and no more than statistical compression.",
        "in the backbone and learned, below r = 0.4, and as strong in a linear surrogate",
        (
            "nb06-routing-coherence-is-backbone",
            "nb05-routing-coherence-below-circuit-threshold",
            "nb05-routing-explained-by-linear-surrogate",
        ),
        ("CONC-012",),
    ),
    _together(
        "cell-type-programs-are-memorised",
        "Cell-type programs (ER / secretory, hepatocyte) are fine-tune memorisation without backbone generalisation or "
        "cross-line routing.",
        "both programs fine-tuned, and ER routing unlike across lines",
        (
            "conclusion-er-programs-are-fine-tuned",
            "conclusion-hepatocyte-programs-are-fine-tuned",
            "conclusion-er-routing-inconsistent-across-lines",
        ),
        ("CONC-007", "CONC-008", "CONC-009", "CONC-010"),
    ),
    _together(
        "fine-tuning-creates-line-specific-structure",
        "Fine-tuning creates line-specific clusters and SAE directions that the backbone lacks; they are real HepG2 "
        "biology.",
        "clusters unrelated, and less alike than another seed makes them; ER cluster and feature lost; closer to HepG2",
        (
            "nb06-clusterings-unrelated",
            "nb06-cluster-agreement-below-training-seed",
            "nb06-er-cluster-absent-from-zeroshot",
            "nb06-secretory-feature-is-fine-tune-only",
            "conclusion-fine-tuning-encodes-real-hepg2-biology",
        ),
        ("NB06-007",),
    ),
]


@claims(CLAIMS)
def test_conclusions(claim, study, rng):
    """Judge the overall conclusions."""
    return claim.measure(**study.evidence(claim), rng=rng)
