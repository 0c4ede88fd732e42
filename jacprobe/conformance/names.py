"""Attributes, names, training status and provenance of a model, which need no prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import torch

from jacprobe.conformance.subject import Broken, require
from jacprobe.models.split import Tag

_ATTRIBUTES: Mapping[str, type] = {
    "genes": tuple,
    "perturbations": tuple,
    "control": str,
    "batches": tuple,
    "cell_set_len": int,
    "any_set_len": bool,
    "split": Mapping,
    "weights_sha256": str,
    "provenance": Mapping,
    "device": torch.device,
    "dtype": torch.dtype,
}
_GRADIENT = ("latent_dim", "encode_cells", "pert_vectors")
_SHA256 = 64


def attributes(model: Any) -> None:
    """Refuse a model that lacks an attribute, has one of another type, or offers a gradient by halves."""
    for name, kind in _ATTRIBUTES.items():
        require(hasattr(model, name), Broken(f"no attribute {name}", f"a {kind.__name__}", "Set it on loading"))
        found = getattr(model, name)
        require(
            isinstance(found, kind),
            Broken(f"{name} is a {type(found).__name__}", f"a {kind.__name__}", "Convert it on loading"),
        )
    require(callable(getattr(model, "predict_step", None)), Broken("no method predict_step", "one", "Add it"))
    there = [name for name in _GRADIENT if hasattr(model, name)]
    lacking = [name for name in (*_GRADIENT, "forward") if not hasattr(model, name)]
    require(
        not there or not lacking,
        Broken(
            f"{', '.join(there)} without {', '.join(lacking)}", "all or none", "Add what a gradient needs beside it"
        ),
    )


def names(model: Any) -> None:
    """Refuse names that are not strings or occur twice, and a control that is none of them."""
    for kind in ("genes", "perturbations", "batches"):
        listed: Sequence[Any] = getattr(model, kind)
        require(len(listed) > 0, Broken(f"no {kind}", "at least one", 'Without batches let `batches` be ("none",)'))
        odd = [name for name in listed if not isinstance(name, str)]
        require(not odd, Broken(f"{kind} that are no strings: {odd[:3]}", "names", "Convert them on loading"))
        twice = [name for name, count in Counter(listed).items() if count > 1]
        require(
            not twice,
            Broken(
                f"{kind} named twice: {', '.join(twice[:3])}",
                "names that occur once, since everything is matched by name",
                "Give each a name of its own",
            ),
        )
    require(
        model.control in model.perturbations,
        Broken(f"control {model.control!r}", "one of the perturbations", "Name the perturbation of control cells"),
    )
    require(len(model.perturbations) > 1, Broken("no knockdown beside the control", "at least one"))


def split(model: Any) -> None:
    """Refuse training status that leaves out a knockdown, is of something else, or in words of its own."""
    knockdowns = {name for name in model.perturbations if name != model.control}
    differ = sorted(knockdowns ^ set(model.split))
    every = "every knockdown and nothing else"
    mend = 'Where nothing is known let every tag be "unknown"'
    require(not differ, Broken(f"split tags differ from the knockdowns in {', '.join(differ[:3])}", every, mend))
    odd = sorted({str(tag) for tag in model.split.values() if tag not in get_args(Tag)})
    require(not odd, Broken(f"split tags {', '.join(odd)}", " or ".join(map(repr, get_args(Tag))), mend))


def provenance(model: Any) -> None:
    """Refuse weights without a SHA-256, and provenance that says no mask, is not text or holds a path."""
    sha256 = model.weights_sha256
    hexadecimal = len(sha256) == _SHA256 and set(sha256) <= set("0123456789abcdef")
    mend = "Take jacprobe.models.weights.weights_sha256(module.state_dict())"
    require(hexadecimal, Broken(f"weights_sha256 {sha256[:20]!r}", "64 hexadecimal digits", mend))
    said = model.provenance
    require(
        "mask" in said,
        Broken("provenance without mask", "how cells see each other", 'Let it be "none" where there is no attention'),
    )
    for name, value in said.items():
        require(isinstance(value, str), Broken(f"provenance {name} is a {type(value).__name__}", "a string"))
        require(
            not value.startswith("/"),
            Broken(f"provenance {name} = {value!r}", "no absolute path: reports are published", "Give the file's name"),
        )


NAMES: tuple[Callable[[Any], None], ...] = (attributes, names, split, provenance)
