"""NB06 on representations: what the layers of the zeroshot model hold, and whether the fewshot model's features add."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import Among, Copies, EveryRole, Features, FromSets, GeneSet, IfThere, Pair
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, Criterion, Difference, NotElevated

FIGURES = Figures.beside(__file__)
FEWSHOT, ZEROSHOT = "fewshot/hepg2", "zeroshot/hepg2"
ACTIVATIONS = Features(ZEROSHOT, space="layer")
SETS = ("mitoribosome", "oxphos", "cytoplasmic_ribosome", "er_secretory", "splicing_sf3b_snrp")
SOME_OF_EACH = Among(ACTIVATIONS, FromSets(ZEROSHOT, SETS, each=12))
OF_FEWSHOT = Features(FEWSHOT, space="layer")
COPIES = 5
NEVER_EXAMINED = "published without looking at the zeroshot model's features: read off clusters of its responses"


def _in_zeroshot(
    name: str,
    members: GeneSet,
    finding: str,
    criterion: Criterion,
    figure: str,
    flags: tuple[str, ...] = (),
) -> Claim:
    """Return the row for one set in the zeroshot model's activations."""
    evidence = {
        "features": EveryRole(ACTIVATIONS, (ZEROSHOT,)),
        "members": members,
        "raw": IfThere(EveryRole(Features(ZEROSHOT, space="layer", centre=False), (ZEROSHOT,))),
        "clean": IfThere(GeneSet(members.name, "clean")),
        "untrained": IfThere(Copies(SOME_OF_EACH, "untrained", COPIES)),
        "permuted_onehot": IfThere(Copies(SOME_OF_EACH, "permuted-onehot", COPIES)),
    }
    return Claim(
        id=f"nb06-{name}-in-zeroshot",
        finding=finding,
        statistic="mean cosine of the members' control-centred activations minus that of all knockdowns",
        evidence=evidence,
        measure="jacprobe.stats.representation.represented_alike",
        options={"claim": "everywhere" if isinstance(criterion, Above) else "nowhere"},
        criterion=criterion,
        unit="knockdowns of the set",
        family="nb06/zeroshot layer-centred",
        published=FIGURES(figure),
        flags=(NEVER_EXAMINED, *flags),
    )


CLAIMS = [
    _in_zeroshot(
        "mitoribosome-coherent",
        GeneSet("mitoribosome"),
        "Mitoribosomal knockdowns are represented alike in the zeroshot model.",
        Above(0, sesoi=0.10),
        "CONC-001",
    ),
    _in_zeroshot(
        "oxphos-coherent",
        GeneSet("oxphos"),
        "OXPHOS knockdowns are represented alike in the zeroshot model.",
        Above(0, sesoi=0.10),
        "CONC-001",
    ),
    _in_zeroshot(
        "rna-processing-coherent",
        GeneSet("rna_processing", "clean"),
        "RNA-processing knockdowns are represented alike in the zeroshot model.",
        Above(0, sesoi=0.10),
        "CONC-003",
        ("judged on spliceosome core and nonsense-mediated decay: the four named genes were picked after looking",),
    ),
    _in_zeroshot(
        "cytoplasmic-ribosome-coherent",
        GeneSet("cytoplasmic_ribosome"),
        "Cytoplasmic ribosomal knockdowns are represented alike in the zeroshot model.",
        Above(0, sesoi=0.10),
        "CONC-005",
        ('"marginal" is no verdict: read as INCONCLUSIVE',),
    ),
    _in_zeroshot(
        "er-secretory-not-coherent",
        GeneSet("er_secretory"),
        "ER / secretory knockdowns are not represented more alike than random knockdowns in the zeroshot model.",
        NotElevated(0.10),
        "CONC-007",
    ),
    Claim(
        id="nb06-secretory-feature-is-fine-tune-only",
        finding=(
            "An autoencoder feature selective for secretory knockdowns exists in the fewshot model and has no "
            "counterpart in the zeroshot model."
        ),
        statistic=(
            "mean over ER / secretory knockdowns minus that over all others, in sd, of the feature that is best on the "
            "other half of the knockdowns: fewshot minus zeroshot"
        ),
        evidence={
            "a": Features(FEWSHOT, space="sae"),
            "b": Features(ZEROSHOT, space="sae"),
            "members": GeneSet("er_secretory"),
            "neurons": IfThere(Pair(OF_FEWSHOT, ACTIVATIONS)),
            "replicate": IfThere(Features("seed-replicate", space="layer")),
            "untrained": IfThere(
                Copies(Among(OF_FEWSHOT, FromSets(FEWSHOT, ("er_secretory",), each=20)), "untrained", COPIES)
            ),
        },
        measure="jacprobe.stats.selectivity.selective_feature_lost",
        criterion=Difference(FEWSHOT, ZEROSHOT, sesoi=0.5),
        unit="knockdowns of the set",
        flags=(
            "feature 1069 has no figure in any published notebook",
            'the published overview says "sec_specific ~ 0 after normalization", NB03 "no secretory enrichment"',
            "features of two autoencoders have no names in common: the counterpart is the best on the same half",
        ),
    ),
]


@claims(CLAIMS)
def test_backbone_representation(claim, study, rng):
    """Judge the claims of NB06 on representations."""
    return claim.measure(**study.evidence(claim), rng=rng)
