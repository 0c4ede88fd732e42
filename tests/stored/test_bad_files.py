"""Files that are not what their names promise are refused by name, and no code in them is run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jacprobe.errors import StudyError, UnsafePickleError
from jacprobe.stored.catalogue import onehot
from jacprobe.stored.evidence import StoredEvidence
from jacprobe.stored.tables import Tables
from tests.stored.conftest import GENES, KDS, frame, write_csv

JACOBIANS, NAMES = "nb05_jacobians.npy", "nb05_jacobian_kd_names.pkl"
DELTA, ONEHOT = "nb05_delta_y.parquet", "nb08_jacobians_onehot.npy"


class Payload:
    def __reduce__(self):
        return os.system, ("touch ran",)


def check(folder):
    StoredEvidence.at(folder).check()


def test_what_is_whole_passes(arrays):
    check(arrays)


def test_a_names_pickle_with_code_in_it_does_not_run(scratch, monkeypatch):
    folder = scratch(JACOBIANS)
    monkeypatch.chdir(folder)
    (folder / NAMES).write_bytes(pickle.dumps([Payload()]))
    with pytest.raises(UnsafePickleError, match=f"{NAMES}.*system"):
        check(folder)
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (KDS[:19], "20 along kd, but 19 names"),
        (KDS[:19] + KDS[:1], "RPL3 twice"),
        (dict.fromkeys(KDS[:20]), "a dict; wanted a list of names"),
        (list(range(20)), "wanted a list of names"),
    ],
)
def test_names_that_do_not_fit_the_array(scratch, names, message):
    folder = scratch(JACOBIANS)
    (folder / NAMES).write_bytes(pickle.dumps(names))
    with pytest.raises(StudyError, match=message):
        check(folder)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ([4, 0, 1, 2, 3, *range(5, 20)], "RPL3 after RPL7, in another order than nb05_clusters.csv gives"),
        ([1, 0, *range(2, 20)], "RPL3 after RPL4, in another order than nb05_delta_y.parquet gives"),
        ([*range(19), 99], "KD99, not in nb05_clusters.csv"),
    ],
)
def test_names_in_another_order_than_they_were_chosen_in(scratch, order, message):
    folder = scratch(JACOBIANS, DELTA, "nb05_clusters.csv")
    (folder / NAMES).write_bytes(pickle.dumps([KDS[i] if i < 60 else f"KD{i}" for i in order]))
    with pytest.raises(StudyError, match=rf"{NAMES}: {message}.*Take lists, tables and arrays from one run"):
        check(folder)


def test_a_random_list_goes_by_clusters_alone(scratch):
    folder = scratch(DELTA, "nb05_clusters.csv")
    (folder / "nb09_jacobian_kd_names.pkl").write_bytes(pickle.dumps([KDS[i] for i in (1, 0, 2, 7, 4)]))
    check(folder)
    (folder / "nb09_jacobian_kd_names.pkl").write_bytes(pickle.dumps([KDS[i] for i in (1, 7, 2)]))
    with pytest.raises(StudyError, match=r"RPL5 after RPL10, in another order than nb05_clusters\.csv"):
        check(folder)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 328, 2000), np.float32), "float32 of shape 20 x 328 x 2000; wanted numbers of shape any x 2000"),
        (np.zeros((20, 2000), np.float32), "shape 20 x 2000"),
        (np.array([["a"]]), "shape 1 x 1"),
        (np.array([None]), "not readable as a NumPy array"),
    ],
)
def test_arrays_of_another_shape_or_kind(scratch, array, message):
    folder = scratch(NAMES)
    np.save(folder / JACOBIANS, array)
    with pytest.raises(StudyError, match=f"{JACOBIANS}.*{message}"):
        check(folder)


@pytest.mark.parametrize(("name", "message"), [(JACOBIANS, "NumPy array"), (DELTA, "Parquet")])
def test_a_truncated_file_is_to_be_copied_again(scratch, name, message):
    folder = scratch(name, NAMES)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(StudyError, match=rf"{name}: not readable as (a )?{message}.*Copy it again"):
        check(folder)


def test_correlations_of_other_weights_than_the_responses(scratch, arrays):
    folder = scratch(DELTA, "nb06_delta_y.parquet")
    lines = [(kd, 0.5) for kd in KDS]
    write_csv(folder / "nb06_kd_fewshot_zeroshot_corr.csv", ["", "pearson_r"], lines)
    with pytest.raises(StudyError, match="of different weights"):
        check(folder)
    own, other = (pd.read_parquet(folder / f"nb0{i}_delta_y.parquet") for i in (5, 6))
    right = [(kd, np.corrcoef(own.loc[kd], other.loc[kd])[0, 1]) for kd in KDS]
    write_csv(folder / "nb06_kd_fewshot_zeroshot_corr.csv", ["", "pearson_r"], right)
    check(folder)


def test_response_tables_of_other_genes(scratch):
    folder = scratch(DELTA)
    responses = pd.read_parquet(folder / DELTA)
    responses[GENES[::-1]].to_parquet(folder / "nb06_delta_y.parquet")
    with pytest.raises(StudyError, match="other genes, or in another order"):
        Tables(folder).genes()


def test_cosines_in_another_order_than_the_features(tmp_path):
    values = np.random.default_rng(0).gamma(1.0, 1.0, (12, 2624))
    columns = [str(i) for i in range(2624)]
    frame(values, KDS[:12], columns).to_parquet(tmp_path / "pert_mean_features_hepg2.parquet")
    rows = values / np.linalg.norm(values, axis=1, keepdims=True)
    np.save(tmp_path / "nb01_sim_h.npy", rows @ rows.T)
    check(tmp_path)
    np.save(tmp_path / "nb01_sim_h.npy", (rows @ rows.T)[::-1, ::-1])
    with pytest.raises(StudyError, match=r"nb01_sim_h\.npy: cosines up to .* in another order"):
        check(tmp_path)


def test_silenced_genes_are_places_among_the_genes(scratch):
    folder = scratch(DELTA)
    np.save(folder / "insilico_ko_hepg2.npy", np.zeros((3, 2000), np.float32))
    np.save(folder / "insilico_ko_gene_idx.npy", np.array([5, 0, 7]))
    assert Tables(folder).knockouts("insilico_ko_hepg2.npy")["gene_in"].values.tolist() == ["G5", "G0", "G7"]
    for index, message in (([5, 0], "3 along gene_in, but 2 names"), ([5, 0, 2000], "0 to 1999"), ([5, 5, 7], "twice")):
        np.save(folder / "insilico_ko_gene_idx.npy", np.array(index))
        with pytest.raises(StudyError, match=message):
            Tables(folder).knockouts("insilico_ko_hepg2.npy")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([("A", "1"), ("A", "2")], "A twice"),
        ([("A", "one")], "line 2: cluster is 'one'; wanted a finite number"),
        ([("A", "1.5")], "no whole numbers"),
        ([], "no rows"),
    ],
)
def test_tables_of_clusters(tmp_path, lines, message):
    write_csv(tmp_path / "nb05_clusters.csv", ["pert_name", "cluster"], lines)
    with pytest.raises(StudyError, match=message):
        check(tmp_path)


def test_a_table_without_its_column(tmp_path):
    write_csv(tmp_path / "nb05_clusters.csv", ["gene", "cluster"], [("A", 1)])
    with pytest.raises(StudyError, match="no column 'pert_name'"):
        check(tmp_path)


def test_responses_that_are_no_numbers(tmp_path):
    frame([["x"]], ["A"], ["G"]).to_parquet(tmp_path / DELTA)
    with pytest.raises(StudyError, match="values that are no numbers"):
        check(tmp_path)
    frame([[np.nan]], ["A"], ["G"]).to_parquet(tmp_path / DELTA)
    with pytest.raises(StudyError, match="not finite"):
        check(tmp_path)


def write_large(folder):
    """Write 3.6 GB of one-hot Jacobians of 225 knockdowns: a hole on disk but for a number in each."""
    rows, width = 225, 2000 * 2024 * 4
    (folder / NAMES).write_bytes(pickle.dumps([f"KD{i}" for i in range(rows)]))
    with (folder / ONEHOT).open("wb") as file:
        head = {"descr": "<f4", "fortran_order": False, "shape": (rows, 2000, 2024)}
        np.lib.format.write_array_header_1_0(file, head)
        begin = file.tell()
        file.truncate(begin + rows * width)
        for i in range(rows):
            file.seek(begin + i * width + 4 * i)
            file.write(np.float32(i + 1).tobytes())


def test_an_array_larger_than_memory_is_mapped(tmp_path):
    write_large(tmp_path)
    tables = StoredEvidence.at(tmp_path).tables
    J = onehot(tables)
    assert J.nbytes == 225 * 2000 * 2024 * 4
    assert isinstance(J.variable.values.base, np.memmap) or isinstance(J.values, np.memmap)
    assert float(J[224, 0].sum()) == 225


SMALL_MEMORY = """
import resource, sys
from pathlib import Path
import xarray  # what there is to import, before memory is scarce
from jacprobe.requests import Among, Jacobian, Listed, OnehotCosine, OnehotNorm
from jacprobe.opening import open_study

study = open_study("replogle-nadig", evidence=Path(sys.argv[1]))
study.stored.check()
held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
limit = int(held.split()[1]) * 1024 + 600 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
request = {"norms": OnehotNorm, "cosines": OnehotCosine}[sys.argv[2]]
found = study.resolve(request(Among(Jacobian("fewshot/hepg2"), Listed("fewshot/hepg2"))))
print(found.sizes["kd"], float(found.values.sum()))
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="limits memory as Linux does")
@pytest.mark.parametrize(
    ("what", "answer"),
    [("norms", sum(range(1, 226))), ("cosines", 225)],
)
@pytest.mark.slow
def test_an_array_of_3_6_gigabytes_is_read_in_600_megabytes(tmp_path, what, answer):
    write_large(tmp_path)
    command = [sys.executable, "-c", SMALL_MEMORY, tmp_path, what]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert run.stdout.split() == ["225", str(float(answer))], run.stderr[-2000:]


def test_one_hot_jacobians_of_another_width_or_list(scratch):
    folder = scratch(DELTA, NAMES)
    np.save(folder / ONEHOT, np.zeros((20, 2000, 328), np.float32))
    with pytest.raises(StudyError, match=rf"{ONEHOT}: float32 of shape 20 x 2000 x 328; wanted .* any x 2000 x 2024"):
        check(folder)
    np.save(folder / ONEHOT, np.zeros((2, 2000, 2024), np.float32))
    with pytest.raises(StudyError, match="2 along kd, but 20 names"):
        check(folder)
