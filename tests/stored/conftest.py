"""Files as the original analysis wrote them, of sixty knockdowns and random numbers."""

from __future__ import annotations

import csv
import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

KDS = [
    *(f"RPL{i}" for i in range(3, 15)),
    *(f"TRAPPC{i}" for i in range(1, 13)),
    *("SMU1", "UPF1", "UPF2", "SNRPD1", "LRPPRC", "POLRMT", "MTPAP", "FOXO1", "FDPS", "CHEK1", "SRP54", "HSPA5"),
    *(f"KD{i}" for i in range(24)),
]
GENES = [f"G{i}" for i in range(2000)]


def write_csv(path: Path, header: list[str], lines: Sequence[tuple[Any, ...]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)


def frame(values: Any, kds: Sequence[str], genes: Sequence[str]) -> pd.DataFrame:
    """Return a table with names on both axes."""
    return pd.DataFrame(values, index=pd.Index(kds), columns=pd.Index(genes))


def write_tables(folder: Path) -> None:
    """Write NB05's and NB06's tables of clusters and correlations."""
    for notebook, shift in (("nb05", 0), ("nb06", 3)):
        lines = [(kd, 1 + (i + shift) // 4 % 15) for i, kd in enumerate(KDS)]
        write_csv(folder / f"{notebook}_clusters.csv", ["pert_name", "cluster"], lines)
    r = np.linspace(0.9, -0.3, len(KDS))
    write_csv(folder / "nb06_kd_fewshot_zeroshot_corr.csv", ["", "pearson_r"], [*zip(KDS, r.tolist(), strict=True)])


def write_arrays(folder: Path, rng: np.random.Generator) -> None:
    """Write NB05's and NB06's responses and Jacobians, of twenty knockdowns each, eight of them in both."""
    for notebook, listed in (("nb05", KDS[:20]), ("nb06", KDS[12:32])):
        # The first the strongest, as of each cluster those chosen for Jacobians are.
        sizes = 0.9 ** np.arange(len(KDS))[:, None]
        responses = (sizes * rng.normal(size=(len(KDS), 2000))).astype(np.float32)
        frame(responses, KDS, GENES).to_parquet(folder / f"{notebook}_delta_y.parquet")
        np.save(folder / f"{notebook}_jacobians.npy", rng.normal(size=(len(listed), 2000, 328)).astype(np.float32))
        (folder / f"{notebook}_jacobian_kd_names.pkl").write_bytes(pickle.dumps(listed))


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with the tables alone."""
    write_tables(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clusters, responses and Jacobians, which no test changes."""
    folder = tmp_path_factory.mktemp("arrays")
    write_tables(folder)
    (folder / "nb06_kd_fewshot_zeroshot_corr.csv").unlink()
    write_arrays(folder, np.random.default_rng(0))
    return folder


@pytest.fixture
def scratch(arrays: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a folder with links to some of the arrays, to be spoiled."""

    def make(*names: str) -> Path:
        for name in names:
            (tmp_path / name).write_bytes((arrays / name).read_bytes())
        return tmp_path

    return make
