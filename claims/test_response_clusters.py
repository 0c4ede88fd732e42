"""NB05, part 1: clusters of predicted responses, what they hold and which outputs mark them."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import ClusterMeans, Clusters, Copies, Delta, Draws, GeneSet, IfThere, Norm
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, Reproduces

FEWSHOT = "fewshot/hepg2"
REPLICATE = "seed-replicate"
RESPONSES = Delta(FEWSHOT)
CLUSTERS = Clusters(RESPONSES)
MEANS = ClusterMeans(RESPONSES, CLUSTERS)
FIGURES = Figures.beside(__file__)
# All knockdowns are clustered, in copies too, so that five copies cost as much as the draws of control cells do.
UNTRAINED = 5
# A cut moves with the drawn cells: with ten draws an interval over draws is a fifth to a third narrower than with five.
DRAWS = 10
ENRICHR = (
    "published by Enrichr against its default background of all genes, though a list holds model outputs only; "
    "p over clusters and terms by Benjamini-Hochberg"
)

STAND_IN = "the term is a stand-in of textbook members, unless the study names a GMT file with the term itself"


def _marked(name: str, gene_set: str, finding: str, figures: tuple[str, ...], flags: tuple[str, ...] = ()) -> Claim:
    """Return the row for one term: a cluster has more of its genes among its raised outputs than chance gives."""
    return Claim(
        id=f"nb05-{name}-output-cluster",
        finding=finding,
        statistic=(
            "genes of the term among the 50 most raised outputs of the cluster most clearly marked for its size, "
            "minus their expected number among the model's genes"
        ),
        evidence={
            "delta": RESPONSES,
            "labels": CLUSTERS,
            "members": GeneSet(gene_set),
            "untrained": IfThere(Copies(MEANS, "untrained", UNTRAINED)),
            "replicate": IfThere(MEANS.at(REPLICATE)),
        },
        measure="jacprobe.stats.cluster_contents.marked_by_outputs",
        criterion=Above(0, sesoi=5),
        unit="knockdowns",
        family="nb05/output enrichment",
        published=FIGURES(*figures),
        flags=(ENRICHR, STAND_IN, *flags),
    )


def _together(name: str, gene_set: GeneSet, finding: str, flags: tuple[str, ...]) -> Claim:
    """Return the row for one set: its knockdowns share a cluster more often than random ones do."""
    return Claim(
        id=f"nb05-{name}-knockdowns-co-cluster",
        finding=finding,
        statistic="share of the members' pairs that stand in one cluster minus that of random sets of equal size",
        evidence={
            "labels": CLUSTERS,
            "members": gene_set,
            "norms": IfThere(Norm(RESPONSES)),
            "untrained": IfThere(Copies(CLUSTERS, "untrained", UNTRAINED)),
            "replicate": IfThere(CLUSTERS.at(REPLICATE)),
        },
        measure="jacprobe.stats.cluster_contents.common_clusters",
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns of the set",
        family="nb05/membership",
        flags=flags,
    )


CLAIMS = [
    Claim(
        id="nb05-clusters-reproducible",
        finding="The clusters of predicted responses do not depend on which control cells are drawn.",
        statistic="mean adjusted Rand index between clusterings of one model over ten disjoint draws of control cells",
        evidence={"draws": Draws(CLUSTERS, DRAWS), "responses": IfThere(Draws(RESPONSES, 3))},
        measure="jacprobe.stats.cluster_agreement.reproducible_clusters",
        criterion=Above(0.5),
        unit="knockdowns",
        published=FIGURES("NB05-001", "NB05-002"),
        flags=(
            "published from one draw, by Ward's update on cosine distances, for which Ward's criterion is not defined",
            "the analysis planned to cluster 1,035 knockdowns and clustered 2,023",
        ),
    ),
    Claim(
        id="nb05-largest-cluster-size-reproduces",
        finding="The largest response cluster holds 512 of 2,023 knockdowns.",
        statistic="share of knockdowns in the largest cluster, by the published linkage, over draws of control cells",
        evidence={"draws": Draws(Clusters(RESPONSES, linkage="ward-on-cosine"), DRAWS)},
        measure="jacprobe.stats.cluster_agreement.largest_cluster",
        options={"published": "0.253"},
        criterion=Reproduces(0.253, tolerance=0.02),
        unit="control-cell draws",
        published=FIGURES("NB05-006", "NB05-014"),
        published_effect=0.253,
    ),
    _marked(
        "ribosomal",
        "kegg_ribosome_outputs",
        "One cluster of knockdowns is marked by ribosomal genes among its raised outputs.",
        ("NB05-003", "NB05-082"),
        (
            "the published p is 9.99e-26, which rounds to 1e-25: printed as 9e-26",
            "C4, C6 and C14 carry the term too; C7, called ribosome, holds none of the 73 ribosomal-protein knockdowns",
        ),
    ),
    _marked(
        "er-processing",
        "kegg_er_processing_outputs",
        "One cluster of knockdowns is marked by ER protein-processing genes among its raised outputs.",
        ("NB05-004", "NB05-107"),
        ("C12 holds 10 of 20 knockdowns of N-glycosylation and the OST complex",),
    ),
    _marked(
        "steroid",
        "kegg_steroid_outputs",
        "One cluster of knockdowns is marked by steroid-biosynthesis genes among its raised outputs.",
        ("NB05-005", "NB05-122"),
    ),
    _marked(
        "largest-p53",
        "kegg_p53_outputs",
        "One cluster of knockdowns is marked by p53 / stress genes among its raised outputs.",
        ("NB05-006", "NB05-087", "NB05-088"),
        (
            "C8, p53 / stress, holds 68 of 73 ribosomal-protein (p 3e-36) and 17 of 20 proteasome knockdowns (3e-8)",
            "nine of the 15 clusters carry the p53 term",
        ),
    ),
    Claim(
        id="nb05-ribosomal-output-cluster-holds-ribosome-knockdowns",
        finding="The cluster marked by ribosomal outputs is the one that holds the ribosomal-protein knockdowns.",
        statistic=(
            "share of the ribosomal-protein knockdowns in the cluster that ribosomal outputs mark, "
            "minus that cluster's share of all knockdowns"
        ),
        evidence={
            "delta": RESPONSES,
            "labels": CLUSTERS,
            "outputs": GeneSet("kegg_ribosome_outputs"),
            "members": GeneSet("cytoplasmic_ribosome", "clean"),
        },
        measure="jacprobe.stats.cluster_contents.marked_cluster_holds",
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns of the set",
        published=FIGURES("NB05-003"),
        flags=(
            "0 of 73 ribosomal-protein knockdowns are in C7, the published ribosome cluster; 68 are in C8",
            "C7 holds mitochondrial knockdowns: it is named for its raised outputs",
        ),
    ),
    _together(
        "ribosome",
        GeneSet("cytoplasmic_ribosome", "clean"),
        "Ribosomal-protein knockdowns fall into the same response clusters.",
        ("implied by the name of a cluster of outputs; by membership in the published table 68 of 73 are in C8",),
    ),
    _together(
        "er-secretory",
        GeneSet("er_secretory"),
        "ER / secretory knockdowns fall into the same response clusters.",
        (
            "implied by the name of a cluster of outputs",
            "by membership in the published table .206 of the pairs are in one cluster, .112 at random (p .051)",
        ),
    ),
]


@claims(CLAIMS)
def test_response_clusters(claim, study, rng):
    """Judge the claims of NB05 on response clusters."""
    return claim.measure(**study.evidence(claim), rng=rng)
