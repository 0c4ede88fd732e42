"""How the prediction moves with the control cells: the whole Jacobian dY/dX, kept as two factors and never formed.

A cell is encoded by an affine map, encoded = W x + b, and the model sees nothing else of it. So a shift of all cells by
v moves the mean prediction by J W v, with J [G, E] the derivative by a common shift of the encoded cells: dY/dX = J W
[G, G]. J is 6 times smaller than that at the published shape, and W the same for all knockdowns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from jacprobe.errors import CapabilityMissingError, InputError
from jacprobe.jacobian.engine import prepare_by_cells
from jacprobe.probes.jacobians import BYTES_AT_ONCE, JacobianAt, cosines
from jacprobe.probes.response import perturbation_names
from jacprobe.probes.sets import encode, labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from jacprobe.cells import BatchRule
    from jacprobe.models.protocol import DifferentiableInPert

_AFFINE = {torch.float32: 1e-4, torch.float64: 1e-10}  # relative, encoded cells against W x + b


def cells_jacobian(model: DifferentiableInPert, control_cells: Any, batch: BatchRule = "first") -> JacobianAt:
    """Return the Jacobian as a function of the knockdown; parameters and errors as in `jacobian_wrt_cells`."""
    cells = encode(model, control_cells, batch)
    engine = prepare_by_cells(model, cells.encoded, cells.batch)
    attrs = labels(
        model,
        cells,
        "Jacobian of the predicted expression by the encoded control cells",
        units="log1p-normalised expression per unit of encoded cells",
        direction="d(mean over cells of Y)/d(a shift common to all encoded cells)",
        **engine.provenance,
    )
    return JacobianAt(model, cells, engine, "encoded", attrs)


def jacobian_wrt_cells(
    model: DifferentiableInPert,
    control_cells: Any,
    perturbations: Sequence[str] | None = None,
    batch: BatchRule = "first",
) -> xr.DataArray:
    """Return J of dY/dX = J W: how the mean prediction moves with all encoded control cells, at each knockdown.

    All cells are shifted alike and Y is averaged over them. W is `input_encoder(model)`. The whole result is held in
    memory, 2.6 MB a knockdown at the published shape; for more knockdowns than fit, `cells_jacobian` gives them one at
    a time.

    Parameters
    ----------
    model
        A model that is differentiable in its perturbation vector.
    control_cells, batch
        As in `jacprobe.predict`.
    perturbations
        Names; all of the model's where None.

    Returns
    -------
    DataArray
        (kd, gene, encoded), with the coordinate `shut_genes` (kd): genes whose row is exactly 0.

    Raises
    ------
    UnknownNameError
        Unknown perturbations, all listed.
    InputError
        The cells do not fit the model; it is not differentiable in its encoded cells.
    JacprobeError
        Memory does not suffice for a single direction.
    """
    names = perturbation_names(model, perturbations)
    return cells_jacobian(model, control_cells, batch).stacked(names, "jacobian_wrt_cells")


def input_encoder(model: DifferentiableInPert) -> xr.DataArray:
    """Return W [E, G] of the map from expression to encoded cells, encoded = W x + b: (encoded, gene_in).

    W is the derivative of `encode_cells` at cells of zeros; that the map is affine, and each cell encoded by itself, is
    checked on one set of `cell_set_len` unlike cells of expression 0 to 3 (about half of it 0), and on their mean.

    Raises
    ------
    InputError
        The cells are encoded by another kind of map, for which dY/dX is not J W with one W.
    """
    import xarray as xr

    size, genes = model.cell_set_len, len(model.genes)

    def encoded(cells: torch.Tensor) -> torch.Tensor:
        return model.encode_cells(cells.unsqueeze(0)).squeeze(0)

    zero = torch.zeros(genes, dtype=model.dtype, device=model.device)
    W = torch.func.jacrev(lambda cell: encoded(cell.expand(size, -1))[0])(zero).detach()
    rng = torch.Generator().manual_seed(0)  # only picks where the check looks
    unlike = (6 * torch.rand(size, genes, generator=rng, dtype=model.dtype) - 3).clamp_min(0).to(model.device)
    with torch.no_grad():
        bias = encoded(zero.expand(size, -1))[:1]
        for cells in (unlike, unlike.mean(dim=0).expand(size, -1)):
            found, wanted = encoded(cells), cells @ W.T + bias
            error = float((found - wanted).norm()) / max(float(found.norm()), torch.finfo(model.dtype).tiny)
            if not error <= _AFFINE[model.dtype]:
                raise CapabilityMissingError(
                    given=f"{type(model).__name__}, whose cells are not encoded by an affine map (error {error:.1e})",
                    wanted="encoded = W x + b for each cell by itself, so that dY/dX = J W",
                    mend="Take targeted_jacobian, which needs no such map.",
                    where="model",
                )
    return xr.DataArray(
        W.cpu().numpy(),
        dims=("encoded", "gene_in"),
        coords={"encoded": range(len(W)), "gene_in": list(model.genes)},
        name="input_encoder",
        attrs={
            "quantity": "derivative of the encoded cells by expression",
            "units": "encoded cells per log1p-normalised expression",
            "weights_sha256": model.weights_sha256,
        },
    )


def input_similarity(J: xr.DataArray, W: xr.DataArray, bytes_at_once: int = BYTES_AT_ONCE) -> xr.DataArray:
    """Return the cosine between the whole input Jacobians dY/dX = J W of every two knockdowns of one model.

    Parameters
    ----------
    J
        (kd, gene, encoded), as `jacobian_wrt_cells` gives it; in memory or lazily read.
    W
        (encoded, gene_in), as `input_encoder` gives it for the same model.
    bytes_at_once
        Size of a block of genes.

    Returns
    -------
    DataArray
        (kd, kd_other), float64; NaN beside a Jacobian that is 0.

    Raises
    ------
    InputError
        J and W are of different widths.
    """
    _require_width(J, W, "J and W")
    through = W.transpose("encoded", "gene_in").to_numpy().astype(np.float64)
    return cosines(J, "encoded", through, bytes_at_once, "Jacobians by the expression of the control cells")


def input_agreement(J_a: xr.DataArray, W_a: xr.DataArray, J_b: xr.DataArray, W_b: xr.DataArray) -> xr.DataArray:
    """Return the cosine between the input Jacobians of the same knockdown in two models.

    Encoded cells of two models have no coordinates in common, their genes do: <J_a W_a, J_b W_b> is the sum over the
    elements of (J_a' J_b) * (W_a W_b'), and so are the norms. Knockdowns, output genes and input genes are matched by
    name; the ones that one model lacks are left out of inner product and norms alike, and the attributes count them.
    Jacobians are read one knockdown at a time.

    Parameters
    ----------
    J_a, J_b
        (kd, gene, encoded) of the two models.
    W_a, W_b
        (encoded, gene_in) of the same.

    Returns
    -------
    DataArray
        (kd,), the knockdowns of J_a that J_b has, in the order of J_a; float64; NaN where a Jacobian is 0.

    Raises
    ------
    InputError
        The models share no knockdown, no output or no input gene; a J and its W are of different widths.
    """
    import xarray as xr

    _require_width(J_a, W_a, "J_a and W_a")
    _require_width(J_b, W_b, "J_b and W_b")
    kds, kd_a, kd_b = _shared(J_a, J_b, "kd")
    genes, gene_a, gene_b = _shared(J_a, J_b, "gene")
    inputs, in_a, in_b = _shared(W_a, W_b, "gene_in")
    A, B = (
        W.transpose("encoded", "gene_in").to_numpy()[:, index].astype(np.float64)
        for W, index in ((W_a, in_a), (W_b, in_b))
    )
    across, within_a, within_b = A @ B.T, A @ A.T, B @ B.T
    found = np.empty(len(kds))
    for k, (i, j) in enumerate(zip(kd_a, kd_b, strict=True)):
        a, b = _one(J_a, i, gene_a), _one(J_b, j, gene_b)
        inner, square_a, square_b = (
            float(np.sum((x.T @ y) * products))
            for x, y, products in ((a, b, across), (a, a, within_a), (b, b, within_b))
        )
        found[k] = inner / np.sqrt(square_a * square_b) if square_a > 0 and square_b > 0 else np.nan
    return xr.DataArray(
        found.clip(-1, 1),
        dims=("kd",),
        coords={"kd": kds},
        name="input_agreement",
        attrs={
            "quantity": "cosine between two models' Jacobians by the expression of the control cells",
            "units": "1",
            "weights_sha256": f"{J_a.attrs.get('weights_sha256', '')} {J_b.attrs.get('weights_sha256', '')}".strip(),
            "shared_knockdowns": f"{len(kds)} of {J_a.sizes['kd']} and {J_b.sizes['kd']}",
            "shared_output_genes": f"{len(genes)} of {J_a.sizes['gene']} and {J_b.sizes['gene']}",
            "shared_input_genes": f"{len(inputs)} of {W_a.sizes['gene_in']} and {W_b.sizes['gene_in']}",
        },
    )


def _one(J: xr.DataArray, kd: int, genes: list[int]) -> np.ndarray:
    """Return one knockdown's Jacobian in float64: [genes, E]."""
    return J.isel(kd=kd).transpose("gene", "encoded").to_numpy()[genes].astype(np.float64)


def _shared(a: xr.DataArray, b: xr.DataArray, dim: str) -> tuple[list[str], list[int], list[int]]:
    """Return the names that two arrays share along a dimension, in the order of the first, and their places in both."""
    of_a, of_b = ([str(name) for name in array[dim].to_numpy()] for array in (a, b))
    place = {name: i for i, name in enumerate(of_b)}
    at = [i for i, name in enumerate(of_a) if name in place]
    if not at:
        raise InputError(
            given=f"arrays that share no {dim}: {', '.join(of_a[:3])} against {', '.join(of_b[:3])}",
            wanted="names that both have",
            mend="Check that the names are of the same kind.",
            where=dim,
        )
    names = [of_a[i] for i in at]
    return names, at, [place[name] for name in names]


def _require_width(J: xr.DataArray, W: xr.DataArray, where: str) -> None:
    if J.sizes["encoded"] != W.sizes["encoded"]:
        raise InputError(
            given=f"Jacobians by {J.sizes['encoded']} encoded dimensions and an encoder of {W.sizes['encoded']}",
            wanted="both of the same model",
            where=where,
        )
