"""Predictions of the model's own entry point: their form, and what they may depend on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from jacprobe.conformance.subject import Broken, Subject, close, offers_gradient, require
from jacprobe.models.protocol import HasModule

if TYPE_CHECKING:
    from torch import Tensor


def _frozen(subject: Subject) -> None:
    """Require evaluation mode, and weights that record no gradients."""
    model = subject.model
    if isinstance(model, HasModule):
        require(not model.module.training, Broken("module in training mode", "evaluation mode", "Call module.eval()"))
        on = [name for name, weight in model.module.named_parameters() if weight.requires_grad]
        require(
            not on,
            Broken(
                f"gradients left on for {', '.join(on[:3])}", "none", "Call module.requires_grad_(False) on loading"
            ),
        )
    require(
        not subject.predicted([subject.control]).requires_grad,
        Broken("predict_step that records gradients", "none", "Switch requires_grad off for every weight on loading"),
    )


def _shape(subject: Subject) -> None:
    """Require of predict_step finite expression [B, S, G] in the model's dtype, on its device."""
    y, model = subject.predicted([subject.knockdowns[0], subject.control]), subject.model
    wanted = (2, *subject.cells.shape)
    require(tuple(y.shape) == wanted, Broken(f"predict_step gives {tuple(y.shape)}", f"[B, S, G] = {wanted}"))
    require(y.dtype == model.dtype, Broken(f"predict_step gives {y.dtype}", f"{model.dtype}, the model's dtype"))
    require(y.device == model.device, Broken(f"predict_step gives {y.device}", f"{model.device}, the model's device"))
    require(bool(y.isfinite().all()), Broken("predictions that are not finite", "finite ones", "Check the weights"))


def _determinism(subject: Subject) -> None:
    """Require the same bits at the same call, and that nothing is taken from the global random state."""
    before = torch.get_rng_state()
    calls: dict[str, Callable[[], Tensor]] = {"predict_step": lambda: subject.predicted([subject.knockdowns[0]])}
    if offers_gradient(subject.model):
        arguments = subject.differentiable([subject.knockdowns[0]])
        calls["pert_vectors"] = lambda: subject.model.pert_vectors(subject.index([subject.knockdowns[0]]))
        calls["forward"] = lambda: subject.model.forward(*arguments)
    for name, call in calls.items():
        mend = "Call eval() on every module (dropout, batch norm), and draw nothing while predicting"
        require(torch.equal(call(), call()), Broken(f"{name} gives other bits at the same call", "the same bits", mend))
    drawn = not torch.equal(before, torch.get_rng_state())
    require(not drawn, Broken("predicting draws from torch's global random state", "no drawing", "Use a Generator"))


def _sets_apart(subject: Subject) -> None:
    """Require that a set's prediction does not depend on the cells of the sets it is computed with."""
    alone = subject.predicted(subject.knockdowns[:1])
    beside = subject.predicted(
        subject.knockdowns[:1] * 3, torch.stack([subject.cells, subject.cells.flip(1), 2 * subject.cells])
    )
    close(
        subject,
        beside[:1],
        alone,
        "a set of cells is predicted otherwise beside other sets",
        "Let nothing mix the first axis of [B, S, G] (batch norm, a flattened attention)",
    )


def _control(subject: Subject) -> None:
    """Require the control to give the same baseline beside any perturbation, and some knockdown to depart from it."""
    kds = subject.knockdowns
    baseline = subject.predicted([subject.control])
    mixed = subject.predicted([*kds, subject.control, kds[0]])
    close(
        subject,
        mixed[len(kds)][None],
        baseline,
        f"the control {subject.model.control!r} beside knockdowns is not the baseline that it is alone",
        "Let pert_index [B] pick the perturbation of each set by itself",
    )
    require(
        bool((mixed[: len(kds)] != baseline).any()),
        Broken(
            f"none of {len(kds)} knockdowns changes the prediction",
            "perturbations that enter it",
            "Let pert_index pick a perturbation, in the order of `perturbations`",
        ),
    )


def _exchangeable(subject: Subject) -> None:
    """Require cells to be a set, unless provenance["mask"] says that their order counts."""
    if subject.model.provenance["mask"] in ("causal", "ordered"):
        return
    y = subject.predicted(subject.knockdowns[:1])
    turned = subject.predicted(subject.knockdowns[:1], subject.cells.flip(0)[None], subject.batch.flip(0))
    close(
        subject,
        turned.flip(1),
        y,
        "the order of the cells changes the prediction",
        'Take positions and causal masks out, or let provenance["mask"] say "causal" or "ordered"',
    )


def _set_size(subject: Subject) -> None:
    """Require predictions of another number of cells, where any_set_len says so."""
    if subject.model.any_set_len and len(subject.cells) > 1:
        fewer = subject.cells[None, :-1]
        try:
            shape = tuple(subject.predicted(subject.knockdowns[:1], fewer, subject.batch[:-1]).shape)
        except (RuntimeError, ValueError) as error:
            shape = f"{type(error).__name__}: {error}"
        require(
            shape == tuple(fewer.shape),
            Broken(
                f"{fewer.shape[1]} cells give {shape}", f"{tuple(fewer.shape)}", "Let any_set_len be False, or mend it"
            ),
        )


PREDICTIONS: tuple[Callable[[Subject], None], ...] = (
    _frozen,
    _shape,
    _determinism,
    _sets_apart,
    _control,
    _exchangeable,
    _set_size,
)
