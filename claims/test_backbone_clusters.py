"""NB06 on clusters: do the fewshot and the zeroshot model sort the knockdowns alike, and where do ER knockdowns go."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import ClusterMeans, Clusters, Copies, Delta, Draws, GeneSet, GeneSets, IfThere, Norm, Pair
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, AllOf, NotElevated, Reproduces

RESPONSES = Delta("fewshot/hepg2")
CLUSTERS = Clusters(RESPONSES)
IN_ZEROSHOT = Clusters(Delta("zeroshot/hepg2"))
IN_REPLICATE = Clusters(Delta("seed-replicate"))
PUBLISHED = Clusters(RESPONSES, linkage="ward-on-cosine")
FIGURES = Figures.beside(__file__)
PREFIX_SETS = (
    "outputs_ribosome",
    "outputs_proteasome",
    "outputs_er_secretory",
    "outputs_mito_complex",
    "outputs_splicing",
    "outputs_dna_repair",
    "outputs_chromatin",
    "outputs_myc_targets",
)
BY_MEMBERSHIP = (
    "the published tables say the reverse by membership: of the 17 TRAPP, SRP and SEC6 knockdowns a share of .265 of "
    "pairs is in one zeroshot cluster (null .084, p 4e-4; 7 of 17 in C3), of .206 in a fewshot one (null .112, p .051)"
)
BY_ARGMAX = (
    "published from which of 8 sets of outputs has the largest mean |dY| in a cluster, the ER set being 14 genes; "
    "Enrichr was never run on the zeroshot model"
)
# A cut moves with the drawn cells: with ten draws the interval of a further one is a fifth narrower than with five.
DRAWS = 10
NO_REPLICATE = "the published models have no second training: NOT EVALUATED there"

CLAIMS = [
    Claim(
        id="nb06-cluster-agreement-reproduces",
        finding="Fewshot and zeroshot clusters agree with an adjusted Rand index of 0.112.",
        statistic="adjusted Rand index of the models' 15 clusters, by the published linkage, over control-cell draws",
        evidence={"a": Draws(PUBLISHED, DRAWS), "b": Draws(PUBLISHED.at("zeroshot/hepg2"), DRAWS)},
        measure="jacprobe.stats.cluster_agreement.agreement_reproduces",
        options={"published": "0.112"},
        criterion=Reproduces(0.112, tolerance=0.02),
        unit="control-cell draws",
        published=FIGURES("NB06-007", "NB06-009"),
        published_effect=0.112,
    ),
    Claim(
        id="nb06-clusterings-unrelated",
        finding="Fewshot and zeroshot sort the knockdowns into completely different groups.",
        statistic="adjusted Rand index of the two models' 15 clusters (Ward on L2-normalised responses)",
        evidence={
            "labels_a": CLUSTERS,
            "labels_b": IN_ZEROSHOT,
            "responses": IfThere(Pair(RESPONSES, Delta("zeroshot/hepg2"))),
            "replicate": IfThere(IN_REPLICATE),
            "draws": IfThere(Draws(CLUSTERS)),
        },
        measure="jacprobe.stats.cluster_agreement.clusterings_unrelated",
        criterion=NotElevated(0.05),
        unit="knockdowns",
        published=FIGURES("NB06-007"),
        published_effect=0.112,
        flags=("published without a test: 0.112 over 2,023 knockdowns is far from what permuted labels give",),
    ),
    Claim(
        id="nb06-cluster-agreement-below-training-seed",
        finding="Fewshot and zeroshot clusters agree less than two trainings of the fewshot model do.",
        statistic=(
            "adjusted Rand index of the fewshot clusters with those of its seed replicate minus that with the zeroshot "
            "clusters, mean over draws of control cells"
        ),
        evidence={"a": Draws(CLUSTERS), "replicate": Draws(IN_REPLICATE), "other": Draws(IN_ZEROSHOT)},
        measure="jacprobe.stats.cluster_agreement.agreement_below_replicate",
        criterion=Above(0, sesoi=0.05),
        unit="knockdowns",
        flags=(NO_REPLICATE,),
    ),
    Claim(
        id="nb06-er-co-clustering-absent-in-zeroshot",
        finding="In the zeroshot model ER / secretory knockdowns do not fall into common clusters.",
        statistic="share of the members' pairs that stand in one zeroshot cluster minus that of random sets",
        evidence={
            "labels": IN_ZEROSHOT,
            "members": GeneSet("er_secretory"),
            "norms": IfThere(Norm(Delta("zeroshot/hepg2"))),
            "untrained": IfThere(Copies(IN_ZEROSHOT, "untrained", 5)),
            "means": IfThere(ClusterMeans(Delta("zeroshot/hepg2"), IN_ZEROSHOT)),
            "sets": GeneSets(PREFIX_SETS, empty=True),
        },
        measure="jacprobe.stats.cluster_contents.common_clusters_and_leading_outputs",
        options={"leading": "outputs_er_secretory"},
        criterion=NotElevated(0.10),
        unit="knockdowns of the set",
        published=FIGURES("NB06-116"),
        flags=(BY_MEMBERSHIP,),
    ),
    Claim(
        id="nb06-er-co-clustering-lost-in-zeroshot",
        finding="ER / secretory knockdowns cluster together more in the fewshot than in the zeroshot model.",
        statistic="co-clustering share of the members beyond all knockdowns', fewshot minus zeroshot, paired by member",
        evidence={
            "labels_a": CLUSTERS,
            "labels_b": IN_ZEROSHOT,
            "members": GeneSet("er_secretory"),
            "replicate": IfThere(IN_REPLICATE),
        },
        measure="jacprobe.stats.cluster_contents.clusters_lost",
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns of the set",
        published=FIGURES("NB06-116"),
        flags=(BY_MEMBERSHIP,),
    ),
    Claim(
        id="nb06-er-cluster-absent-from-zeroshot",
        finding="The ER / secretory cluster exists in the fewshot model and is absent from the zeroshot model.",
        statistic="ER / secretory knockdowns share clusters in fewshot, do not in zeroshot, and more in the former",
        evidence={},
        criterion=AllOf(
            (
                "nb05-er-secretory-knockdowns-co-cluster",
                "nb06-er-co-clustering-absent-in-zeroshot",
                "nb06-er-co-clustering-lost-in-zeroshot",
            )
        ),
        published=FIGURES("NB06-116", "CONC-007"),
        flags=(BY_ARGMAX, BY_MEMBERSHIP),
    ),
]


@claims(CLAIMS)
def test_backbone_clusters(claim, study, rng):
    """Judge the claims of NB06 on clusters."""
    return claim.measure(**study.evidence(claim), rng=rng)
