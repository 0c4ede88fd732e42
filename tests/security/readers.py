"""Every reader of a stranger's file, with a valid file for it, and ways to damage one.

They are tried by hypothesis on every run (`test_fuzz.py`) and by a coverage-guided fuzzer (`bench/fuzz.py`).
"""

from __future__ import annotations

import contextlib
import json
import pickle
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from fixtures.run_folders import Shape, write_run_folder
from jacprobe import kept_estimates
from jacprobe.cells import read_cells
from jacprobe.errors import JacprobeError
from jacprobe.gene_sets import read_gmt
from jacprobe.models.state_identity import identify
from jacprobe.observed import read_observed
from jacprobe.opening import open_study
from jacprobe.probes.sae import load_sae
from jacprobe.store.entry import Entry
from jacprobe.store.fill import evidence
from jacprobe.store.store import Store
from jacprobe.stored import readers
from jacprobe.verdicts.expectations import read_expectations
from jacprobe.verdicts.ledger import read_cut_ledger, read_ledger, write_ledger
from tests.report.ledgers import few
from tests.test_cells import MODEL, adata
from tests.test_kept_estimates import WHOLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUN, STUDY, KEY = "fewshot-hepg2", "study", {"probe": "Delta", "version": 1}
LABELS = {"kd": ["A", "B", "C"], "gene": ["G", "H"]}
STUDY_TOML = """name = "mine"
title = "A study"
[models."fewshot/hepg2"]
run = "run"
cell_line = "hepg2"
sae = "sae"
[data]
control_cells = "cells.h5ad"
n_cells = 4
[gene_sets.mine]
kind = "kd"
patterns = ["^RP[SL]\\\\d+"]
genes = ["TP53"]
clean = { patterns = ["^RPL"], genes = [] }
[shapes]
genes = 449
[features]
layer = 1
"""
EXPECTED = '[nb02-a]\nexpected = ["SUPPORTED", "REFUTED"]\nreason = "planted"\ncriterion = "0123"\n'


@dataclass(frozen=True)
class Reader:
    """A file in a folder of valid ones, and what reads it: an error of jacprobe's own or a valid read."""

    name: str
    file: str
    read: Callable[[Path], object]


def write_valid(folder: Path) -> Path:
    """Write a valid file for every reader below `folder`."""
    write_run_folder(folder / RUN, Shape(), rng=np.random.default_rng(0))
    (folder / STUDY / "run").mkdir(parents=True)
    (folder / STUDY / "sae").mkdir()
    (folder / STUDY / "cells.h5ad").touch()
    (folder / STUDY / "study.toml").write_text(STUDY_TOML)
    (folder / "expected.toml").write_text(EXPECTED)
    (folder / "sets.gmt").write_text("ONE\thttp://x\tRPL3,1.0\tRPL4\nTWO\t\tMYC\n")
    write_ledger(folder / "verdicts.jsonl", few())
    adata(batch=["b0", "b1", "b0", "b1"]).write_h5ad(folder / "cells.h5ad")
    adata(x_hvg=None).write_h5ad(folder / "named.h5ad")
    _observed().write_h5ad(folder / "observed.h5ad")
    np.save(folder / "array.npy", np.ones((3, 4), np.float32))
    pd.DataFrame(np.ones((3, 2), np.float32), index=pd.Index(list("ABC")), columns=pd.Index(["G", "H"])).to_parquet(
        folder / "frame.parquet"
    )
    (folder / "table.csv").write_text("pert_name,cluster\nA,1\nB,2\nC,1\n")
    (folder / "names.pkl").write_bytes(pickle.dumps(["RPL3", "MYC", "TP53"]))
    _write_sae(folder / "sae")
    evidence(Store.at(folder / "store"), KEY, LABELS, lambda _: np.ones(2, np.float32))
    kept_estimates.write(folder / "one.npz", WHOLE)
    return folder


def entry_of(folder: Path) -> Path:
    """Return the folder of the one entry in the store below `folder`."""
    return next(path for path in (folder / "store").iterdir() if (path / "values").is_dir())


def readers_of(folder: Path) -> tuple[Reader, ...]:
    """Return every reader, for the valid files below `folder`."""
    entry = entry_of(folder).relative_to(folder).as_posix()

    def run(_: Path) -> object:
        return identify(folder / RUN)

    def stored(_: Path) -> object:
        found = Entry(folder / entry)
        return None if any(map(found.fault, found.names)) else found.open().load()

    def sae(_: Path) -> object:
        return load_sae(folder / "sae").encode(torch.zeros(1, 6))

    return (
        *(Reader(name, f"{RUN}/{name}", run) for name in ("checkpoints/best.ckpt", "pert_onehot_map.pt")),
        *(Reader(name, f"{RUN}/{name}", run) for name in ("batch_onehot_map.torch", "var_dims.pkl")),
        *(Reader(name, f"{RUN}/{name}", run) for name in ("config.yaml", "split.toml")),
        Reader("study.toml", f"{STUDY}/study.toml", lambda _: open_study(folder / STUDY).gene_sets),
        Reader("expected.toml", "expected.toml", lambda path: read_expectations(path, ("nb02-a",))),
        Reader("GMT", "sets.gmt", read_gmt),
        Reader("ledger", "verdicts.jsonl", read_ledger),
        Reader("cut ledger", "verdicts.jsonl", read_cut_ledger),
        Reader("cells", "cells.h5ad", lambda path: read_cells(path, MODEL)),
        Reader("cells by name", "named.h5ad", lambda path: read_cells(path, MODEL)),
        Reader("observed", "observed.h5ad", lambda path: read_observed(path, "hepg2")),
        Reader("npy", "array.npy", lambda path: np.array(readers.read_array(path, (None, 4)))),
        Reader("parquet", "frame.parquet", readers.read_frame),
        Reader("csv", "table.csv", lambda path: readers.read_vector(path, "pert_name", "cluster")),
        Reader("names", "names.pkl", readers.read_names),
        Reader("SAE weights", "sae/sae_weights.safetensors", sae),
        Reader("SAE options", "sae/cfg.json", sae),
        Reader("entry", f"{entry}/zarr.json", stored),
        Reader("array", f"{entry}/values/zarr.json", stored),
        Reader("chunk", f"{entry}/values/c/1/0", stored),
        Reader("estimate", "one.npz", kept_estimates.read),
    )


def attempt(reader: Reader, folder: Path, content: bytes) -> str:
    """Read `content` in place of the valid file: "read" or "refused"; whatever else is raised is a fault of jacprobe's.

    A kept estimate that is damaged is no error: it is measured again.
    """
    path = folder / reader.file
    valid = path.read_bytes()
    path.write_bytes(content)
    try:
        found = reader.read(path)
    except JacprobeError:
        return "refused"
    finally:
        path.write_bytes(valid)
    return "refused" if found is None else "read"


@contextlib.contextmanager
def small_memory(nbytes: int = 2**30) -> Iterator[None]:
    """Let what is done inside have `nbytes` beyond what the process has now: more is a MemoryError at once."""
    lines = Path("/proc/self/status").read_text().splitlines()
    held = int(next(line for line in lines if line.startswith("VmData")).split()[1]) * 1024
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _observed() -> anndata.AnnData:
    obs = pd.DataFrame(
        {"cell_line": ["hepg2", "hepg2", "jurkat"], "gene": ["A", "B", "A"], "n_cells": [5, 6, 7]},
        index=pd.Index(["0", "1", "2"]),
    )
    return anndata.AnnData(np.ones((3, 2), np.float32), obs=obs, var=pd.DataFrame(index=pd.Index(["G", "H"])))


def _write_sae(folder: Path) -> None:
    folder.mkdir()
    rng = torch.Generator().manual_seed(0)
    sizes: dict[str, Any] = {"W_enc": (6, 10), "b_enc": (10,), "W_dec": (10, 6), "b_dec": (6,)}
    save_file(
        {name: torch.randn(*size, generator=rng) for name, size in sizes.items()}, folder / "sae_weights.safetensors"
    )
    (folder / "cfg.json").write_text(json.dumps({"architecture": "topk", "k": 3, "d_in": 6, "d_sae": 10}))
