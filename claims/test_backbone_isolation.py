"""NB06, routing in the zeroshot model: what of the routing coherence is there without any HepG2 knockdown."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import (
    Among,
    Clusters,
    Copies,
    Cosine,
    Delta,
    Draws,
    IfThere,
    Jacobian,
    Listed,
    Norm,
    Pair,
    Split,
)
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, AllOf, Equivalent, Exactly, Reproduces

FEWSHOT, ZEROSHOT, REPLICATE = "fewshot/hepg2", "zeroshot/hepg2", "seed-replicate"
FIGURES = Figures.beside(__file__)
# One list for both models, and the published one, which is the zeroshot model's own.
LISTED, STRONGEST, FEW = Listed(FEWSHOT, "routing"), Listed(ZEROSHOT, "strongest"), Listed(FEWSHOT, "few")

OWN_LISTS = (
    "the published 225 knockdowns are each model's own: 51 stand on both lists, and the difference was not tested"
)
RESIDUAL = "the published Jacobians are of a function without the residual before the output layer"
RATIO = "a ratio of two means near 0 says nothing: relabelled clusters give -123 to 40"
RAW_ALONE = (
    "judged on raw values alone: by raw values and ranks together, as elsewhere, this finding and "
    "nb06-zeroshot-rank-signal-absent would contradict each other"
)
ONE_HOT = "by the one-hot Jacobian the published rank correlation is 0.058 (p 2e-20): the collapse is not robust (NB08)"


def _jacobians(role: str, listed: Listed = LISTED) -> Cosine:
    return Cosine(Among(Jacobian(role), listed))


def _responses(role: str, listed: Listed = LISTED) -> Cosine:
    return Cosine(Among(Delta(role), listed))


def _norms(role: str, listed: Listed = LISTED) -> Pair:
    return Pair(Norm(Among(Jacobian(role), listed)), Norm(Among(Delta(role), listed)))


def _untrained(role: str, n: int) -> IfThere:
    return IfThere(Pair(Copies(_jacobians(role, FEW), "untrained", n), Copies(_responses(role, FEW), "untrained", n)))


def _fewshot_minus_zeroshot() -> dict[str, Cosine]:
    """Return the four similarities of a difference between the models, over one list of knockdowns."""
    return {
        "a1": _jacobians(FEWSHOT),
        "b1": _responses(FEWSHOT),
        "a2": _jacobians(ZEROSHOT),
        "b2": _responses(ZEROSHOT),
    }


BESIDE = {"replicate": IfThere(Pair(_jacobians(REPLICATE), _responses(REPLICATE)))}

CLAIMS = [
    Claim(
        id="nb06-zeroshot-saw-no-hepg2-knockdown",
        finding="The zeroshot model was trained without any HepG2 perturbation.",
        statistic="HepG2 knockdowns among those that the split gives the zeroshot model to train on",
        evidence={"split": Split(ZEROSHOT), "other": IfThere(Split(FEWSHOT))},
        measure="jacprobe.stats.backbone.trained_knockdowns",
        criterion=Exactly(0),
        unit="knockdowns",
        published=FIGURES("GEN-016"),
        flags=("it has seen HepG2 control cells",),
    ),
    Claim(
        id="nb06-zeroshot-routing-coherence-reproduces",
        finding="The zeroshot routing coherence is 0.131.",
        statistic=(
            "Pearson correlation over pairs of knockdowns between cosines of dY/dpert and of dY in the zeroshot model, "
            "the 15 strongest knockdowns of each of its own 15 clusters, mean over draws of control cells"
        ),
        evidence={
            "jacobians": Draws(_jacobians(ZEROSHOT, STRONGEST)),
            "responses": Draws(_responses(ZEROSHOT, STRONGEST)),
            "published_forward": IfThere(Cosine(Among(Jacobian(ZEROSHOT, residual="published"), STRONGEST))),
        },
        measure="jacprobe.stats.routing_draws.coherence_reproduces",
        options={"published": "0.131"},
        criterion=Reproduces(0.131, tolerance=0.02),
        unit="control-cell draws",
        published=FIGURES("NB06-002", "NB06-010", "NB07-004"),
        published_effect=0.131,
        flags=(RESIDUAL,),
    ),
    Claim(
        id="nb06-zeroshot-routing-coherence",
        finding="The zeroshot model shows routing coherence too.",
        statistic="Pearson correlation over pairs of knockdowns between cosines of dY/dpert and of dY, no ranks",
        evidence={
            "jacobians": _jacobians(ZEROSHOT),
            "responses": _responses(ZEROSHOT),
            "norms": _norms(ZEROSHOT),
            "untrained": _untrained(ZEROSHOT, 5),
        },
        measure="jacprobe.stats.routing.routing_coherence",
        options={"scales": ("raw",)},
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns",
        published=FIGURES("NB06-002", "NB06-011"),
        published_effect=0.131,
        flags=(RAW_ALONE,),
    ),
    Claim(
        id="nb06-routing-coherence-equal-in-both-models",
        finding="The routing coherence is as large without HepG2 data as with it.",
        statistic="Pearson's coherence of the fewshot minus that of the zeroshot model, over the same knockdowns",
        evidence={**_fewshot_minus_zeroshot(), **BESIDE},
        measure="jacprobe.stats.backbone.coherence_difference",
        options={"alternative": "two-sided"},
        criterion=Equivalent(0.10),
        unit="knockdowns",
        published=FIGURES("NB06-001", "NB06-002", "NB06-080", "NB09-009"),
        published_effect=-0.012,
        flags=(OWN_LISTS,),
    ),
    Claim(
        id="nb06-routing-coherence-is-backbone",
        finding="Routing coherence is a property of the backbone: present in both models and learned.",
        statistic="present in the fewshot and in the zeroshot model, equally large, and more than in untrained copies",
        evidence={},
        criterion=AllOf(
            (
                "nb05-routing-coherence",
                "nb06-zeroshot-routing-coherence",
                "nb06-routing-coherence-equal-in-both-models",
                "nb05-routing-coherence-is-learned",
            )
        ),
        published=FIGURES("NB06-001", "NB06-002", "CONC-012"),
        flags=("concluded without an untrained model beside it",),
    ),
    Claim(
        id="nb06-zeroshot-rank-signal-absent",
        finding="In the zeroshot model response similarity and Jacobian similarity are unrelated in rank.",
        statistic="Spearman correlation over pairs of knockdowns between cosines of dY/dpert and of dY, published list",
        evidence={
            "jacobians": _jacobians(ZEROSHOT, STRONGEST),
            "responses": _responses(ZEROSHOT, STRONGEST),
            "norms": _norms(ZEROSHOT, STRONGEST),
            "untrained": _untrained(ZEROSHOT, 5),
            "everyone": IfThere(Pair(_jacobians(ZEROSHOT), _responses(ZEROSHOT))),
        },
        measure="jacprobe.stats.routing.routing_coherence",
        options={"method": "spearman", "scales": ("ranks",), "alternative": "two-sided"},
        criterion=Equivalent(0.05),
        unit="knockdowns",
        published=FIGURES("NB06-004", "NB06-012", "NB06-013", "NB07-005", "NB07-006"),
        published_effect=-0.003,
        flags=(ONE_HOT, "the published p of .66 is no evidence of absence; the interval is"),
    ),
    Claim(
        id="nb06-rank-signal-larger-in-fewshot",
        finding="The rank-order signal is larger in the fewshot than in the zeroshot model.",
        statistic="Spearman's coherence of the fewshot minus that of the zeroshot model, over the same knockdowns",
        evidence={**_fewshot_minus_zeroshot(), **BESIDE},
        measure="jacprobe.stats.backbone.coherence_difference",
        options={"method": "spearman"},
        criterion=Above(0, sesoi=0.05),
        unit="knockdowns",
        published=FIGURES("NB06-003", "NB06-004", "NB06-118"),
        published_effect=0.097,
        flags=(OWN_LISTS, "0.094 significant beside -0.003 not significant is no difference"),
    ),
    Claim(
        id="nb06-rank-signal-collapses",
        finding="The rank-order routing signal collapses in the zeroshot model: it is a HepG2 fine-tune artifact.",
        statistic="absent in rank from the zeroshot model, and larger in the fewshot one",
        evidence={},
        criterion=AllOf(("nb06-zeroshot-rank-signal-absent", "nb06-rank-signal-larger-in-fewshot")),
        published=FIGURES("NB06-118"),
        flags=(ONE_HOT,),
    ),
    Claim(
        id="nb06-zeroshot-same-cluster-more-similar",
        finding="In the zeroshot model too, knockdowns of one cluster have more similar Jacobians.",
        statistic="mean cosine of dY/dpert of same-cluster pairs minus that of others, clusters of other control cells",
        evidence={
            "jacobians": _jacobians(ZEROSHOT),
            "labels": Clusters(Delta(ZEROSHOT, draw=1)),
            "norms": Norm(Among(Jacobian(ZEROSHOT), LISTED)),
            "untrained": IfThere(
                Pair(
                    Copies(_jacobians(ZEROSHOT, FEW), "untrained", 5),
                    Copies(Clusters(Among(Delta(ZEROSHOT, draw=1), FEW)), "untrained", 5),
                )
            ),
        },
        measure="jacprobe.stats.routing_shape.same_cluster_contrast",
        criterion=Above(0, sesoi=0.005),
        unit="knockdowns",
        published=FIGURES("NB06-006", "NB06-014", "NB06-015", "NB06-016"),
        published_effect=0.0401,
        flags=(RATIO,),
    ),
    Claim(
        id="nb06-zeroshot-same-cluster-ratio-reproduces",
        finding="In zeroshot that ratio is 2.99.",
        statistic="mean cosine of dY/dpert of same-cluster pairs over that of others, mean over draws of control cells",
        evidence={
            "jacobians": Draws(_jacobians(ZEROSHOT, STRONGEST)),
            "labels": Draws(Clusters(Delta(ZEROSHOT), linkage="ward-on-cosine")),
        },
        measure="jacprobe.stats.routing_draws.cluster_ratio_reproduces",
        options={"published": "2.99"},
        criterion=Reproduces(2.99, tolerance=0.10, relative=True),
        unit="control-cell draws",
        published=FIGURES("NB06-006", "NB06-017"),
        published_effect=2.99,
        flags=(RATIO, RESIDUAL),
    ),
    Claim(
        id="nb06-zeroshot-clusters-more-tightly",
        finding="Within clusters the zeroshot Jacobians are closer than the fewshot ones.",
        statistic=(
            "same-cluster minus different-cluster cosine of dY/dpert over the sd of all cosines, zeroshot minus fewshot"
        ),
        evidence={
            "a": _jacobians(ZEROSHOT),
            "labels_a": Clusters(Delta(ZEROSHOT)),
            "b": _jacobians(FEWSHOT),
            "labels_b": Clusters(Delta(FEWSHOT)),
        },
        measure="jacprobe.stats.cluster_contrast_difference",
        criterion=Above(0, sesoi=0.2),
        unit="knockdowns",
        published=FIGURES("NB06-005", "NB06-006"),
        flags=(RATIO, OWN_LISTS),
    ),
]


@claims(CLAIMS)
def test_backbone_isolation(claim, study, rng):
    """Judge NB06's claims on routing."""
    return claim.measure(**study.evidence(claim), rng=rng)
