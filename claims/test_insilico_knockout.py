"""NB04, in-silico knockouts: do two lines' models answer a silenced input gene alike, and what makes them differ."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import (
    Among,
    Copies,
    Correlation,
    Cosine,
    Draws,
    EveryRole,
    Expression,
    GeneSet,
    GeneSets,
    IfThere,
    Knockout,
    Norm,
    Pair,
    Silenced,
)
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, AllOf, Below, NotElevated, Reproduces

FIGURES = Figures.beside(__file__)
FEWSHOT, JURKAT, REPLICATE, SHARED_SEED = "fewshot/hepg2", "fewshot/jurkat", "seed-replicate", "shared-seed/jurkat"
GENES = Silenced(FEWSHOT, 200)
KNOCKOUT_SETS = ("ko_ribosomal", "ko_proteasome", "ko_splicing", "ko_secretory", "ko_znf", "ko_chromatin")


def _responses(role: str, draw: int = 0, line: str | None = None) -> Among:
    """Return the responses of a model to the silenced genes."""
    return Among(Knockout(role, draw, line=line), GENES)


def _agreement(one: Among, other: Among) -> Correlation:
    """Return, per silenced gene, Spearman's r between two sets of responses over outputs."""
    return Correlation(one, other, "spearman")


def _repeated(role: str, draw: int = 0) -> Correlation:
    """Return the agreement of a model with itself between one draw of control cells and the next."""
    return _agreement(_responses(role, draw), _responses(role, draw + 1))


HEPG2, ACROSS = _responses(FEWSHOT), _agreement(_responses(FEWSHOT), _responses(JURKAT))
BOTH = {"a": HEPG2, "b": _responses(JURKAT)}
SAME_LINE = _agreement(HEPG2, _responses(REPLICATE))
TWICE = Pair(_repeated(FEWSHOT), _repeated(FEWSHOT, 2))
CEILING = IfThere(Pair(_repeated(FEWSHOT), _repeated(JURKAT)))
OTHER_GENES = (
    "the 200 published genes hold no RPL, RPS, PSM, SF3 or SNRP gene: they are others than the 200 most expressed ones "
    "that are silenced here"
)

CLAIMS = [
    Claim(
        id="nb04-knockout-agreement-below-circuit-threshold",
        finding="Silencing the same input gene moves the two cell lines' predictions in unrelated ways.",
        statistic="mean over silenced genes of Spearman r between the two models' responses",
        evidence={**BOTH, "reliability": CEILING, "replicate": IfThere(SAME_LINE)},
        measure="jacprobe.stats.knockouts.line_agreement",
        criterion=Below(0.4),
        unit="silenced genes",
        published=FIGURES("NB04-001", "GEN-008", "CONC-011", "CONC-013"),
        published_effect=0.057,
        flags=("two trainings of one line may agree no better: by itself it says nothing about cell lines",),
    ),
    Claim(
        id="nb04-knockout-agreement-reproduces",
        finding="The mean cross-line knockout correlation is 0.057.",
        statistic="mean over silenced genes of Spearman r between the two models' responses, over control-cell draws",
        evidence={"draws": Draws(ACROSS, 5)},
        measure="jacprobe.stats.knockouts.agreement_reproduces",
        options={"published": "0.057"},
        criterion=Reproduces(0.057, tolerance=0.02),
        unit="control-cell draws",
        published=FIGURES("NB04-001", "NB04-002", "NB04-003", "CONC-011"),
        published_effect=0.057,
        flags=("the published median is 0.049, the sd over genes 0.052", OTHER_GENES),
    ),
    Claim(
        id="nb04-no-gene-above-circuit-threshold",
        finding="Not one silenced gene agrees across the lines beyond r = 0.4.",
        statistic="largest Spearman r of a silenced gene, its bound simultaneous over genes",
        evidence={**BOTH, "draws": IfThere(Draws(ACROSS, 5)), "replicate": IfThere(SAME_LINE)},
        measure="jacprobe.stats.output_modules.largest_correlation",
        criterion=Below(0.4),
        unit="silenced genes",
        published=FIGURES("NB04-004", "NB04-005", "NB04-006", "NB04-007", "GEN-008"),
        published_effect=0.26,
        flags=("0 of 200 bounds the share above 0.4 at 1.5 % (exact binomial), not at 0",),
    ),
    Claim(
        id="nb04-some-genes-anticorrelated",
        finding="For some genes the two lines respond in opposite directions.",
        statistic="share of silenced genes with Spearman r < 0 and BY-adjusted p <= .05",
        evidence={**BOTH, "replicate": IfThere(_responses(REPLICATE))},
        measure="jacprobe.stats.knockouts.anticorrelated",
        criterion=Above(0, sesoi=0.05),
        unit="silenced genes",
        published=FIGURES(*(f"NB04-{i:03d}" for i in range(8, 20))),
        published_effect=0.11,
        flags=(
            '22 of 200 "actively anti-correlated" counts r < 0',
            "of the ten most negative two have p <= .05 were all outputs independent, none after Bonferroni over 200",
        ),
    ),
    Claim(
        id="nb04-knockout-agreement-beyond-mismatched-genes",
        finding="Silencing the same gene agrees across lines more than silencing different genes does.",
        statistic="mean Spearman r of the same gene in both models minus that of different genes",
        evidence={**BOTH, "reliability": CEILING, "replicate": IfThere(SAME_LINE)},
        measure="jacprobe.stats.knockouts.line_agreement",
        options={"beyond_mismatched": True},
        criterion=Above(0, sesoi=0.05),
        unit="silenced genes",
        published=FIGURES("NB04-001"),
        flags=("output variance that both models share gives about 0.05 whatever gene is silenced",),
    ),
    Claim(
        id="nb04-knockout-response-is-reliable",
        finding="The response to silencing a gene is a stable property of one model, not noise.",
        statistic="mean Spearman r of a response between two disjoint draws of control cells, the lesser of two models",
        evidence={"reliability": EveryRole(TWICE, (FEWSHOT, JURKAT), needed="all")},
        measure="jacprobe.stats.knockouts.reliable_everywhere",
        criterion=Above(0.8),
        unit="silenced genes",
        flags=('"this is not noise" was said without a ceiling',),
    ),
    Claim(
        id="nb04-routing-is-cell-line-specific",
        finding="Two lines' models agree less on knockout responses than two trainings of one line do.",
        statistic="mean r of the HepG2 model with its seed replicate minus that with the Jurkat model, over ceilings",
        evidence={
            "within": SAME_LINE,
            "across": ACROSS,
            "reliability": EveryRole(_repeated(FEWSHOT), (FEWSHOT, REPLICATE, JURKAT), needed="all"),
        },
        measure="jacprobe.stats.knockouts.closer_within_line",
        options={"roles": (FEWSHOT, REPLICATE, JURKAT)},
        criterion=Above(0, sesoi=0.10),
        unit="silenced genes",
        flags=("published without another training of either line: cell line and initialisation are one there",),
    ),
    Claim(
        id="nb04-agreement-is-training-seed",
        finding="Whether two models agree on knockout responses depends on their training seed, not on the cell line.",
        statistic="mean r with the other line's model of one seed minus that with the same line's of another seed",
        evidence={"x": _agreement(HEPG2, _responses(SHARED_SEED)), "y": SAME_LINE},
        measure="jacprobe.stats.paired_contrast",
        criterion=Above(0, sesoi=0.10),
        unit="silenced genes",
        flags=("the library's default seed is 42 for every model: the published pair may share its initialisation",),
    ),
    Claim(
        id="nb04-control-cells-move-knockout-response",
        finding="Feeding one model the other line's control cells changes its knockout responses.",
        statistic="1 - mean r of one model's responses on HepG2 and Jurkat cells, over that on two draws of HepG2's",
        evidence={
            "across": Draws(_agreement(HEPG2, _responses(FEWSHOT, line="jurkat")), 5),
            "within": TWICE,
        },
        measure="jacprobe.stats.knockouts.share_moved",
        criterion=Above(0, sesoi=0.10),
        unit="silenced genes",
        flags=('"real cell-type biology" was said without feeding one model both lines\' cells',),
    ),
    Claim(
        id="nb04-divergence-in-lipid-and-er-outputs",
        finding="The outputs that diverge most between lines are lipid and ER metabolism genes.",
        statistic="lipid and ER genes among the 20 outputs of largest mean |difference|, beyond matched genes",
        evidence={
            **BOTH,
            "members": GeneSet("lipid_er_outputs"),
            "expression": IfThere(Expression(FEWSHOT)),
            "replicate": IfThere(_responses(REPLICATE)),
        },
        measure="jacprobe.stats.knockout_sets.divergent_outputs",
        criterion=Above(0, sesoi=2),
        unit="genes of the set",
        published=FIGURES(*(f"NB04-{i:03d}" for i in range(76, 97))),
        flags=(
            "three of twenty are named (DGAT1 1st, TMX3 2nd, CEPT1 8th) and no test was made",
            "the three were picked after looking and are not counted; none of the other seventeen is of the set",
        ),
    ),
    Claim(
        id="nb04-no-pathway-coherent-knockouts",
        finding="No pathway's genes share a knockout response in the HepG2 model.",
        statistic="largest excess cosine of the responses within a set of at least 10 silenced genes, over six sets",
        evidence={
            "similarity": Cosine(HEPG2),
            "norms": Norm(HEPG2),
            "sets": GeneSets(KNOCKOUT_SETS, empty=True),
            "untrained": IfThere(Copies(Cosine(HEPG2), "untrained", 5)),
        },
        measure="jacprobe.stats.knockout_sets.strongest_coherence",
        criterion=NotElevated(0.10),
        unit="genes of the smallest set",
        published=FIGURES("NB04-075", *(f"NB04-{i:03d}" for i in range(59, 67))),
        published_effect=-0.0065,
        flags=(
            "published as null, but only ZNF (10 genes) and chromatin (3) were tested; in Jurkat ZNF has p .038",
            "no RPL, RPS, PSM, SF3 or SNRP gene was among the 200: untestable, not null",
        ),
    ),
    Claim(
        id="nb04-no-backbone-routing",
        finding="There is no input-to-output routing common to the lines, beyond what training noise explains.",
        statistic="unrelated across lines, no gene excepted; yet reliable, and less alike than two trainings of a line",
        evidence={},
        criterion=AllOf(
            (
                "nb04-knockout-agreement-below-circuit-threshold",
                "nb04-no-gene-above-circuit-threshold",
                "nb04-knockout-response-is-reliable",
                "nb04-routing-is-cell-line-specific",
            )
        ),
        flags=("without another training of one line the last part cannot be had, nor the conclusion",),
    ),
]


@claims(CLAIMS)
def test_insilico_knockout(claim, study, rng):
    """Judge NB04 claims."""
    return claim.measure(**study.evidence(claim), rng=rng)
