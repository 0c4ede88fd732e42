"""What Jacobians share, whatever they are taken by: one knockdown after the other, labelled arrays, and cosines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from jacprobe.errors import InputError
from jacprobe.probes.sets import EncodedCells, positions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from jacprobe.jacobian.engine import Engine
    from jacprobe.models.protocol import DifferentiableInPert

BYTES_AT_ONCE = 3 * 2**28  # a block is held twice while it is read: 2,023 Jacobians stay below 2 GiB
_KDS_AT_ONCE_ON_GPU = 8


@dataclass(frozen=True, eq=False)
class JacobianAt:
    """The Jacobian of one model over one set of control cells, ready to be taken at any knockdown.

    Each knockdown is computed alone, so that its bits do not depend on which others are asked for: this is what the
    evidence store calls, chunk by chunk.

    Attributes
    ----------
    model, cells, engine
        What is differentiated, where and how.
    by
        Name of the axis that it is differentiated by: "latent" or "encoded".
    attrs
        What stands on the labelled array, provenance included.
    """

    model: DifferentiableInPert
    cells: EncodedCells
    engine: Engine
    by: str
    attrs: Mapping[str, str]

    def __call__(self, kd: str) -> np.ndarray:
        """Return d(mean over cells of Y) at a knockdown: [G, D]."""
        return self.at([kd])[0]

    def at(self, kds: Sequence[str]) -> np.ndarray:
        """Return the Jacobians at knockdowns computed together: [K, G, D]."""
        index = positions("perturbation", kds, self.model.perturbations, "perturbations")
        return self.engine(self.cells.vectors[index]).cpu().numpy()

    def stacked(self, kds: Sequence[str], name: str) -> xr.DataArray:
        """Return the Jacobians at knockdowns as one array (kd, gene, `by`), with the number of shut genes of each."""
        import xarray as xr

        size = 1 if self.model.device.type == "cpu" else _KDS_AT_ONCE_ON_GPU
        values = np.concatenate([self.at(kds[start : start + size]) for start in range(0, len(kds), size)])
        return xr.DataArray(
            values,
            dims=("kd", "gene", self.by),
            coords={
                "kd": list(kds),
                "gene": list(self.model.genes),
                self.by: range(values.shape[2]),
                "shut_genes": ("kd", (~values.any(axis=2)).sum(axis=1)),
            },
            name=name,
            attrs=self.attrs,
        )


def cosines(J: xr.DataArray, by: str, through: np.ndarray | None, bytes_at_once: int, of: str) -> xr.DataArray:
    """Return the cosine between J_a A and J_b A, flattened, for every two knockdowns: (kd, kd_other), float64.

    The Gram matrix is accumulated over blocks of genes, so that Jacobians on disk are never in memory all at once. A
    may be far wider than J, and J A is never formed: with the QR decomposition A' = Q R the inner product of J_a A and
    J_b A is that of J_a R' and J_b R', which are no wider than J. NaN beside a Jacobian that is 0.

    Parameters
    ----------
    J
        Jacobians (kd, gene, `by`), in memory or lazily read.
    by
        Name of the last axis.
    through
        A [D, N]; the identity where None.
    bytes_at_once
        Size of a block of genes.
    of
        What is compared, for the label.

    Raises
    ------
    InputError
        J has other axes, or no names of knockdowns.

    Raises
    ------
    InputError
        J has other axes, or no names of knockdowns.
    """
    import xarray as xr

    require_axes(J, by)
    J = J.transpose("kd", "gene", by)
    n, genes, width = J.shape
    factor = None if through is None else np.asarray(np.linalg.qr(through.T, mode="r")).T
    block = max(1, bytes_at_once // (n * width * J.dtype.itemsize * (1 if factor is None else 2)))
    gram = np.zeros((n, n))
    for start in range(0, genes, block):
        part = J.isel(gene=slice(start, start + block)).to_numpy()
        if factor is not None:
            part = part @ factor.astype(part.dtype)
        flat = np.ascontiguousarray(part).reshape(n, -1)
        gram += flat @ flat.T
    with np.errstate(invalid="ignore", divide="ignore"):
        length = np.sqrt(np.diag(gram))
        cosine = (gram / np.outer(length, length)).clip(-1, 1)
    names = J["kd"].to_numpy()
    return xr.DataArray(
        cosine,
        dims=("kd", "kd_other"),
        coords={"kd": names, "kd_other": names},
        name="similarity",
        attrs={**J.attrs, "quantity": f"cosine between {of}", "units": "1"},
    )


def require_axes(J: xr.DataArray, by: str) -> None:
    """Raise `InputError` unless J is a DataArray (kd, gene, `by`) with the names of its knockdowns."""
    axes = [str(axis) for axis in getattr(J, "dims", ())]
    if set(axes) != {"kd", "gene", by} or "kd" not in J.coords:
        raise InputError(
            given=f"{type(J).__name__} with axes {', '.join(axes) or 'without names'}",
            wanted=f"a DataArray (kd, gene, {by}) with the names of the knockdowns",
            where="J",
        )
