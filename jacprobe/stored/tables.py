"""The original's tables in a folder: each read once, checked against what the others say, and held."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import StudyError
from jacprobe.stored import readers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import xarray as xr

CONTROL = "non-targeting"
GENES, LATENT, FEATURES = 2000, 328, 2624
FRAMES = ("nb05_delta_y.parquet", "nb06_delta_y.parquet")
SILENCED = "insilico_ko_gene_idx.npy"
UNNAMED = "Unnamed: 0"  # what pandas calls the index column that it wrote without a name
# By what each list of knockdowns was chosen, cluster by cluster, and in each by the mean |dY|; NB09's at random.
CHOSEN_BY: dict[str, tuple[str, str | None]] = {
    "nb05_jacobian_kd_names.pkl": ("nb05_clusters.csv", "nb05_delta_y.parquet"),
    "nb06_jacobian_kd_names.pkl": ("nb06_clusters.csv", "nb06_delta_y.parquet"),
    "nb09_jacobian_kd_names.pkl": ("nb05_clusters.csv", None),
}
_ONE_RUN = "Take lists, tables and arrays from one run."
_ROUNDING = 1e-5  # of a mean over float32 values
_SAME = 1e-3  # of a correlation or cosine of float32 rows


@dataclass(frozen=True)
class Tables:
    """Files of a folder by name; nothing is read before it is asked for."""

    folder: Path
    _held: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False, compare=False)

    def has(self, *files: str) -> bool:
        """Tell whether files are there."""
        return all((self.folder / name).is_file() for name in files)

    def sha256(self, name: str) -> str:
        """Return the hash of a file's bytes."""

        def digest(path: Path) -> str:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        return self._once("sha256", name, digest)

    def frame(self, name: str) -> xr.DataArray:
        """Return responses of knockdowns: (kd, gene), the control left out."""
        return self._once("frame", name, lambda path: _without_control(readers.read_frame(path)))

    def clusters(self, name: str) -> xr.DataArray:
        """Return the cluster of each knockdown: (kd,), whole numbers."""

        def read(path: Path) -> xr.DataArray:
            found = readers.read_vector(path, "pert_name", "cluster")
            if (found.values != found.values.astype(int)).any():
                raise StudyError("clusters that are no whole numbers", "cluster numbers", where=path)
            return _without_control(found.astype(int))

        return self._once("clusters", name, read)

    def correlations(self, name: str) -> xr.DataArray:
        """Return the correlation of each knockdown's responses in two models: (kd,), in [-1, 1].

        Raises
        ------
        StudyError
            If both response tables are there and give other correlations: the files are of different weights.
        """

        def read(path: Path) -> xr.DataArray:
            found = readers.read_vector(path, UNNAMED, "pearson_r")
            if (abs(found.values) > 1).any():
                raise StudyError("correlations beyond 1", "Pearson correlations", where=path)
            found = _without_control(found)
            self._require_same_weights(found, path)
            return found

        return self._once("correlations", name, read)

    def distribution(self, name: str, *, control: bool = False) -> xr.DataArray:
        """Return J of one pair at each perturbation: (kd,), with `control` non-targeting too."""
        found = self._once("distribution", name, lambda path: readers.read_vector(path, "kd", "J"))
        return found if control else _without_control(found)

    def panel(self, name: str, panel: str) -> xr.DataArray:
        """Return the targeted Jacobians of a panel: (kd, regulator, target)."""
        path, columns = self.folder / name, ("pathway", "regulator", "target", "kd", "J")
        table = self._once("panels", name, lambda path: readers.read_table(path, columns, ("J",)))
        chosen = table[table["pathway"] == panel.removeprefix("panel_")]
        array = chosen.set_index(["kd", "regulator", "target"])["J"]
        if chosen.empty or not array.index.is_unique:
            raise StudyError(f"no table of {panel} with each triple once", "one J a triple", where=path)
        order = {axis: list(dict.fromkeys(chosen[axis])) for axis in ("kd", "regulator", "target")}
        found = array.to_xarray().reindex(order)
        if found.isnull().any():
            raise StudyError(f"triples of {panel} are missing", "every combination", where=path)
        return found

    def names(self, name: str) -> tuple[str, ...]:
        """Return a list of knockdowns.

        Raises
        ------
        StudyError
            If it is not in the order of the clusters and responses that it was chosen by: an array of that order would
            be read under other names.
        """
        found = tuple(self._once("names", name, readers.read_names))
        clusters, responses = CHOSEN_BY[name]
        if self.has(clusters):
            self._once("order", name, lambda path: self._require_order(found, clusters, responses, path))
        return found

    def genes(self) -> tuple[str, ...]:
        """Return the output genes in the models' order; empty where no table names them.

        Raises
        ------
        StudyError
            If the two response tables name other genes, or in another order.
        """
        named = {name: tuple(map(str, self.frame(name)["gene"].values)) for name in FRAMES if self.has(name)}
        first = next(iter(named.values()), ())
        for name, genes in named.items():
            if genes != first:
                raise StudyError("other genes, or in another order", f"those of {FRAMES[0]}", where=self.folder / name)
        return first

    def silenced(self) -> tuple[str, ...]:
        """Return the silenced genes: by name where a table names the genes, else by their place."""
        path, index = self.folder / SILENCED, self._once("array", SILENCED, lambda p: readers.read_array(p, (None,)))
        genes = self.genes() or tuple(f"gene {place}" for place in range(GENES))
        if index.dtype.kind not in "iu" or (index < 0).any() or (index >= len(genes)).any():
            raise StudyError("places that are none", f"whole numbers from 0 to {len(genes) - 1}", where=path)
        if len(set(index.tolist())) < len(index):
            raise StudyError("a place twice", "each silenced gene once", where=path)
        return tuple(genes[place] for place in index)

    def features(self, line: str, *, centre: bool) -> xr.DataArray:
        """Return mean features of each knockdown: (kd, feature), with `centre` minus the mean over knockdowns.

        Raises
        ------
        StudyError
            If the cosines that the original stored beside them are of other features, or in another order.
        """
        name, sims = f"pert_mean_features_{line}.parquet", f"nb01_sim_{line[0]}.npy"

        def read(path: Path) -> xr.DataArray:
            found = readers.read_frame(path).rename(gene="feature")
            if found.sizes["feature"] != FEATURES:
                raise StudyError(f"{found.sizes['feature']} features", f"{FEATURES}", where=path)
            if self.has(sims):
                self._require_same_cosines(found, sims, name)
            return _without_control(found)

        found = self._once("features", name, read)
        return found - found.mean("kd") if centre else found

    def jacobians(self, values: str, names: str, by: str = "latent", width: int = LATENT) -> xr.DataArray:
        """Return Jacobians at the knockdowns of a list: (kd, gene, `by`), memory-mapped."""
        array = self._once("array", values, lambda path: readers.read_array(path, (None, GENES, width)))
        known = {"kd": list(self.names(names))} | ({"gene": list(self.genes())} if self.genes() else {})
        return readers.named_rows(array, ("kd", "gene", by), known, self.folder / values)

    def knockouts(self, values: str) -> xr.DataArray:
        """Return responses to silenced genes: (gene_in, gene)."""
        array = self._once("array", values, lambda path: readers.read_array(path, (None, GENES)))
        known = {"gene_in": list(self.silenced())} | ({"gene": list(self.genes())} if self.genes() else {})
        return readers.named_rows(array, ("gene_in", "gene"), known, self.folder / values)

    def _require_order(self, names: tuple[str, ...], clusters: str, responses: str | None, path: Path) -> None:
        """Refuse a list that does not go cluster by cluster, in each from the largest mean |dY| down."""
        labels = self.clusters(clusters)
        of = dict(zip(map(str, labels["kd"].values), labels.values.tolist(), strict=True))
        unknown = [name for name in names if name not in of]
        if unknown:
            raise StudyError(
                f"{', '.join(unknown[:5])}, not in {clusters}", "knockdowns of its clusters", _ONE_RUN, path
            )
        if len(names) == len(of):
            return  # all of them: nothing was chosen
        sizes = dict.fromkeys(names, 0.0)
        if responses is not None and self.has(responses):
            frame = self.frame(responses)
            sizes |= dict(zip(map(str, frame["kd"].values), np.abs(frame.values).mean(1).tolist(), strict=True))
        for one, other in pairwise(names):
            if of[one] > of[other] or (of[one] == of[other] and sizes[other] > sizes[one] * (1 + _ROUNDING)):
                by = clusters if of[one] > of[other] else responses
                raise StudyError(
                    f"{other} after {one}, in another order than {by} gives",
                    "cluster by cluster, the strongest of each first, as it was written",
                    _ONE_RUN,
                    path,
                )

    def _require_same_weights(self, table: xr.DataArray, path: Path) -> None:
        if not self.has(*FRAMES):
            return
        from jacprobe.stats.profiles import matched_correlations

        first, second = (self.frame(frame) for frame in FRAMES)
        kds, anew = matched_correlations(first, second)
        stored = dict(zip(map(str, table["kd"].values), table.values.tolist(), strict=True))
        away = max((abs(stored[kd] - r) for kd, r in zip(kds, anew, strict=True) if kd in stored), default=0.0)
        if away > _SAME:
            raise StudyError(
                f"correlations up to {away:.2g} away from those of {' and '.join(FRAMES)}",
                "files of one pair of checkpoints",
                "They are of different weights: take all of them from one run.",
                path,
            )

    def _require_same_cosines(self, found: xr.DataArray, sims: str, name: str) -> None:
        n = found.sizes["kd"]
        array = readers.read_array(self.folder / sims, (n, n))
        rows = found.values.astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        away = float(np.abs(rows @ rows.T - array).max())
        if away > _SAME:
            raise StudyError(
                f"cosines up to {away:.2g} away from those of {name}",
                "cosines of its rows, in its order",
                f"They are of other features or in another order; without {sims} the features alone are judged.",
                self.folder / sims,
            )

    def _once(self, kind: str, name: str, read: Callable[[Path], Any]) -> Any:
        if (kind, name) not in self._held:
            self._held[kind, name] = read(self.folder / name)
        return self._held[kind, name]


def _without_control(array: xr.DataArray) -> xr.DataArray:
    return array.sel(kd=array["kd"].values != CONTROL)
