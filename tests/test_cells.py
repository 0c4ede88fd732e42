from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from jacprobe.anndata_cells import cells_of_anndata
from jacprobe.cells import cells_of_file, draw_cells, names_of, prepare_cells, read_cells
from jacprobe.columns import NUMBERS, Columns, kind_of, mismatch
from jacprobe.errors import InputError, StudyError, UnknownNameError


@dataclass
class Subject:
    """As much of a model as control cells are checked against."""

    genes: tuple[str, ...] = ("TP53", "MYC", "RPL3")
    perturbations: tuple[str, ...] = ("TP53", "HSPA5", "non-targeting")
    control: str = "non-targeting"
    batches: tuple[str, ...] = ("b0", "b1")
    cell_set_len: int = 4
    any_set_len: bool = True
    more: dict[str, Any] = field(default_factory=dict)


MODEL: Any = Subject()
ENSEMBL = ("ENSG00000141510", "ENSG00000136997", "ENSG00000100316")
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3) / 4


def labelled(values: np.ndarray = VALUES, genes: tuple[str, ...] = MODEL.genes, **coords: Any) -> xr.DataArray:
    return xr.DataArray(values, dims=("cell", "gene"), coords={"gene": list(genes), **coords})


def adata(gene: list[str] | None = None, x_hvg: Any = VALUES, **columns: list[str]) -> anndata.AnnData:
    n = len(VALUES)
    obs = pd.DataFrame(
        {"gene": gene or ["non-targeting"] * n, **columns}, index=pd.Index([f"c{i}" for i in range(n)])
    ).astype("category")
    made = anndata.AnnData(X=scipy.sparse.csr_matrix(VALUES), obs=obs, var=pd.DataFrame(index=pd.Index(MODEL.genes)))
    if x_hvg is not None:
        made.obsm["X_hvg"] = x_hvg
    return made


@given(order=st.permutations(range(5)))
def test_genes_are_matched_by_name_and_others_left_out(order: list[int]):
    names = np.array([*MODEL.genes, "EXTRA1", "EXTRA2"])
    values = np.hstack([VALUES, np.full((4, 2), 99, dtype=np.float32)])
    shuffled = labelled(values[:, order], tuple(names[order]))
    assert np.array_equal(prepare_cells(MODEL, shuffled).values, VALUES)
    assert np.array_equal(prepare_cells(MODEL, shuffled.transpose("gene", "cell")).values, VALUES)


def test_a_data_frame_is_matched_by_its_columns():
    frame = pd.DataFrame(VALUES[:, ::-1], columns=pd.Index(MODEL.genes[::-1]))
    assert np.array_equal(prepare_cells(MODEL, frame).values, VALUES)


def test_a_bare_array_is_in_the_models_order():
    assert np.array_equal(prepare_cells(MODEL, VALUES).values, VALUES)
    assert prepare_cells(MODEL, VALUES.astype(int)).values.dtype == np.float32
    assert prepare_cells(MODEL, VALUES.astype(float)).values.dtype == np.float64


def test_first_gives_index_0_and_own_the_batch_of_each_cell():
    cells = labelled(batch=("cell", ["b1", "b0", "b1", "b1"]))
    assert prepare_cells(MODEL, cells).batch.tolist() == [0, 0, 0, 0]
    assert prepare_cells(MODEL, cells, batch="own").batch.tolist() == [1, 0, 1, 1]


def test_the_hash_is_of_values_and_batches():
    cells = labelled(batch=("cell", ["b1", "b0", "b1", "b1"]))
    same = prepare_cells(MODEL, labelled(VALUES[:, ::-1], MODEL.genes[::-1]))
    assert same.sha256 == prepare_cells(MODEL, cells).sha256
    assert len({prepare_cells(MODEL, given).sha256 for given in (VALUES, VALUES * 2, VALUES[:3])}) == 3
    assert prepare_cells(MODEL, cells, batch="own").sha256 != same.sha256


NAN, NEGATIVE = VALUES.copy(), VALUES.copy()
NAN[1, 2], NEGATIVE[2, 1] = np.nan, -0.5


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (VALUES[:, :2], r"shape \(4, 2\); wanted \[cells, 3\]"),
        (VALUES[0], r"shape \(3,\)"),
        (VALUES[:0], "no control cells"),
        (NAN, "1 values that are not finite, the first in cell 1, RPL3"),
        (NEGATIVE, "1 values that are negative, the first in cell 2, MYC"),
        (np.full((4, 3), "1"), "of type <U1; wanted numbers"),
        (VALUES.astype(complex), "of type complex128; wanted numbers"),
        (labelled(genes=("TP53", "TP53", "RPL3")), "1 duplicate genes: TP53"),
        (labelled(genes=("TP53", "ENSG1", "RPL3")), "3 genes, without 1 that the model reads: MYC"),
        (xr.DataArray(VALUES, dims=("cell", "gene")), "wanted dimensions cell and gene, with gene names"),
        (xr.DataArray(VALUES, dims=("a", "b")), "DataArray of a, b"),
    ],
)
def test_cells_that_do_not_fit_are_refused_with_the_way_out(given: Any, message: str):
    with pytest.raises(InputError, match=message):
        prepare_cells(MODEL, given)


def test_batches_that_are_missing_or_unknown_are_refused():
    with pytest.raises(InputError, match=r"control cells without batches.*batch='first'"):
        prepare_cells(MODEL, VALUES, batch="own")
    with pytest.raises(UnknownNameError, match="unknown batch b7; wanted one of 2 known ones, such as b0, b1"):
        prepare_cells(MODEL, labelled(batch=("cell", ["b0", "b7", "b0", "b7"])), batch="own")
    with pytest.raises(InputError, match="batch 'mine'; wanted 'first'"):
        prepare_cells(MODEL, VALUES, batch="mine")  # type: ignore[arg-type] what a user may write


def test_a_set_size_that_the_model_refuses_is_named():
    fixed: Any = Subject(any_set_len=False)
    assert len(prepare_cells(fixed, VALUES).values) == 4
    with pytest.raises(InputError, match="a set of 3 cells; wanted 4"):
        prepare_cells(fixed, VALUES[:3])


def test_an_anndata_gives_its_controls():
    data = adata(gene=["non-targeting", "HSPA5", "non-targeting", "TP53"], gem_group=["b1", "b0", "b0", "b1"])
    cells = cells_of_anndata(data, MODEL)
    assert cells["cell"].values.tolist() == ["c0", "c2"]
    assert cells["batch"].values.tolist() == ["b1", "b0"]
    assert np.array_equal(cells.values, VALUES[[0, 2]])
    assert prepare_cells(MODEL, data, batch="own").batch.tolist() == [1, 0]


def test_an_anndata_without_perturbations_is_all_controls():
    bare = anndata.AnnData(X=VALUES, var=pd.DataFrame(index=pd.Index(MODEL.genes)))
    assert len(cells_of_anndata(bare, MODEL)) == 4
    bare.obs["sort"] = "x"
    assert len(cells_of_anndata(bare, MODEL)) == 4


def test_a_column_of_perturbations_that_the_model_does_not_know_is_refused():
    with pytest.raises(
        InputError, match=r"no non-targeting cells: obs\['gene'\] holds NT, x, none of which.*Mark them"
    ):
        cells_of_anndata(adata(gene=["NT", "x", "NT", "NT"]), MODEL)


NAMED = Columns("guide", "type", "lane", genes="symbol", expression="lognorm", control="NT")


def renamed() -> anndata.AnnData:
    """Cells with other names for everything, among columns that would be found first."""
    data = anndata.AnnData(X=np.full_like(VALUES, 9.5), var=pd.DataFrame(index=pd.Index(ENSEMBL)))
    data.layers["lognorm"] = VALUES
    data.var["symbol"] = list(MODEL.genes)
    data.obs["guide"], data.obs["gene"] = ["NT", "TP53", "NT", "NT"], "non-targeting"
    data.obs["type"], data.obs["lane"] = ["a", "a", "b", "a"], ["b1", "b1", "b0", "b0"]
    return data


def test_columns_are_those_that_the_study_names(tmp_path: Path):
    renamed().write_h5ad(tmp_path / "cells.h5ad")
    cells = read_cells(tmp_path / "cells.h5ad", MODEL, "a", NAMED)
    assert cells["cell"].values.tolist() == ["0", "3"]
    assert cells["batch"].values.tolist() == ["b1", "b0"]
    assert np.array_equal(prepare_cells(MODEL, cells).values, VALUES[[0, 3]])
    assert cells.equals(cells_of_anndata(renamed(), MODEL, "a", NAMED))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"perturbation": "guides"}, r"unknown column of obs guides \(nearest: guide"),
        ({"genes": "symbols"}, r"unknown column of var symbols \(nearest: symbol"),
        ({"expression": "lognrm"}, r"unknown column of obsm or layers lognrm \(nearest: lognorm"),
        ({"control": "ctrl"}, r"no ctrl cells: obs\['guide'\] holds NT, TP53; .*\[data.columns\] control"),
        ({"cell_line": "lane"}, "unknown cell line a"),
        ({"genes": None}, r"Ensembl identifiers \(ENSG00000141510\), the model's by gene symbols .*var\['symbol'\]"),
    ],
)  # fmt: skip
def test_a_named_column_that_does_not_serve_is_told(change: dict[str, str | None], message: str):
    with pytest.raises(InputError, match=message):
        cells_of_anndata(renamed(), MODEL, "a", replace(NAMED, **change))


def test_genes_of_another_kind_of_names_are_told_from_missing_ones():
    with pytest.raises(InputError, match=r"Ensembl identifiers .*Put the model's names into a column of var"):
        prepare_cells(MODEL, labelled(genes=ENSEMBL))
    assert kind_of(["7157", "4609", "RPL3"]) == NUMBERS
    assert mismatch(["ENSG00000141510.4"], ["ENSG00000141510"]) == (
        "one has Ensembl identifiers with a version, the other without (ENSG00000141510.4, ENSG00000141510)"
    )
    assert mismatch(MODEL.genes, MODEL.genes[::-1]) is None


def test_another_logarithm_than_the_natural_one_is_refused(tmp_path: Path):
    data = adata(x_hvg=None)
    data.uns["log1p"] = {"base": 2}
    data.write_h5ad(tmp_path / "base2.h5ad")
    for read in (lambda: cells_of_anndata(data, MODEL), lambda: read_cells(tmp_path / "base2.h5ad", MODEL)):
        with pytest.raises(InputError, match=r"a logarithm to the base 2 \(uns\['log1p'\]\)"):
            read()
    data.uns["log1p"] = {"base": None}
    assert len(cells_of_anndata(data, MODEL)) == 4


def test_a_study_states_nothing_else_of_its_columns():
    with pytest.raises(StudyError, match=r"unknown entry of \[data.columns\] perturbations \(nearest: perturbation"):
        Columns.of({"perturbations": "gene"})
    with pytest.raises(StudyError, match=r"\[data.columns\] batch = 1; wanted names"):
        Columns.of({"batch": 1})


def test_an_anndata_without_expression_is_refused():
    data = adata(x_hvg=None)
    data.X = None
    with pytest.raises(InputError, match=r"neither obsm\['X_hvg'\] nor X"):
        cells_of_anndata(data, MODEL)


def test_one_line_of_an_anndata_is_chosen():
    data = adata(cell_line=["hepg2", "jurkat", "hepg2", "jurkat"])
    assert cells_of_anndata(data, MODEL, "jurkat")["cell"].values.tolist() == ["c1", "c3"]
    with pytest.raises(UnknownNameError, match=r"unknown cell line k562.*such as hepg2, jurkat"):
        cells_of_anndata(data, MODEL, "k562")


@pytest.mark.parametrize("x_hvg", [VALUES, scipy.sparse.csr_matrix(VALUES), None])
def test_expression_may_be_dense_sparse_or_x_itself(x_hvg: Any):
    assert np.array_equal(prepare_cells(MODEL, adata(x_hvg=x_hvg)).values, VALUES)


def test_x_is_matched_by_name():
    data = adata(x_hvg=None)[:, ["RPL3", "TP53", "MYC"]].copy()
    assert np.array_equal(prepare_cells(MODEL, data).values, VALUES)


def test_an_anndata_without_controls_is_refused():
    with pytest.raises(InputError, match=r"no non-targeting cells: obs\['gene'\] holds perturbed cells only"):
        prepare_cells(MODEL, adata(gene=["TP53", "HSPA5", "TP53", "HSPA5"]))


def test_columns_that_disagree_on_the_controls_are_refused():
    second = ["non-targeting", "non-targeting", "TP53", "non-targeting"]
    with pytest.raises(InputError, match="columns gene, guide disagree"):
        prepare_cells(MODEL, adata(guide=second))


def test_an_x_hvg_of_another_width_or_order_is_refused():
    with pytest.raises(InputError, match=r"obsm\['X_hvg'\] with 2 columns; wanted 3"):
        prepare_cells(MODEL, adata(x_hvg=VALUES[:, :2]))
    with pytest.raises(InputError, match=r"2 columns under other names, the first is column 0: MYC; wanted TP53"):
        prepare_cells(MODEL, adata()[:, ["MYC", "TP53", "RPL3"]].copy())


def test_an_h5ad_file_is_read_and_a_broken_one_named(tmp_path: Path):
    adata(gem_group=["b1"] * 4).write_h5ad(tmp_path / "cells.h5ad")
    assert np.array_equal(read_cells(tmp_path / "cells.h5ad", MODEL).values, VALUES)
    for name, data, found in (
        ("perturbed", adata(gene=["TP53"] * 4), "no non-targeting cells"),
        ("nan", adata(x_hvg=NAN), "1 values that are not finite"),
        ("narrow", adata(x_hvg=VALUES[:, :2]), "2 columns; wanted 3"),
    ):
        data.write_h5ad(tmp_path / f"{name}.h5ad")
        with pytest.raises(InputError, match=rf"{name}\.h5ad: .*{found}"):
            read_cells(tmp_path / f"{name}.h5ad", MODEL)
    (tmp_path / "broken.h5ad").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"broken\.h5ad: not readable as h5ad"):
        read_cells(tmp_path / "broken.h5ad", MODEL)
    with pytest.raises(InputError, match=r"gone\.h5ad: not readable as h5ad"):
        read_cells(tmp_path / "gone.h5ad", MODEL)


@pytest.mark.parametrize(
    ("x_hvg", "found"),
    [
        (np.arange(12, dtype=np.float32).reshape(4, 3), r"whole numbers throughout.*the largest 11 in cell 3, RPL3"),
        (np.arange(12).reshape(4, 3), "whole numbers throughout, as counts are"),
        (VALUES * 10.1, "values that no log1p of counts has, the largest 27.775 in cell 3, RPL3.*Give log1p"),
    ],
)
def test_counts_that_are_no_log1p_are_refused(tmp_path: Path, x_hvg: np.ndarray, found: str):
    with pytest.raises(InputError, match=found):
        prepare_cells(MODEL, adata(x_hvg=x_hvg))
    adata(x_hvg=x_hvg).write_h5ad(tmp_path / "counts.h5ad")
    with pytest.raises(InputError, match=rf"counts\.h5ad: {found}"):
        read_cells(tmp_path / "counts.h5ad", MODEL)


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csc_matrix, pd.DataFrame])
def test_rows_are_read_from_disk_whatever_the_matrix_is(tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jacprobe.h5ad_file._BYTES", 7 * 3 * 4)  # seven rows at once
    rng = np.random.default_rng(0)
    values = np.where(rng.random((200, 3)) < 0.5, rng.random((200, 3)), 0).astype(np.float32)
    names = pd.Index([f"c{i}" for i in range(200)])
    genes = np.where(rng.random(200) < 0.3, "non-targeting", "TP53")
    obs = pd.DataFrame({"gene": genes, "gem_group": rng.choice(["b0", "b1"], 200), "share": rng.random(200)}, names)
    data = anndata.AnnData(obs=obs)
    data.obsm["X_hvg"] = (
        kind(values) if kind is not pd.DataFrame else pd.DataFrame(values, names, pd.Index(MODEL.genes))
    )
    data.write_h5ad(tmp_path / "cells.h5ad")
    cells = read_cells(tmp_path / "cells.h5ad", MODEL)
    in_parts = cells_of_file(tmp_path / "cells.h5ad", names_of(MODEL), None, None)  # here, where the size is changed
    np.testing.assert_array_equal(in_parts["values"], cells.values)
    chosen = genes == "non-targeting"
    assert cells["cell"].values.tolist() == names[chosen].tolist()
    assert cells["batch"].values.tolist() == obs["gem_group"][chosen].tolist()
    np.testing.assert_array_equal(cells.values, values[chosen])
    assert cells.equals(cells_of_anndata(data, MODEL))


SMALL_MEMORY = """
import resource, sys
from pathlib import Path
from tests.test_cells import Subject
from jacprobe.cells import read_cells

model = Subject(genes=tuple(f"G{i}" for i in range(2000)))
read_cells(sys.argv[1], model)  # imports what there is to import
held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
limit = int(held.split()[1]) * 1024 + 400 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
print(read_cells(sys.argv[2], model).sizes["cell"])
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="limits memory as Linux does")
def test_a_file_of_5_gigabytes_is_read_in_400_megabytes(tmp_path: Path):
    for name, n in (("few", 10), ("many", 600_000)):
        genes = np.where(np.arange(n) % 100 == 3, "non-targeting", "TP53")
        obs = pd.DataFrame({"gene": pd.Categorical(genes)}, index=pd.Index(np.arange(n).astype(str)))
        anndata.AnnData(obs=obs).write_h5ad(tmp_path / f"{name}.h5ad")
        with h5py.File(tmp_path / f"{name}.h5ad", "a") as file:
            expression = file.require_group("obsm").create_dataset(
                "X_hvg", (n, 2000), "f4"
            )  # zeros that take no room on disk
            expression.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    command = [sys.executable, "-c", SMALL_MEMORY, tmp_path / "few.h5ad", tmp_path / "many.h5ad"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1])
    assert run.stdout.strip() == "6000", run.stderr[-2000:]


def test_numbers_may_name_batches_and_missing_names_are_none(tmp_path: Path):
    numbered: Any = Subject(batches=("1", "2"))
    data = adata(gene=["non-targeting"] * 3 + ["TP53"])
    data.obs["gem_group"] = [1, 2, 1, 2]
    data.write_h5ad(tmp_path / "cells.h5ad")
    assert read_cells(tmp_path / "cells.h5ad", numbered)["batch"].values.tolist() == ["1", "2", "1"]
    data.obs["gene"] = pd.Categorical(["non-targeting", None, "TP53", None])
    data.write_h5ad(tmp_path / "cells.h5ad")
    assert read_cells(tmp_path / "cells.h5ad", numbered)["cell"].values.tolist() == ["c0"]


def test_a_file_cut_short_is_named(tmp_path: Path):
    path = tmp_path / "cells.h5ad"
    adata().write_h5ad(path)
    whole = path.read_bytes()
    for kept in (len(whole) // 2, len(whole) - 10, 100, 0):
        path.write_bytes(whole[:kept])
        with pytest.raises(InputError, match=r"cells\.h5ad: not readable as h5ad.*Copy the file again"):
            read_cells(path, MODEL)


def test_a_file_without_labels_or_of_an_old_layout_is_refused(tmp_path: Path):
    with h5py.File(tmp_path / "bare.h5ad", "w") as file:
        file["X"] = VALUES
    with pytest.raises(InputError, match=r"bare\.h5ad: not readable as h5ad.*obs"):
        read_cells(tmp_path / "bare.h5ad", MODEL)
    with h5py.File(tmp_path / "old.h5ad", "w") as file:
        for name in ("obs", "var"):
            file[name] = np.array([(b"c0", 1.0)], dtype=[("index", "S4"), ("n", "f8")])
    with pytest.raises(InputError, match=r"old\.h5ad: .*old layout.*write_h5ad"):
        read_cells(tmp_path / "old.h5ad", MODEL)


def test_x_of_other_genes_is_refused_by_name(tmp_path: Path):
    data = anndata.AnnData(X=VALUES, var=pd.DataFrame(index=pd.Index(["ENSG1", "MYC", "RPL3"])))
    data.write_h5ad(tmp_path / "other.h5ad")
    with pytest.raises(InputError, match=r"other\.h5ad: .*without 1 .*: TP53"):
        read_cells(tmp_path / "other.h5ad", MODEL)


@given(n=st.integers(1, 40), size=st.integers(1, 10), seed=st.integers(0, 99))
def test_draws_are_disjoint_and_the_same_for_the_same_seed(n: int, size: int, seed: int):
    cells = xr.DataArray(np.arange(n)[:, None], dims=("cell", "gene"), coords={"cell": np.arange(n)})
    draws = [draw_cells(cells, size, np.random.default_rng(seed), draw=i) for i in range(n // size)]
    assert all(draw.sizes["cell"] == size for draw in draws)
    drawn = [cell for draw in draws for cell in draw["cell"].values.tolist()]
    assert len(set(drawn)) == len(drawn)
    with pytest.raises(InputError, match=f"{n} control cells for draw {n // size} of {size} each"):
        draw_cells(cells, size, np.random.default_rng(seed), draw=n // size)
