import numpy as np
import pytest
import xarray as xr

from jacprobe.errors import EvidenceMissingError, InputError
from jacprobe.stats import own_gene_contrast


def responses(rng, kds=30, genes=50, fall=0.0):
    kd = [f"G{i}" for i in range(kds)]
    gene = [f"G{i}" for i in rng.permutation(genes) + kds // 2]
    values = rng.normal(size=(kds, genes)) + rng.normal(size=genes) + rng.normal(size=(kds, 1))
    delta = xr.DataArray(values, dims=("kd", "gene"), coords={"kd": kd, "gene": gene})
    for name in set(kd) & set(gene):
        delta.loc[{"kd": name, "gene": name}] -= fall
    return delta


def test_effect_is_the_mean_of_own_minus_all_other_knockdowns(rng):
    delta = responses(rng, fall=0.5)
    own = [k for k in delta.kd.values if k in set(delta.gene.values)]
    by_hand = [float(delta.sel(kd=k, gene=k)) - float(delta.drop_sel(kd=k).sel(gene=k).mean()) for k in own]
    estimate = own_gene_contrast(delta, rng, permutations=99)
    assert estimate.effect == pytest.approx(np.mean(by_hand), abs=1e-12)
    assert estimate.n == len(own) == 15
    assert estimate.diagnostics["kds_without_output"] == 15


def test_a_planted_fall_is_seen(rng):
    estimate = own_gene_contrast(responses(rng, kds=80, fall=1.5), rng)
    assert estimate.p == 1e-4
    assert estimate.ci is not None
    assert estimate.ci[1] < 0
    assert estimate.alternative == "less"


def test_every_model_must_show_it(rng):
    both = {"a": responses(rng, kds=80, fall=1.5), "b": responses(rng, kds=80, fall=0.0)}
    estimate = own_gene_contrast(both, rng)
    assert estimate.p == estimate.diagnostics["models"]["b"]["p"]
    assert estimate.effect == estimate.diagnostics["models"]["b"]["effect"]


def test_level_and_coverage_where_nothing_falls():
    rng, runs = np.random.default_rng(11), 200
    estimates = [own_gene_contrast(responses(rng, kds=40), rng, permutations=99) for _ in range(runs)]
    assert sum((e.p or 1) <= 0.05 for e in estimates) <= 18  # 99 % binomial bound at .05
    covered = sum(e.ci is not None and e.ci[0] <= 0 <= e.ci[1] for e in estimates)
    assert covered >= 0.93 * runs


def test_without_own_genes_nothing_can_be_said(rng):
    delta = responses(rng).assign_coords(gene=[f"X{i}" for i in range(50)])
    with pytest.raises(EvidenceMissingError, match="0 KDs have their gene among the outputs"):
        own_gene_contrast(delta, rng)


def test_repeated_names_are_refused(rng):
    delta = responses(rng)
    with pytest.raises(InputError, match="names that stand twice: G0"):
        own_gene_contrast(delta.assign_coords(kd=["G0"] * 30), rng)
    with pytest.raises(InputError, match="genes that stand twice"):
        own_gene_contrast(delta.assign_coords(gene=["G0"] * 50), rng)
