"""Rival explanations of a model's responses, as models that the same probes run on.

Both keep the base model's control cells and its last ReLU, and replace everything that the perturbation passes by a
linear map B [D, G]:

    z_s(p) = z_s(control) + (p - p_control) B,    y = relu(z),    dY/dp = mean over s of 1[z_s > 0] (x) B'

z_s(control) is the base model's own preactivation under its control perturbation, taken anew for whatever cells come
in. So the mask of the ReLU is all that varies between the Jacobians of two knockdowns.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from jacprobe.cells import BatchRule, prepare_cells
from jacprobe.errors import CapabilityMissingError, InputError
from jacprobe.models.protocol import Castable, LinearPertEncoder, Rectified
from jacprobe.models.weights import weights_sha256

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

# Ridge strengths to choose from, in units of the mean eigenvalue of X'X: two a decade.
STRENGTHS = tuple(float(10 ** (half / 2)) for half in range(-16, 5))
_CELLS_AT_ONCE = 256


class Surrogate:
    """A linear body between the control cells and the last ReLU of a base model; see the head of this file.

    Its other attributes are those of `jacprobe.models.protocol`: names, split and encoders are the base model's.

    Parameters
    ----------
    base
        The model that is explained.
    to_genes
        B [D, G], on the device and in the dtype of `base`.
    provenance
        What B is and how it was fitted, beside what stands on the base model.
    """

    def __init__(self, base: Rectified, to_genes: Tensor, provenance: Mapping[str, str]) -> None:
        self.base, self.to_genes = base, to_genes
        self.genes, self.perturbations, self.control = base.genes, base.perturbations, base.control
        self.batches, self.split = base.batches, base.split
        self.cell_set_len, self.any_set_len = base.cell_set_len, base.any_set_len
        self.device, self.dtype, self.latent_dim = base.device, base.dtype, base.latent_dim
        # Of all perturbations at once, as probes take them, so that the control's own vector is this one to the bit.
        vectors = base.pert_vectors(torch.arange(len(base.perturbations), device=base.device))
        self._origin = vectors[base.perturbations.index(base.control)].unsqueeze(0)
        parts = f"{base.weights_sha256}|{weights_sha256({'to_genes': to_genes})}"
        self.weights_sha256 = hashlib.sha256(parts.encode()).hexdigest()
        self.provenance: Mapping[str, str] = {
            **base.provenance,
            **provenance,
            "surrogate_of": base.weights_sha256,
            "weights_sha256": self.weights_sha256,
        }

    def encode_cells(self, cells: Tensor) -> Tensor:
        """Return the base model's encoded cells: [B, S, G] -> [B, S, E]."""
        return self.base.encode_cells(cells)

    def pert_vectors(self, pert_index: Tensor) -> Tensor:
        """Return the base model's perturbation vectors: [K] -> [K, D]."""
        return self.base.pert_vectors(pert_index)

    def pert_linear(self) -> tuple[Tensor, Tensor]:
        """Return weight [D, P] and bias [D] of the base model's encoder.

        Raises
        ------
        InputError
            The base model has no linear encoder.
        """
        if not isinstance(self.base, LinearPertEncoder):
            raise CapabilityMissingError(
                given=f"a surrogate of a {type(self.base).__name__}, which has no pert_linear",
                wanted="a base model whose perturbations pass a linear layer first",
                where="model",
            )
        return self.base.pert_linear()

    def preactivation(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return z(control) + (pert - pert_control) B: [B, S, E], [B, D], [B, S] -> [B, S, G]."""
        control = self.base.preactivation(encoded, self._origin.expand(len(pert), -1), batch)
        return control + ((pert - self._origin) @ self.to_genes).unsqueeze(1)

    def forward(self, encoded: Tensor, pert: Tensor, batch: Tensor) -> Tensor:
        """Return relu(z); shapes as in `preactivation`."""
        return self.preactivation(encoded, pert, batch).relu()

    def predict_step(self, cells: Tensor, pert_index: Tensor, batch: Tensor) -> Tensor:
        """Return the prediction from cells and positions: [B, S, G], [B], [B, S] -> [B, S, G]."""
        return self.forward(self.encode_cells(cells), self.pert_vectors(pert_index), batch)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | str | None = None) -> Self:
        """Return the same surrogate on another device or in another dtype, under the same hash.

        Raises
        ------
        InputError
            The base model cannot be had there or so.
        """
        if not isinstance(self.base, Castable):
            raise CapabilityMissingError(
                given=f"a surrogate of a {type(self.base).__name__}, which has no method `to`",
                wanted="a base model that can be cast",
                mend="Load the base model as wanted, and fit the surrogate to that.",
                where="model",
            )
        base: Any = self.base.to(device, dtype)
        moved = type(self)(base, self.to_genes.to(base.device, base.dtype), self.provenance)
        moved.weights_sha256, moved.provenance = self.weights_sha256, self.provenance
        return moved


def linear_surrogate(
    model: Rectified, control_cells: Any, batch: BatchRule = "first", ridge: float | None = None
) -> Surrogate:
    """Return the model's linear rival: a ridge regression of its responses on the perturbation vectors.

    The rows of the regression are the model's knockdowns, all of them and without intercept, since the control does not
    respond: X_k = p_k - p_control [D] explains Z_k [G], how the knockdown moves the preactivation, averaged over the
    control cells. B = (X'X + a I)^-1 X'Z.

    Parameters
    ----------
    model
        A model whose output is a ReLU.
    control_cells, batch
        As in `jacprobe.predict`. B is fitted on them; the surrogate then takes any cells.
    ridge
        a in units of the mean eigenvalue of X'X. Where None, that of `STRENGTHS` with the least squared
        leave-one-knockdown-out error, summed over genes (scikit-learn's RidgeCV); which it was stands in provenance.

    Raises
    ------
    InputError
        The model is not rectified, has fewer than two knockdowns, or knockdowns that all have the control's vector; the
        cells do not fit it; `ridge` is not positive.
    """
    seen = _responses(model, control_cells, batch)
    fit = _ridge(seen.vectors, seen.changes, ridge)
    return _surrogate(model, fit.coefficients, "linear-surrogate", seen, fit)


def mean_shift(
    model: Rectified, control_cells: Any, batch: BatchRule = "first", ridge: float | None = None
) -> Surrogate:
    """Return the model's one-direction rival: every knockdown moves along the mean change, by its own magnitude.

    With Z_k [G] how knockdown k moves the preactivation, averaged over the control cells, and M the mean of Z_k over
    knockdowns, the magnitude of k is the least-squares coefficient of Z_k on M, m_k = Z_k'M / M'M. A model that can be
    differentiated needs it as a function of the perturbation vector: w [D] is the ridge regression of m_k on
    p_k - p_control, and B = w (x) M. So (p_k - p_control) w stands for m_k, and equals it only where m is linear in the
    vectors: how nearly it is stands in provenance (`magnitudes_explained`).

    Parameters are those of `linear_surrogate`; `ridge` is that of the magnitudes.

    Raises
    ------
    InputError
        As in `linear_surrogate`; or the mean change is 0.
    """
    seen = _responses(model, control_cells, batch)
    mean = seen.changes.mean(axis=0)
    if not mean.any():
        raise InputError("a model whose mean change over knockdowns is 0", "one with a direction", where="model")
    magnitudes = (seen.changes @ mean / (mean @ mean))[:, None]
    fit = _ridge(seen.vectors, magnitudes, ridge)
    explained = _explained(magnitudes, seen.vectors @ fit.coefficients)
    B = fit.coefficients * mean
    return _surrogate(model, B, "mean-shift", seen, fit, magnitudes_explained=f"{explained:.4f}")


@dataclass(frozen=True, eq=False)
class _Responses:
    """How knockdowns move the preactivation: vectors less the control's [K, D] and mean changes [K, G], in float64."""

    vectors: np.ndarray
    changes: np.ndarray
    provenance: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class _Fit:
    """Coefficients [D, N], the strength in units of the mean eigenvalue, and how it was chosen."""

    coefficients: np.ndarray
    strength: float
    how: str


@torch.no_grad()
def _responses(model: Rectified, control_cells: Any, batch: BatchRule) -> _Responses:
    if not isinstance(model, Rectified):
        raise CapabilityMissingError(
            given=f"{type(model).__name__}, whose output is not known to be a ReLU",
            wanted="a model with preactivation, so that the surrogate can keep its mask",
            where="model",
        )
    given = prepare_cells(model, control_cells, batch)
    cells = torch.tensor(given.values, dtype=model.dtype, device=model.device).unsqueeze(0)
    index = torch.tensor(given.batch, device=model.device).unsqueeze(0)
    encoded = model.encode_cells(cells)
    vectors = model.pert_vectors(torch.arange(len(model.perturbations), device=model.device))
    means = [
        model.preactivation(encoded.expand(len(part), -1, -1), part, index.expand(len(part), -1)).mean(dim=1)
        for part in vectors.split(max(1, _CELLS_AT_ONCE // cells.shape[1]))
    ]
    p, z = (x.to("cpu", torch.float64).numpy() for x in (vectors, torch.cat(means)))
    control = model.perturbations.index(model.control)
    X, Z = (np.delete(x - x[control], control, axis=0) for x in (p, z))
    if len(X) < 2:
        raise InputError(f"{len(X)} knockdowns", "at least two, to fit a response to", where="model")
    if not X.any():
        raise InputError("knockdowns that all have the control's vector", "vectors that differ", where="model")
    return _Responses(X, Z, {"fitted_on": given.sha256, "fitted_batch": given.rule})


def _ridge(X: np.ndarray, Y: np.ndarray, strength: float | None) -> _Fit:
    """Return the ridge regression of Y [K, N] on X [K, D] without intercept, as `linear_surrogate` describes it."""
    from sklearn.linear_model import RidgeCV

    if strength is not None and not 0 < strength < np.inf:
        raise InputError(f"ridge={strength!r}", "a positive number, or None to choose by left-out error", where="ridge")
    unit = float(np.square(X).sum()) / X.shape[1]  # tr(X'X) / D, so that a strength does not depend on the units of X
    strengths = np.array(STRENGTHS if strength is None else (strength,))
    fitted: Any = RidgeCV(alphas=strengths * unit, fit_intercept=False).fit(X, Y)
    how = "given" if strength is not None else f"least leave-one-knockdown-out error of {len(STRENGTHS)} strengths"
    return _Fit(np.asarray(fitted.coef_).reshape(Y.shape[1], -1).T, float(fitted.alpha_) / unit, how)


def _surrogate(model: Rectified, B: np.ndarray, kind: str, seen: _Responses, fit: _Fit, **more: str) -> Surrogate:
    to_genes = torch.tensor(B, dtype=model.dtype, device=model.device)
    provenance = {
        "surrogate": kind,
        "ridge": f"{fit.strength:.3g} of the mean eigenvalue, {fit.how}",
        "explained": f"{_explained(seen.changes, seen.vectors @ B):.4f}",
        **more,
        **seen.provenance,
    }
    return Surrogate(model, to_genes, provenance)


def _explained(wanted: np.ndarray, found: np.ndarray) -> float:
    """Return the share of the sum of squares that is reproduced, on the rows that were fitted."""
    total = float(np.square(wanted).sum())
    return 1 - float(np.square(wanted - found).sum()) / total if total else float("nan")
