"""Files are read in a process apart: what hangs or dies there is an error here, and nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from jacprobe import apart
from jacprobe.apart import read_apart
from jacprobe.cells import cells_of_file, names_of, read_cells
from jacprobe.columns import Columns
from jacprobe.errors import InputError, JacprobeError, StudyError
from jacprobe.h5ad_file import matrices, matrices_of_file, require_columns
from jacprobe.observed import read_observed
from jacprobe.scaffold.data import guess_expression, guess_labels
from tests.conftest import ROOT
from tests.security import endings
from tests.security.conftest import LINUX
from tests.security.readers import small_memory
from tests.test_cells import MODEL, adata

if TYPE_CHECKING:
    from collections.abc import Callable


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not LINUX or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether something comes to hold within some seconds."""
    ended = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ended:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file"


def test_what_is_returned_comes_back_from_another_process_without_torch(file: Path, monkeypatch):
    monkeypatch.chdir(file.parent)
    told = read_apart(endings.tell, Path("file"), needs=("h5py",), names=["TP53", "ä\x1b"], nothing=None)
    again = read_apart(endings.tell, file)
    assert told["pid"] not in (os.getpid(), again["pid"])
    assert (told["path"], told["names"], told["nothing"]) == ("file", ["TP53", "ä\x1b"], None)
    np.testing.assert_array_equal(told["big"], [[0, 3], [1, 4], [2, 5]])
    assert told["big"].dtype == ">f8"
    assert (told["none"].shape, told["none"].dtype, bool(told["flag"])) == ((0, 4), np.int16, True)
    assert "h5py" in told["modules"]
    assert not {"torch", "statsmodels", "matplotlib", "pytest"} & set(told["modules"])


def test_what_hangs_is_an_error_after_its_time_and_is_gone(file: Path, monkeypatch):
    monkeypatch.setattr(apart, "FEWEST_SECONDS", 1.0)
    begun = time.monotonic()
    with pytest.raises(InputError, match=rf"{file}: not read in 1 s; wanted a file that is whole"):
        read_apart(endings.hang, file)
    assert time.monotonic() - begun < 10
    assert not alive(int(file.read_text()))


def test_time_grows_with_the_file(file: Path, monkeypatch):
    monkeypatch.setattr(apart, "FEWEST_SECONDS", 0.5)
    monkeypatch.setattr(apart, "BYTES_A_SECOND", 10)
    file.write_bytes(b"x" * 15)
    with pytest.raises(InputError, match="not read in 2 s"):
        read_apart(endings.hang, file)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGBUS])
def test_what_dies_is_an_error_that_names_file_and_signal(file: Path, number: signal.Signals):
    with pytest.raises(InputError, match=rf"{file}: the process that read it died of {number.name}; wanted"):
        read_apart(endings.die, file, number=int(number))


def test_an_end_without_an_answer_is_an_error(file: Path):
    with pytest.raises(InputError, match="ended without an answer"):
        read_apart(endings.leave, file)


def test_a_fault_of_the_reader_is_told_with_its_place_and_without_escapes(file: Path):
    with pytest.raises(RuntimeError, match=r"(?s)endings\.py.*in fail.*ZeroDivisionError: \\x1b\[31m"):
        read_apart(endings.fail, file, text="\x1b[31m")


@pytest.mark.skipif(not LINUX, reason="limits memory as Linux does")
def test_the_process_apart_has_the_memory_that_this_one_may_have(file: Path):
    assert read_apart(endings.allocate, file, nbytes=2**20)["size"] == 2**20
    with small_memory(2**20), pytest.raises(MemoryError, match="more memory than there is"):
        read_apart(endings.allocate, file, nbytes=2**34)


def test_where_the_forking_process_was_killed_the_next_file_is_read(file: Path):
    first = read_apart(endings.tell, file)
    process = apart._SERVERS[os.getpid()].process
    process.kill()
    process.wait()
    assert read_apart(endings.tell, file)["pid"] != first["pid"]


def test_where_the_forking_process_dies_meanwhile_it_is_said(file: Path):
    read_apart(endings.tell, file)
    server = apart._SERVERS[os.getpid()]
    os.kill(server.process.pid, signal.SIGSTOP)  # so that it is there, and never answers
    killer = subprocess.Popen([sys.executable, "-c", f"import os; os.kill({server.process.pid}, 9)"])
    with pytest.raises(JacprobeError, match="the process that forks those that read ended"):
        read_apart(endings.tell, file)
    killer.wait()
    assert read_apart(endings.tell, file)["path"] == str(file)


PROGRAM = """
import sys
from pathlib import Path
from jacprobe.apart import read_apart
from tests.security import endings
read_apart(endings.hang, Path(sys.argv[1]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_who_reads_ends_the_reading_in_five_seconds(file: Path, number: signal.Signals):
    running = subprocess.Popen([sys.executable, "-c", PROGRAM, file], cwd=ROOT, stderr=subprocess.DEVNULL)
    assert eventually(lambda: file.read_text() != "", 60)
    reader = int(file.read_text())
    assert alive(reader)
    begun = time.monotonic()
    running.send_signal(number)
    assert running.wait(timeout=5) != 0
    assert eventually(lambda: not alive(reader), 5 - (time.monotonic() - begun))


def test_an_h5ad_file_on_which_hdf5_hangs_is_an_error(tmp_path: Path, monkeypatch):
    adata(batch=["b0", "b1", "b0", "b1"]).write_h5ad(tmp_path / "cells.h5ad")
    assert read_cells(tmp_path / "cells.h5ad", MODEL).shape == (4, 3)
    monkeypatch.setattr(apart, "FEWEST_SECONDS", 3.0)
    (tmp_path / "cells.h5ad").write_bytes(endings.looping((tmp_path / "cells.h5ad").read_bytes()))
    with pytest.raises(InputError, match=r"cells\.h5ad: not read in 3 s"):
        read_cells(tmp_path / "cells.h5ad", MODEL)
    with pytest.raises(StudyError, match=r"cells\.h5ad: not read in 3 s"):
        read_observed(tmp_path / "cells.h5ad", "hepg2")


@pytest.mark.parametrize("x_hvg", [True, False])
@pytest.mark.parametrize("line", [None, "jurkat"])
def test_cells_are_those_that_this_process_would_read(tmp_path: Path, x_hvg: bool, line: str | None):
    more: dict[str, Any] = {} if x_hvg else {"x_hvg": None}
    data = adata(batch=["b0", "b1", "b0", "b1"], cell_line=["hepg2", "jurkat", "hepg2", "jurkat"], **more)
    data.write_h5ad(tmp_path / "cells.h5ad")
    here = cells_of_file(tmp_path / "cells.h5ad", names_of(MODEL), line, None)
    there = read_cells(tmp_path / "cells.h5ad", MODEL, line)
    np.testing.assert_array_equal(there.values, here["values"])
    assert there.dtype == here["values"].dtype
    assert {name: there[name].values.tolist() for name in ("cell", "gene", "batch")} == {
        name: here[name] for name in ("cell", "gene", "batch")
    }
    assert there.attrs == here["attrs"] == {"units": "log1p"}
    assert matrices(tmp_path / "cells.h5ad") == matrices_of_file(tmp_path / "cells.h5ad")["matrices"]


def test_nothing_of_an_h5ad_file_is_read_in_this_process(valid: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)  # an ImportError for whoever asks
    cells = valid / "cells.h5ad"
    with pytest.raises(ImportError):
        matrices_of_file(cells)
    assert read_cells(cells, MODEL, columns=Columns(batch="batch")).shape == (4, 3)
    assert read_observed(valid / "observed.h5ad", "hepg2").shape == (2, 2)
    assert matrices(cells)
    require_columns(cells, Columns(perturbation="gene"))
    given = Columns(perturbation="gene", cell_line="batch")
    assert guess_labels(cells, MODEL, (), given).lines == ("b0", "b1")
    with pytest.raises(InputError, match="no matrix that the model can read"):
        guess_expression(cells, MODEL, "k562", given)
