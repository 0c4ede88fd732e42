"""NB06 on responses: does the zeroshot model predict for each knockdown what the fewshot model predicts."""

from __future__ import annotations

from jacprobe.plugin import claims
from jacprobe.requests import Correlation, Delta, Draws, GeneSet, IfThere, Norm
from jacprobe.verdicts.claim import Claim, Figures
from jacprobe.verdicts.criteria import Above, Below, Equivalent, Reproduces

FEWSHOT, ZEROSHOT, REPLICATE = "fewshot/hepg2", "zeroshot/hepg2", "seed-replicate"
FIGURES = Figures.beside(__file__)
ACROSS = Correlation(Delta(FEWSHOT), Delta(ZEROSHOT))
OVER_DRAWS = Draws(ACROSS)
SEED = Correlation(Delta(FEWSHOT), Delta(REPLICATE))
REPEATED = Correlation(Delta(FEWSHOT), Delta(FEWSHOT, draw=1))
NAMED = ("SMU1", "UPF1", "UPF2", "SNRPD1", "LRPPRC", "POLRMT", "MTPAP")
LEADING = ("NB06-091", "NB06-092", "NB06-093", "NB06-096", "NB06-098", "NB06-099", "NB06-100")
HEPATOCYTE = ("NB06-107", "NB06-112", "CONC-009")

NO_REPLICATE = "published without another training of either model: two trainings of one model do not agree fully"
ONE_DRAW = "published from one draw of control cells"


def _set(name: str, gene_set: str, finding: str, figures: tuple[str, ...], *flags: str, least: bool = False) -> Claim:
    """Return the row for one set: its knockdowns' predictions agree more, or less, than those of the others."""
    who = "mean r of all other knockdowns minus that of the set" if least else "mean r of the set minus that of others"
    return Claim(
        id=f"nb06-{name}",
        finding=finding,
        statistic=f"{who}, r over genes between fewshot and zeroshot dY; random sets, and sets matched on |dY|",
        evidence={
            "r": ACROSS,
            "members": GeneSet(gene_set, "clean"),
            "norms": Norm(Delta(FEWSHOT)),
            "replicate": IfThere(SEED),
        },
        measure="jacprobe.stats.transfer.set_transfers",
        options={"least": True} if least else {},
        criterion=Above(0, sesoi=0.10),
        unit="knockdowns of the set",
        family="nb06/per-KD agreement families",
        published=FIGURES(*figures),
        flags=flags,
    )


# Modules of outputs are taken from all responses.
NAMED_EVIDENCE = {"a": Delta(FEWSHOT), "b": Delta(ZEROSHOT), "draws": OVER_DRAWS, "replicate": IfThere(SEED)}

CLAIMS = [
    Claim(
        id="nb06-response-agreement-reproduces",
        finding="A knockdown's response correlates 0.277 on average between the two models.",
        statistic="mean over knockdowns of Pearson's r over genes between fewshot and zeroshot dY, over draws",
        evidence={"draws": OVER_DRAWS},
        measure="jacprobe.stats.transfer.agreement_reproduces",
        options={"published": "0.277"},
        criterion=Reproduces(0.277, tolerance=0.02),
        unit="control-cell draws",
        published=FIGURES("NB06-008", "NB06-018", "NB06-019", "NB06-020"),
        published_effect=0.277,
        flags=(
            'the notebook reads its median of 0.25 as "agree on 25 % of variance": r^2 is 0.06',
            ONE_DRAW,
        ),
    ),
    Claim(
        id="nb06-most-responses-diverge",
        finding="Most knockdowns' predicted responses diverge between the two models.",
        statistic="share of knockdowns whose r over genes between fewshot and zeroshot dY is below 0.4",
        evidence={"r": ACROSS, "replicate": IfThere(SEED), "ceiling": IfThere(REPEATED)},
        measure="jacprobe.stats.transfer.responses_diverge",
        criterion=Above(0.5),
        unit="knockdowns",
        published=FIGURES(
            "NB06-008", "NB06-082", "NB06-083", "NB06-084", "NB06-085", "NB06-086", "NB06-087", "NB06-019"
        ),
        flags=(
            '"diverge" is defined nowhere: below 0.4, what the publication asks of a shared circuit',
            "the notebook's 58 % of memorisation has no derivation",
            NO_REPLICATE,
        ),
    ),
    Claim(
        id="nb06-response-agreement-below-training-seed",
        finding="Fewshot and zeroshot predictions differ more than two trainings of the fewshot model do.",
        statistic="mean r of the fewshot model with its seed replicate minus that with the zeroshot model",
        evidence={
            "within": SEED,
            "across": ACROSS,
            "again": IfThere(Correlation(Delta(REPLICATE), Delta(ZEROSHOT))),
        },
        measure="jacprobe.stats.transfer.below_training_seed",
        criterion=Above(0, sesoi=0.05),
        unit="knockdowns",
        published=FIGURES("NB06-008"),
        flags=(NO_REPLICATE,),
    ),
    _set(
        "rna-processing-transfers",
        "rna_processing",
        "RNA-processing knockdowns are predicted alike with and without HepG2 data, more than others.",
        ("NB06-091", "NB06-098", "NB06-099", "NB06-100", "CONC-003"),
        "SMU1, UPF1, UPF2 and SNRPD1 were picked from a list of the 15 highest r: judged on the family",
        "strong responses agree better: matched on |dY|",
    ),
    _set(
        "mitochondrial-rna-transfers",
        "mito_rna",
        "Mitochondrial-RNA knockdowns are predicted alike with and without HepG2 data, more than others.",
        ("NB06-092", "NB06-093", "NB06-096"),
        "LRPPRC, POLRMT and MTPAP were picked from a list of the 15 highest r: judged on the family",
    ),
    Claim(
        id="nb06-named-knockdowns-lead-agreement",
        finding="SMU1, UPF1, UPF2, SNRPD1, LRPPRC, POLRMT and MTPAP are among the best conserved knockdowns.",
        statistic="worst place of the seven when all knockdowns are ordered by r, rank / n, over draws",
        evidence={"draws": OVER_DRAWS},
        measure="jacprobe.stats.transfer.named_lead",
        options={"names": NAMED},
        criterion=Below(0.05),
        unit="knockdowns",
        published=FIGURES(*LEADING),
        published_effect=10 / 2023,
        flags=(
            "picked after looking: ranks 1, 2, 3, 6, 8, 9 and 10, passing over SMG5, ZFC3H1 and CLOCK",
            "on the published weights this is how they were found, and no evidence",
        ),
    ),
    Claim(
        id="nb06-foxo1-fdps-anticorrelated",
        finding="The predicted responses to FOXO1 and FDPS have opposite signs with and without HepG2 data.",
        statistic="the larger of two r over genes between fewshot and zeroshot dY, over draws and modules of outputs",
        evidence=NAMED_EVIDENCE,
        measure="jacprobe.stats.transfer.named_agreement",
        options={"names": ("FOXO1", "FDPS")},
        criterion=Below(0),
        unit="output modules",
        published=FIGURES(*HEPATOCYTE),
        published_effect=-0.156,
        flags=(
            "the lowest r is DDX3X's, -0.242; FDPS is 7th lowest, with NAA30, CYFIP1 and CEP68 between",
            "published without an interval",
        ),
    ),
    _set(
        "hepatocyte-knockdowns-transfer-least",
        "hepatocyte",
        "Hepatocyte-specific knockdowns are the least conserved.",
        (*HEPATOCYTE, "CONC-010"),
        "FOXO1 and FDPS were picked from a list of the lowest r: judged on the family",
        "DDX3X is lowest (-0.242); NAA30, CYFIP1 and CEP68, no hepatocyte genes, stand between FOXO1 and FDPS",
        least=True,
    ),
    Claim(
        id="nb06-trappc3-response-not-transferred",
        finding="The prediction for TRAPPC3 without HepG2 data is unrelated to the one with it.",
        statistic="r over genes for TRAPPC3 between fewshot and zeroshot dY, over draws and modules of outputs",
        evidence=NAMED_EVIDENCE,
        measure="jacprobe.stats.transfer.named_agreement",
        options={"names": ("TRAPPC3",), "alternative": "two-sided"},
        criterion=Equivalent(0.10),
        unit="output modules",
        published=FIGURES("GEN-006", "NB01-135"),
        published_effect=0.001,
        flags=("0.001 is of an older notebook, another quantity or draw: not in NB06's own table",),
    ),
]


@claims(CLAIMS)
def test_backbone_responses(claim, study, rng):
    """Judge NB06's claims on responses."""
    return claim.measure(**study.evidence(claim), rng=rng)
