"""Choose how to take a model's Jacobians, check the choice against the model, and stay within memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

import torch

from jacprobe.errors import CapabilityMissingError, InputError
from jacprobe.jacobian.blocks import Unrecognised, recognise
from jacprobe.jacobian.gemm import SWITCHES, Gemm, Way, choose
from jacprobe.jacobian.generic import by_cells, jacobian_autograd, jacobian_by_cells, jacobian_generic, tangents
from jacprobe.jacobian.local import local_jacobian
from jacprobe.jacobian.memory import enough_memory, is_out_of_memory, too_little_memory
from jacprobe.models.protocol import DifferentiableInPert

if TYPE_CHECKING:
    from torch import Tensor

    from jacprobe.jacobian.blocks import Blocks
    from jacprobe.jacobian.local import By

Name = Literal["auto", "local", "generic", "autograd"]
Residual = Literal["model", "published"]

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-10}  # local against generic, relative Frobenius norm
DIRECTIONS, CELLS = 4, 4  # that the check looks at; set sizes that a model refuses are left alone

_log = logging.getLogger(__name__)


@dataclass
class Engine:
    """A way to take Jacobians of one model over one set of control cells.

    Attributes
    ----------
    name
        "local", "generic" or "autograd".
    gemm
        How products are taken.
    why
        Why this engine: what was verified, or why the local rules were not used.
    at_once
        How much is computed together: directions for "generic", cells for "local". It shrinks when memory runs out.
    """

    name: Literal["local", "generic", "autograd"]
    gemm: Gemm
    why: str
    at_once: int
    _compute: Callable[[Tensor, int], Tensor] = field(repr=False)

    def __call__(self, pert: Tensor) -> Tensor:
        """Return d(mean over cells of Y)/d(pert) at perturbation vectors [B, D]: [B, G, D].

        Raises
        ------
        JacprobeError
            Memory runs out even for the smallest piece.
        """
        while True:
            try:
                return self._compute(pert, self.at_once)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.at_once == 1 and len(pert) == 1:
                    raise too_little_memory("a single direction and cell", f"{self.name} engine") from error
            if self.at_once == 1:
                return torch.cat([self(one) for one in pert.split(1)])
            shrunk = self.at_once // 2
            _log.warning("out of memory: the %s engine now takes %d at once, not %d", self.name, shrunk, self.at_once)
            self.at_once = shrunk

    @property
    def provenance(self) -> dict[str, str]:
        """What has to stand beside the Jacobians."""
        return {"engine": self.name, "engine_why": self.why, "gemm": str(self.gemm)}


@enough_memory("the engine's check", "engine")
def prepare(
    model: DifferentiableInPert,
    encoded: Tensor,
    batch: Tensor,
    engine: Name = "auto",
    residual: Residual = "model",
    gemm: Way | Literal["auto"] = "auto",
) -> Engine:
    """Return the engine for a model and one set of control cells.

    "auto" and "local" check the local rules against forward mode over the model's own modules, on a few random
    directions at the control perturbation. "auto" falls back on "generic" and says so in the log and in `why`.

    Parameters
    ----------
    model
        Differentiable in its perturbation vector.
    encoded, batch
        One set of encoded control cells [S, E] and their batch [S].
    engine
        "auto", "local", "generic" or "autograd".
    residual
        "model" differentiates the model's own forward. "published" is the function of the original study, which left
        out the encoded cells before the head; the model must offer it as `forward_published`.
    gemm
        "auto", or a way of `jacprobe.jacobian.gemm` by name.

    Raises
    ------
    InputError
        Unknown engine or residual; the model is not differentiable in pert; "local" was asked for and does not hold.
    JacprobeError
        Memory does not suffice for the check.
    """
    if engine not in get_args(Name):
        raise InputError(given=f"engine {engine!r}", wanted=f"one of {', '.join(get_args(Name))}", where="engine")
    forward = _forward(model, residual)
    how = choose(model.device, model.dtype, gemm)
    through_modules = _switchable(how, model)
    on_cpu = model.device.type == "cpu"

    spread = _spread(encoded, batch)

    def generic(pert: Tensor, at_once: int) -> Tensor:
        with through_modules.switched():
            return jacobian_generic(forward, *spread(pert), chunk=at_once)

    def autograd(pert: Tensor, _: int) -> Tensor:
        return jacobian_autograd(forward, *spread(pert))

    if engine == "autograd":
        return Engine("autograd", Gemm(), "asked for", 1, autograd)
    control = model.pert_vectors(torch.tensor([model.perturbations.index(model.control)], device=model.device))
    few = slice(CELLS if model.any_set_len else None)
    sample = encoded[None, few], control, batch[None, few]
    probed = _probe(forward, *sample, of="pert")
    if engine == "generic":
        why = "asked for"
    else:
        blocks, why = _local_rules(model, residual, how, probed, *sample)
        if blocks is not None:
            return Engine(
                "local",
                how,
                why,
                1 if on_cpu else encoded.shape[0],
                lambda pert, at_once: local_jacobian(blocks, how, *spread(pert), cells_at_once=at_once).jacobian,
            )
        if engine == "local":
            raise InputError(
                given=f"engine 'local', but {why}",
                wanted="a model of blocks with local rules",
                mend="Use engine='auto' or 'generic'.",
                where="engine",
            )
        _log.warning("Jacobians by the generic engine: %s", why)
    at_once = _directions_at_once(model, encoded, model.latent_dim)
    return Engine("generic", through_modules, why, at_once, generic)


@enough_memory("the engine's check", "engine")
def prepare_by_cells(
    model: DifferentiableInPert, encoded: Tensor, batch: Tensor, gemm: Way | Literal["auto"] = "auto"
) -> Engine:
    """Return the engine for d(mean over cells of Y)/d(a shift common to all encoded cells): [B, D] -> [B, G, E].

    The local rules where they reproduce the model, else forward mode over its own modules; parameters as in `prepare`.

    Raises
    ------
    InputError
        The model is not differentiable in its encoded cells.
    """
    how = choose(model.device, model.dtype, gemm)
    through_modules = _switchable(how, model)

    spread = _spread(encoded, batch)

    def generic(pert: Tensor, at_once: int) -> Tensor:
        with through_modules.switched():
            return jacobian_by_cells(model.forward, *spread(pert), chunk=at_once)

    control = model.pert_vectors(torch.tensor([model.perturbations.index(model.control)], device=model.device))
    few = slice(CELLS if model.any_set_len else None)
    none = torch.zeros_like(encoded[:1])
    probed = _probe(
        by_cells(model.forward, control), encoded[None, few], none, batch[None, few], of="its encoded cells"
    )
    blocks, why = _local_rules(model, "model", how, probed, encoded[None, few], control, batch[None, few], by="cells")
    if blocks is not None:
        return Engine(
            "local",
            how,
            why,
            1 if model.device.type == "cpu" else encoded.shape[0],
            lambda pert, at_once: (
                local_jacobian(blocks, how, *spread(pert), cells_at_once=at_once, by="cells").jacobian
            ),
        )
    at_once = _directions_at_once(model, encoded, encoded.shape[-1])
    return Engine("generic", through_modules, why, at_once, generic)


def _spread(encoded: Tensor, batch: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Return what gives the same encoded cells and batches to each of several perturbations."""
    return lambda pert: (encoded.expand(len(pert), *encoded.shape), pert, batch.expand(len(pert), *batch.shape))


def _switchable(how: Gemm, model: DifferentiableInPert) -> Gemm:
    """Return the way itself, or, where it is none that a model's own modules can take, the fastest such way."""
    return how if how.way in SWITCHES else choose(model.device, model.dtype, among=SWITCHES)


def _directions_at_once(model: DifferentiableInPert, encoded: Tensor, directions: int) -> int:
    """Return how many forward directions to take together; 24 of 64 cells hold 250 MiB at the published shape."""
    return min(directions, max(1, 1536 // encoded.shape[0])) if model.device.type == "cpu" else directions


def _forward(model: DifferentiableInPert, residual: Residual) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    if not isinstance(model, DifferentiableInPert):
        raise CapabilityMissingError(
            given=f"{type(model).__name__}, which is not differentiable in pert",
            wanted="a model with latent_dim, encode_cells, pert_vectors and forward",
            where="model",
        )
    if residual == "model":
        return model.forward
    if residual != "published":
        raise InputError(given=f"residual {residual!r}", wanted="'model' or 'published'", where="residual")
    published: Callable[[Tensor, Tensor, Tensor], Tensor] | None = getattr(model, "forward_published", None)
    if published is None:
        raise CapabilityMissingError(
            given=f"residual 'published' of a {type(model).__name__}",
            wanted="a model with forward_published",
            mend="Only State models have the published variant.",
            where="residual",
        )
    return published


def _probe(
    forward: Callable[[Tensor, Tensor, Tensor], Tensor], encoded: Tensor, pert: Tensor, batch: Tensor, of: str
) -> tuple[Tensor, Tensor]:
    """Return random directions [N, D] and the model's derivatives along them [N, G], or say that it has none.

    `of` is what the second argument of `forward` stands for.
    """
    rng = torch.Generator().manual_seed(0)  # only picks where the check looks
    directions = torch.randn(DIRECTIONS, pert.shape[-1], generator=rng, dtype=pert.dtype).to(pert.device)
    try:
        response, slopes = tangents(forward, encoded, pert, batch, directions)
    except (NotImplementedError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise InputError(
            given=f"a model without forward derivative in {of} ({type(error).__name__}: {error})",
            wanted="operations that torch differentiates in forward mode",
            mend="Use eager attention, or, for the Jacobian by pert, engine='autograd'.",
            where="model",
        ) from error
    if not slopes.any():
        step = directions[:1] * (pert.norm() / directions[:1].norm()).clamp_min(1)
        with torch.no_grad():
            moved = forward(encoded, pert + step, batch).mean(dim=1)
        if not torch.equal(moved, response):
            raise InputError(
                given=f"a model that is not differentiable in {of}: its prediction moves, its derivative is 0",
                wanted="a forward that carries derivatives (no detach, rounding or argmax on the way)",
                where="model",
            )
    return directions, slopes[:, 0]


def _local_rules(
    model: DifferentiableInPert,
    residual: Residual,
    gemm: Gemm,
    probed: tuple[Tensor, Tensor],
    encoded: Tensor,
    pert: Tensor,
    batch: Tensor,
    by: By = "pert",
) -> tuple[Blocks | None, str]:
    """Return the model's blocks if their rules reproduce its derivatives, and why or why not."""
    try:
        blocks = recognise(model, residual == "model")
    except Unrecognised as refusal:
        return None, f"no local rules: {refusal}"
    directions, slopes = probed
    found = local_jacobian(blocks, gemm, encoded, pert, batch, by=by)
    keep = ~found.near_kink[0]
    ours, theirs = (found.jacobian[0] @ directions.T)[keep], slopes.T[keep]
    error = float((ours - theirs).norm()) / max(float(theirs.norm()), torch.finfo(theirs.dtype).tiny)
    if not error <= TOLERANCE[model.dtype]:
        return None, f"the local rules differ from the model by {error:.1e}, relative"
    return blocks, f"local rules verified against generic on {len(directions)} random directions ({error:.0e})"
