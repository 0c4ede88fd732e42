"""NB02, the space of perturbation vectors: do knockdowns of one pathway lie close together."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import Cosine, EncoderLookup, EveryRole, GeneSet, Norm, PertEmbedding
from jacprobe.verdicts.claim import Claim, Published
from jacprobe.verdicts.criteria import Above, Exactly

FEWSHOT = "fewshot/hepg2"
FAMILY = ("fewshot/hepg2", "fewshot/jurkat", "zeroshot/hepg2")
BACKGROUND = Published(0.267, "NB02 table, background mean", "NB02-025")
PAIRS = "published p: rank-sum over pairs against 4,998 random pairs, which counts pairs as independent"


def _coherent(
    pathway: str,
    gene_set: str,
    finding: str,
    *figures: Published,
    excess: float | None = None,
    flags: tuple[str, ...] = (),
) -> Claim:
    """Return the row for one set: its members' vectors are more alike than those of knockdowns in general."""
    vectors = PertEmbedding(FEWSHOT)
    return Claim(
        id=f"nb02-{pathway}-coherent",
        finding=finding,
        statistic="mean cosine of the members' perturbation vectors minus that of all knockdowns",
        evidence={"similarity": Cosine(vectors), "norms": Norm(vectors), "members": GeneSet(gene_set)},
        measure="jacprobe.stats.set_coherence",
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns of the set",
        family="nb02/pert-encoder fewshot-hepg2",
        published=figures,
        published_effect=excess,
        flags=flags,
    )


CLAIMS = [
    _coherent(
        "splicing",
        "splicing_sf3b_snrp",
        "Splicing knockdowns lie close together in the perturbation embedding.",
        Published(0.581, "NB02 table", "NB02-012"),
        Published("4e-25", "NB02 table, p", "NB02-013"),
        BACKGROUND,
        excess=0.314,
        flags=(PAIRS,),
    ),
    _coherent(
        "ribosome",
        "cytoplasmic_ribosome",
        "Ribosomal knockdowns lie close together in the perturbation embedding.",
        Published(0.497, "NB02 table", "NB02-002"),
        Published("~0", "NB02 table, p", "NB02-003"),
        BACKGROUND,
        excess=0.23,
        flags=(PAIRS, "the published pattern takes in RPL7L1 and RPS19BP1 and misses RPLP0, RPLP2 and RPSA"),
    ),
    _coherent(
        "er-golgi",
        "er_golgi",
        "ER and Golgi knockdowns lie close together in the perturbation embedding.",
        Published(0.364, "NB02 table", "NB02-017"),
        Published("2e-7", "NB02 table, p", "NB02-018"),
        BACKGROUND,
        excess=0.097,
        flags=(PAIRS, "the published excess, 0.097, is below the analysis' own threshold of 0.1"),
    ),
    _coherent(
        "proteasome",
        "proteasome_nb02",
        "Proteasome knockdowns lie close together in the perturbation embedding.",
        Published(0.348, "NB02 table", "NB02-007"),
        Published("2e-7", "NB02 table, p", "NB02-008"),
        BACKGROUND,
        excess=0.081,
        flags=(
            PAIRS,
            "the published excess, 0.081, is below the analysis' own threshold of 0.1",
            "the published pattern takes in PSME1-2 and PSMG1-4, which are no core subunits",
        ),
    ),
    _coherent(
        "mitoribosome",
        "mitoribosome",
        "Mitoribosomal knockdowns lie close together in the perturbation embedding.",
        flags=('not tested in NB02; the conclusions speak of "all major pathway groups"',),
    ),
    _coherent(
        "oxphos",
        "oxphos",
        "OXPHOS knockdowns lie close together in the perturbation embedding.",
        flags=('not tested in NB02; the conclusions speak of "all major pathway groups"',),
    ),
    Claim(
        id="nb02-encoder-is-a-lookup-table",
        finding="The perturbation encoder is a single linear map: one learned vector per knockdown.",
        statistic="largest |encoder(onehot_k) - (W[:, k] + b)| relative to max|W|, over all knockdowns and models",
        evidence={"deviation": EveryRole(EncoderLookup(FEWSHOT), FAMILY)},
        measure="jacprobe.stats.instrument.largest_deviation",
        criterion=Exactly(0, 1e-6),
        unit="knockdowns",
        published=(Published("2024->328", "NB02, first sentence", "NB02-001"),),
    ),
]


@claims(CLAIMS)
def test_perturbation_embedding(claim, study, rng):
    """Judge NB02 claims."""
    return claim.measure(**study.evidence(claim), rng=rng)
