"""NB05, parts 2 and 3: do knockdowns with similar responses have similar Jacobians by the perturbation, and why."""

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
    InputCosine,
    InputJacobian,
    Jacobian,
    Listed,
    Norm,
    Pair,
    PertEmbedding,
)
from jacprobe.roles import Control
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, Below, Equivalent, Reproduces

FEWSHOT = "fewshot/hepg2"
FIGURES = Figures.beside(__file__)
LISTED, STRONGEST, FEW = (Listed(FEWSHOT, rule) for rule in ("routing", "strongest", "few"))
JACOBIAN, DELTA = Jacobian(FEWSHOT), Delta(FEWSHOT)
JACOBIANS, RESPONSES = Cosine(Among(JACOBIAN, LISTED)), Cosine(Among(DELTA, LISTED))
SIZES = Norm(Among(JACOBIAN, LISTED))
NORMS = Pair(SIZES, Norm(Among(DELTA, LISTED)))
AS_PUBLISHED, RESPONSES_AS_PUBLISHED = Cosine(Among(JACOBIAN, STRONGEST)), Cosine(Among(DELTA, STRONGEST))
DRAWN = IfThere(Pair(Draws(AS_PUBLISHED), Draws(RESPONSES_AS_PUBLISHED)))
# Clusters of other control cells than those of the Jacobians, so that no response is tested by itself.
OTHER_HALF = Delta(FEWSHOT, draw=1)

CIRCUIT = "the threshold of 0.4 was never calibrated: a network with random weights can pass it"
SELECTED = (
    "published for the 15 strongest knockdowns of each cluster; 15 random ones give 0.083 / 0.078 and a ratio of 1.41 "
    "(NB09), which the findings leave out"
)
RESIDUAL = "the published Jacobians are of a function without the residual before the output layer"
RATIO = "a ratio of two means near 0 says nothing: relabelled clusters give -123 to 40"
PSMC2 = "PSMC2 alone makes more than 99.99 % of the published component 1; without it the largest share is about 11 %"


def _copies(control: Control, n: int) -> Pair:
    """Return the cosines of Jacobians and of responses in control copies, over the few knockdowns kept for them."""
    return Pair(
        Copies(Cosine(Among(JACOBIAN, FEW)), control, n),
        Copies(Cosine(Among(DELTA, FEW)), control, n),
    )


UNTRAINED, RANDOM_BODY, RANDOM_ENCODER = (
    _copies("untrained", 20),
    _copies("random-body", 5),
    _copies("random-encoder", 5),
)


def _needs(name: str, finding: str, statistic: str, copies: Pair, normal: bool, flags: tuple[str, ...] = ()) -> Claim:
    """Return the row for one control: the trained model is more coherent than copies with weights drawn anew."""
    return Claim(
        id=f"nb05-routing-{name}",
        finding=finding,
        statistic=f"routing coherence (Pearson) of the trained model minus {statistic}, over the same knockdowns",
        evidence={"jacobians": JACOBIANS, "responses": RESPONSES, "copies": copies},
        measure="jacprobe.stats.routing.coherence_learned",
        options={"normal": normal},
        criterion=Above(0, sesoi=0.10),
        unit="copies",
        flags=flags,
    )


CLAIMS = [
    Claim(
        id="nb05-routing-coherence-reproduces",
        finding="Knockdowns with similar responses have similar perturbation Jacobians, with r = 0.119.",
        statistic=(
            "Pearson correlation over pairs of knockdowns between cosines of dY/dpert and of dY, the 15 strongest "
            "knockdowns of each of 15 clusters, mean over draws of control cells"
        ),
        evidence={
            "jacobians": Draws(AS_PUBLISHED),
            "responses": Draws(RESPONSES_AS_PUBLISHED),
            "published_forward": IfThere(Cosine(Among(Jacobian(FEWSHOT, residual="published"), STRONGEST))),
        },
        measure="jacprobe.stats.routing_draws.coherence_reproduces",
        options={"published": "0.119"},
        criterion=Reproduces(0.119, tolerance=0.02),
        unit="control-cell draws",
        published=FIGURES("NB05-166", "NB05-167", "NB06-001", "CONC-012"),
        published_effect=0.119,
        flags=("the published p of 2e-80 counts 25,200 pairs of 225 knockdowns as independent", RESIDUAL, SELECTED),
    ),
    Claim(
        id="nb05-routing-coherence",
        finding="Knockdowns with similar predicted responses are routed through similar perturbation directions.",
        statistic="correlation over pairs of cosines of dY/dpert with those of dY: Pearson's, with ranks judged too",
        evidence={
            "jacobians": JACOBIANS,
            "responses": RESPONSES,
            "norms": NORMS,
            "draws": DRAWN,
            "untrained": IfThere(UNTRAINED),
            "random_body": IfThere(RANDOM_BODY),
            "random_encoder": IfThere(RANDOM_ENCODER),
        },
        measure="jacprobe.stats.routing.routing_coherence",
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns",
        published=FIGURES(
            "NB05-166", "NB05-168", "NB05-169", "NB05-189", "CONC-012", "NB06-003", "NB09-001", "NB09-002"
        ),
        published_effect=0.119,
        flags=(SELECTED, RESIDUAL, PSMC2, "that training made it is another claim: nb05-routing-coherence-is-learned"),
    ),
    Claim(
        id="nb05-routing-coherence-below-circuit-threshold",
        finding="The routing coherence is far below what internalised gene-regulatory circuits would show (0.4).",
        statistic="Pearson correlation over pairs of knockdowns between cosines of dY/dpert and of dY",
        evidence={
            "jacobians": JACOBIANS,
            "responses": RESPONSES,
            "norms": NORMS,
            "draws": DRAWN,
            "untrained": IfThere(UNTRAINED),
        },
        measure="jacprobe.stats.routing.routing_coherence",
        options={"permutations": 999},
        criterion=Below(0.4),
        unit="knockdowns",
        published=FIGURES("NB05-189", "GEN-008", "CONC-012", "CONC-013"),
        published_effect=0.119,
        flags=(CIRCUIT,),
    ),
    _needs(
        "coherence-is-learned",
        "Training, not the architecture, makes the routing coherence.",
        "the mean of 20 untrained copies",
        UNTRAINED,
        False,
        ("asserted by the publication, which measured no untrained model",),
    ),
    _needs(
        "needs-trained-encoder",
        "The coherence is carried by the trained perturbation encoder.",
        "the mean of 5 copies whose perturbation encoder is drawn anew",
        RANDOM_ENCODER,
        True,
    ),
    _needs(
        "needs-trained-body",
        "The coherence is carried by the trained transformer.",
        "the mean of 5 copies of which all but the perturbation encoder is drawn anew",
        RANDOM_BODY,
        True,
        ('the publication concludes that "the transformer does not consistently route"; it measured no random one',),
    ),
    Claim(
        id="nb05-routing-beyond-embedding-similarity",
        finding="Similar responses go with similar Jacobians beyond what similar embeddings already give.",
        statistic="partial correlation between cosines of dY/dpert and of dY, given those of the perturbation vectors",
        evidence={
            "jacobians": JACOBIANS,
            "responses": RESPONSES,
            "given": Cosine(PertEmbedding(FEWSHOT)),
            "norms": NORMS,
            "untrained": IfThere(Pair(UNTRAINED, Copies(Cosine(PertEmbedding(FEWSHOT)), "untrained", 20))),
        },
        measure="jacprobe.stats.routing.coherence_beyond",
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns",
    ),
    Claim(
        id="nb05-routing-explained-by-linear-surrogate",
        finding="A linear model of the responses shows as much routing coherence as the network.",
        statistic="Pearson's coherence of the network minus that of its linear surrogate, which keeps the ReLU's mask",
        evidence={
            "jacobians": JACOBIANS,
            "responses": RESPONSES,
            "rival": Pair(Copies(JACOBIANS, "linear-surrogate", 1), Copies(RESPONSES, "linear-surrogate", 1)),
            "mean_shift": IfThere(_copies("mean-shift", 1)),
        },
        measure="jacprobe.stats.routing.coherence_of_rivals",
        criterion=Equivalent(0.10),
        unit="knockdowns",
        flags=(
            '"compression, not causal logic" is concluded from a small r alone; a linear model was never fitted',
            "the body of a linear surrogate has one Jacobian for all knockdowns: its mask is all that varies",
        ),
    ),
    Claim(
        id="nb05-perturbation-jacobian-more-informative-than-input-jacobian",
        finding=(
            "The Jacobian by the perturbation tells more about a knockdown's response than the Jacobian by the control "
            "cells."
        ),
        statistic="correlation of cosines of dY with those of dY/dpert minus that with those of dY/dX",
        evidence={
            "jacobians": JACOBIANS,
            "others": InputCosine(Among(InputJacobian(FEWSHOT), LISTED)),
            "responses": RESPONSES,
            "untrained": IfThere(
                Pair(_copies("untrained", 5), Copies(InputCosine(Among(InputJacobian(FEWSHOT), FEW)), "untrained", 5))
            ),
        },
        measure="jacprobe.stats.routing.coherence_advantage",
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns",
        flags=("the publication never compared the two, which are gradients of one function",),
    ),
    Claim(
        id="nb05-same-cluster-jacobians-more-similar",
        finding=(
            "Knockdowns of one response cluster have more similar Jacobians than knockdowns of different clusters."
        ),
        statistic="mean cosine of dY/dpert of same-cluster pairs minus that of others, clusters of other control cells",
        evidence={
            "jacobians": JACOBIANS,
            "labels": Clusters(OTHER_HALF),
            "norms": SIZES,
            "untrained": IfThere(
                Pair(
                    Copies(Cosine(Among(JACOBIAN, FEW)), "untrained", 5),
                    Copies(Clusters(Among(OTHER_HALF, FEW)), "untrained", 5),
                )
            ),
        },
        measure="jacprobe.stats.routing_shape.same_cluster_contrast",
        criterion=Above(0, sesoi=0.005),
        unit="knockdowns",
        published=FIGURES("NB05-170", "NB05-171", "NB05-177", "NB05-178", "NB06-005"),
        published_effect=0.0095,
        flags=("published by a signed-rank test on pairs that do not belong together", RATIO),
    ),
    Claim(
        id="nb05-same-cluster-ratio-reproduces",
        finding="That similarity is 1.92 times as large within clusters.",
        statistic="mean cosine of dY/dpert of same-cluster pairs over that of others, mean over draws of control cells",
        evidence={"jacobians": Draws(AS_PUBLISHED), "labels": Draws(Clusters(DELTA, linkage="ward-on-cosine"))},
        measure="jacprobe.stats.routing_draws.cluster_ratio_reproduces",
        options={"published": "1.92"},
        criterion=Reproduces(1.92, tolerance=0.10, relative=True),
        unit="control-cell draws",
        published=FIGURES("NB05-170", "NB06-005"),
        published_effect=1.92,
        flags=(RATIO, SELECTED, RESIDUAL),
    ),
    Claim(
        id="nb05-leading-component-share-reproduces",
        finding="The first singular component explains 62.8 % of the variance of the Jacobians.",
        statistic="explained_variance_ratio_ of the first component of an uncentred truncated SVD, mean over draws",
        evidence={
            "jacobians": Draws(AS_PUBLISHED),
            "norms": Draws(Norm(Among(JACOBIAN, STRONGEST))),
        },
        measure="jacprobe.stats.routing_draws.leading_share_reproduces",
        options={"published": "0.628"},
        criterion=Reproduces(0.628, tolerance=0.02),
        unit="control-cell draws",
        published=FIGURES("NB05-137", "NB05-138"),
        published_effect=0.628,
        flags=(PSMC2, "the variance of the scores: a mean that all Jacobians share counts in neither side", RESIDUAL),
    ),
    Claim(
        id="nb05-leading-component-is-shared",
        finding="The first component is a direction that the whole model shares, not one knockdown.",
        statistic="least share of the first component, any one knockdown left out, of Jacobians as they are or scaled",
        evidence={
            "jacobians": AS_PUBLISHED,
            "norms": Norm(Among(JACOBIAN, STRONGEST)),
            "everyone": IfThere(Pair(JACOBIANS, SIZES)),
            "untrained": IfThere(Copies(Cosine(Among(JACOBIAN, FEW)), "untrained", 20)),
        },
        measure="jacprobe.stats.routing_shape.leading_component",
        criterion=Above(0.5),
        unit="knockdowns",
        published=FIGURES("NB05-137", "NB05-148", "NB05-149"),
        published_effect=0.628,
        flags=(PSMC2, "the zeroshot model's share, 67.4 %, is as unexamined"),
    ),
]


@claims(CLAIMS)
def test_routing_coherence(claim, study, rng):
    """Judge NB05's claims on routing."""
    return claim.measure(**study.evidence(claim), rng=rng)
