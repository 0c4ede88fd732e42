"""Kinds of models, installed by their packages under the entry point `jacprobe.models`, and used by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from jacprobe.errors import CapabilityMissingError, InputError, JacprobeError, StudyError, UnknownNameError
from jacprobe.local_code import local_digest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from jacprobe.models.identity import Identity
    from jacprobe.models.protocol import PerturbationModel

GROUP = "jacprobe.models"
DEFAULT = "state"


@dataclass(frozen=True)
class Adapter:
    """How models of one kind are read from their run folders.

    Attributes
    ----------
    load
        (run folder, checkpoint, mask, device) -> the model, in evaluation mode and without gradients of its weights.
    identify
        (run folder, checkpoint) -> what the run is, preferably without building the model; `Identity.of` takes it from
        a model where building costs nothing.
    masks
        Attention masks that can be asked for; "auto" alone for models without such a thing. A study asks for "causal"
        where a claim compares the model with its causal build.
    files
        Patterns of the files to fetch of a published run; "{checkpoint}" stands for the checkpoint's name.
    """

    load: Callable[[Path, str, str, str], PerturbationModel]
    identify: Callable[[Path, str], Identity]
    masks: tuple[str, ...] = ("auto",)
    files: tuple[str, ...] = ("*",)

    def loaded(self, run: Path, checkpoint: str, mask: str, device: str) -> PerturbationModel:
        """Return the model with the mask asked for.

        Raises
        ------
        CapabilityMissingError
            Where models of this kind have no such mask.
        """
        if mask not in self.masks:
            raise CapabilityMissingError(
                f"a {mask} attention mask, which {run.name} cannot be built with",
                f"one of {', '.join(self.masks)}, those of its adapter",
            )
        return self.load(run, checkpoint, mask, device)


def installed() -> dict[str, EntryPoint]:
    """Return the entry points of the adapters that are installed, by name, nothing of them imported.

    Raises
    ------
    InputError
        Where two packages offer different adapters under one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        other = found.setdefault(point.name, point)
        if other.value != point.value:
            raise InputError(
                f"adapter {point.name!r} offered twice, as {other.value} and {point.value}",
                "one package for each name",
                "Uninstall one of them.",
                GROUP,
            )
    return dict(sorted(found.items()))


def require_installed(name: object, where: object = "") -> str:
    """Return the name of an adapter, once it is one of those installed; all of them are listed otherwise."""
    names = installed()
    if not isinstance(name, str) or name not in names:
        raise UnknownNameError(
            f"unknown adapter {name!r}",
            f"one of those installed: {', '.join(names) or 'none'}",
            f"Install the package that offers it under the entry point {GROUP}.",
            where,
        )
    return name


def code_version(name: str) -> str:
    """Return what tells the code of an adapter, by name, from an older or newer one; empty for jacprobe's own.

    Where its package stands in a clone that is its files, since they change without a new version.
    """
    point = installed()[require_installed(name)]
    module = point.value.partition(":")[0].partition(".")[0]
    if module == "jacprobe":
        return ""
    return local_digest([module]) or f"{point.value} {point.dist.version if point.dist else 'of no distribution'}"


@cache
def adapter(name: str) -> Adapter:
    """Return an adapter by name, imported.

    Raises
    ------
    UnknownNameError
        Where none of that name is installed.
    StudyError
        Where it cannot be imported, or is none.
    """
    point = installed()[require_installed(name)]
    try:
        found: object = point.load()
    except JacprobeError:
        raise
    except Exception as error:
        raise StudyError(
            f"cannot be imported ({type(error).__name__}: {error})",
            "an importable adapter",
            f"Mend {point.value}.",
            f"adapter {name}",
        ) from error
    if not isinstance(found, Adapter):
        raise StudyError(
            f"{point.value} is a {type(found).__name__}",
            "a jacprobe.models.adapters.Adapter",
            "Let the entry point name one.",
            f"adapter {name}",
        )
    return found
