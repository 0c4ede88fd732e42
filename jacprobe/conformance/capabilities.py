"""What a model offers beyond predictions and their gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from jacprobe.conformance.subject import Broken, Subject, require
from jacprobe.models.protocol import Castable, HasLayers, HasModule, LinearPertEncoder, Rectified


def _rectified(subject: Subject) -> None:
    """Require preactivation to be the argument of the final ReLU."""
    arguments = subject.differentiable([subject.knockdowns[0], subject.control])
    y, z = subject.model.forward(*arguments), subject.model.preactivation(*arguments)
    mend = "Return what the last ReLU is given, or leave preactivation out"
    require(torch.equal(z.relu(), y), Broken("relu(preactivation) is not what forward gives", "the same bits", mend))


def _linear(subject: Subject) -> None:
    """Require pert_linear to give weight [D, P] and bias [D]."""
    weight, bias = subject.model.pert_linear()
    n = len(subject.model.perturbations)
    shapes = f"pert_linear gives {tuple(weight.shape)} and {tuple(bias.shape)}"
    fits = weight.ndim == 2 and weight.shape[1] == n and tuple(bias.shape) == (weight.shape[0],)
    mend = "Return weight and bias of the layer that a perturbation's one-hot vector passes first"
    require(fits, Broken(shapes, f"[D, {n}] and [D]", mend))


def _layers(subject: Subject) -> None:
    """Require activations to give [B, S, D] after each layer, 0 to n_layers."""
    arguments, model = subject.differentiable([subject.control]), subject.model
    wanted = (1, len(subject.cells), model.latent_dim)
    for layer in range(model.n_layers + 1):
        shape = tuple(model.activations(*arguments, layer).shape)
        require(shape == wanted, Broken(f"activations after layer {layer} are {shape}", f"{wanted}, D = latent_dim"))


def _castable(subject: Subject) -> None:
    """Require the weights in float64 to keep their hash and predictions, and the original to stay as it is."""
    model, before = subject.model, subject.model.dtype
    wide = model.to(dtype=torch.float64)
    mend = "Return a copy, and keep weights_sha256 as loaded"
    require(wide.dtype == torch.float64, Broken(f"to(dtype=float64) gives {wide.dtype}", "float64", mend))
    require(model.dtype == before, Broken("to() changes the model it is called on", "a copy", mend))
    same = wide.weights_sha256 == model.weights_sha256
    require(same, Broken("to() changes weights_sha256", "that of the weights as loaded", mend))
    index, batch = subject.index(subject.knockdowns[:1]), subject.sets(1)
    y, exact = subject.predicted(subject.knockdowns[:1]), wide.predict_step(subject.cells[None].double(), index, batch)
    error = float((y.double() - exact).abs().max() / exact.abs().max().clamp_min(torch.finfo(torch.float64).tiny))
    require(error <= 1e-3, Broken(f"float64 predicts otherwise, by {error:.1e}", "the same up to rounding", mend))


def _module(subject: Subject) -> None:
    """Require with_module to put other weights in, under a hash of their own."""
    model = subject.model
    other = model.with_module(model.fresh_module(0), "fresh")
    mend = "Build the adapter anew around the module, and hash its weights"
    changed = other.weights_sha256 != model.weights_sha256
    require(changed, Broken("other weights under the same hash", "a hash of their own", mend))
    require("fresh" in other.provenance.values(), Broken("with_module leaves its note out", "it in provenance", mend))


CAPABILITIES: Mapping[type, Callable[[Subject], None]] = {
    Rectified: _rectified,
    LinearPertEncoder: _linear,
    HasLayers: _layers,
    Castable: _castable,
    HasModule: _module,
}
