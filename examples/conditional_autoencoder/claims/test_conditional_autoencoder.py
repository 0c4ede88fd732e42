"""Claims about the example: two by jacprobe's own measures, one on its instrument, one that it cannot answer."""

from jacprobe.plugin import claims
from jacprobe.requests import (
    Cosine,
    Delta,
    Features,
    GeneSet,
    SlopeError,
)
from jacprobe.verdicts.claim import Claim
from jacprobe.verdicts.criteria import Above, Below, Exactly

MODEL = "autoencoder"

CLAIMS = [
    Claim(
        id="cae-own-gene-falls",
        finding="Knocking a gene down lowers the predicted expression of that gene.",
        statistic="dY of the knocked-down gene minus its mean dY under all other knockdowns, mean over knockdowns",
        evidence={"delta": Delta(MODEL)},
        measure="jacprobe.stats.own_gene.own_gene_contrast",
        criterion=Below(0, sesoi=0.05),
        unit="knockdowns",
    ),
    Claim(
        id="cae-growth-knockdowns-respond-alike",
        finding="Knockdowns of the growth pathway are predicted to move the cell in the same way.",
        statistic="mean cosine between dY of growth knockdowns minus that of all knockdowns",
        evidence={"similarity": Cosine(Delta(MODEL)), "members": GeneSet("growth")},
        measure="jacprobe.stats.sets.set_coherence",
        criterion=Above(0, sesoi=0.1),
        unit="growth knockdowns",
    ),
    Claim(
        id="cae-jacobians-are-slopes",
        finding="The Jacobians are the slopes of the prediction.",
        statistic="largest relative error of dY/dpert against central differences in float64",
        evidence={"deviation": SlopeError(MODEL)},
        measure="jacprobe.stats.instrument.largest_deviation",
        criterion=Exactly(0, 1e-6),
        unit="derivatives",
    ),
    Claim(
        id="cae-layers-agree",
        finding="Growth knockdowns share features of the middle layer.",
        statistic="mean cosine between features of growth knockdowns minus that of all knockdowns",
        evidence={"similarity": Cosine(Features(MODEL, space="layer")), "members": GeneSet("growth")},
        measure="jacprobe.stats.sets.set_coherence",
        criterion=Above(0, sesoi=0.1),
        unit="growth knockdowns",
    ),
]


@claims(CLAIMS)
def test_conditional_autoencoder(claim, study, rng):
    """Judge the example's claims."""
    return claim.measure(**study.evidence(claim), rng=rng)
