"""The study behind a ledger, with the evidence that its store holds and nothing else: no model is run for a figure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from jacprobe.errors import EvidenceMissingError, StudyError
from jacprobe.kept_chunks import KEPT, key
from jacprobe.kept_whole import is_whole, whole_key
from jacprobe.opening import open_study
from jacprobe.requests import Among
from jacprobe.studies import Study

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from jacprobe.requests import OverCells, Request
    from jacprobe.store.entry import Entry

_GIVEN = ("--study", "--models", "--data", "--evidence", "--device")


@dataclass(frozen=True)
class HeldStudy(Study):
    """A study that answers from its store, or from evidence of others, and raises where neither has an answer."""

    def resolve_all(self, requests: Sequence[Request]) -> list[Any]:
        """Return the evidence behind several requests."""
        return [self.resolve(request) for request in requests]

    def model(self, role: str, mask: Literal["model", "causal"] = "model") -> Any:
        """Raise: a figure loads no model."""
        raise EvidenceMissingError(
            f"evidence of {role} ({mask} mask) that is not kept", "what the store holds", "Judge the study again."
        )

    def _obtain(self, request: Request) -> Any:
        from jacprobe.evidence import resolve

        found = self.stored.answer(request, self) if self.stored is not None else None
        if found is not None:
            return found
        if isinstance(request, Among) and type(request.of) in KEPT:
            return self._chunks(request.of, list(self.resolve(request.kds)))  # pyright: ignore[reportArgumentType]
        if type(request) in KEPT:
            return self._chunks(request)  # pyright: ignore[reportArgumentType] - all kept requests are over cells
        if is_whole(request):
            for entry in self._entries(whole_key(request, self)):
                if entry.has(0):
                    return entry.open().isel(whole=0, drop=True).load()
            raise self._absent(request)
        return resolve(request, self)

    def _chunks(self, request: OverCells, names: list[str] | None = None) -> xr.DataArray:
        import numpy as np
        import xarray as xr

        for entry in self._entries(key(request, self)):
            axis, every = next(iter(entry.labels.items()))
            wanted = self.sampled([str(name) for name in every]) if names is None else names
            if all(entry.chunk_path(name).is_file() for name in wanted):
                values = np.stack([entry.read(name) for name in wanted])
                coords: dict[str, Any] = {**entry.labels, axis: wanted}
                return xr.DataArray(values, dims=list(entry.labels), coords=coords, attrs=entry.attrs)
        raise self._absent(request)

    def _entries(self, name: Mapping[str, Any]) -> list[Entry]:
        """Return the entries of a key, those made by another way of multiplying on another machine last."""
        if self.store is None:
            return []
        from jacprobe.jacobian.gemm import Way

        ways = [name, *({**name, "gemm": way} for way in get_args(Way))] if "gemm" in name else [name]
        return [entry for one in ways for entry in self.store.find(one)]

    def _absent(self, request: Request) -> EvidenceMissingError:
        return EvidenceMissingError(
            f"{request} is not in the store", "evidence as judged", "Judge it again.", self.name
        )


def held_study(lines: Sequence[Mapping[str, Any]], store: str | Path | None = None) -> HeldStudy:
    """Return the study that a ledger's provenance names, with what its store holds.

    Parameters
    ----------
    lines
        Ledger lines of one study.
    store
        Folder of the evidence store; the user's own where None.

    Raises
    ------
    JacprobeError
        Where the study cannot be opened.
    StudyError
        Where it is another by now than the one that was judged.
    """
    judged = [line for line in lines if line["provenance"].get("study_sha256")]
    if not judged:
        raise StudyError("a ledger without provenance", "one that says what was judged", where="figures")
    line = judged[0]
    made = line["provenance"]
    options = _options(str(made.get("command", "")))
    opened = open_study(
        options.pop("study", line["study"]),
        made.get("seed", 0),
        batch=made.get("batch", "first"),
        store=store,
        quick=made.get("quick"),
        **options,
    )
    held = HeldStudy(**{item.name: getattr(opened, item.name) for item in fields(opened) if item.init})
    if held.sha256 != made["study_sha256"] or held.n_cells != made.get("n_cells", held.n_cells):
        raise StudyError(f"{held.name} as it is now", "the study as it was judged", "Judge it again.", "figures")
    for role, model in {role: model for one in judged for role, model in one["provenance"]["models"].items()}.items():
        if role in held.models and held.identity(role).weights_sha256 != model.get("weights_sha256"):
            raise StudyError(f"other weights of {role}", "those that were judged", "Judge them.", "figures")
    return held


def _options(command: str) -> dict[str, Any]:
    """Return which study the command of a ledger line names, and what it gives beside it."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise StudyError(f"a command that is none ({error})", "one as a ledger has it", where="figures") from error
    found: dict[str, Any] = {}
    for option, value in pairwise(words):
        if option in _GIVEN:
            found[option.removeprefix("--")] = value
        elif option == "--model":
            role, _, path = value.partition("=")
            found.setdefault("model", {})[role] = path
    return found
