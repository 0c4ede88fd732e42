"""Evidence computed by others, as a study asks for it.

The tables have one draw of control cells, no control copies, and Jacobians of the published forward. A draw, ceiling or
control that is missing is said beside the verdict; only what speaks of learning, and so needs copies, is not evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jacprobe.errors import EvidenceMissingError, StudyError
from jacprobe.requests import Among, Copies, Delta, Draws, Jacobian, Listed, Lists, Named, Request
from jacprobe.roles import base_role
from jacprobe.stored.catalogue import FEWSHOT, KNOWN, LINE, NAMING, NOTEBOOK, ONEHOT, Source, onehot, source
from jacprobe.stored.tables import CONTROL, LATENT, Tables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import xarray as xr

    from jacprobe.models.identity import Identity
    from jacprobe.studies import Study

ONE_DRAW = "stored evidence has one draw of control cells"
MIXED = "partly stored, partly computed from a run folder: nothing shows that both are of the same weights"
_GIVE = "Put it into the folder, or give the checkpoints by --models"


@dataclass(frozen=True)
class StoredEvidence:
    """The original's files in a folder; which of them are there decides which claims can be judged."""

    tables: Tables

    @classmethod
    def at(cls, folder: Path) -> StoredEvidence:
        """Return the evidence in a folder.

        Raises
        ------
        StudyError
            If there is no such folder, or none of the files in it.
        """
        if not folder.is_dir():
            raise StudyError("no folder", "one with the original's files", "Check --evidence.", folder)
        found = cls(Tables(folder))
        if not found.roles:
            wanted = sorted({name for requests in KNOWN.values() for one in requests for name in _files(one)})
            raise StudyError("none of the original's files", f"of {', '.join(wanted)}", "Check --evidence.", folder)
        return found

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the models that a file is of."""
        return tuple(role for role, requests in KNOWN.items() if any(self.there(one) for one in requests))

    def there(self, request: Request) -> bool:
        """Tell whether the files that answer a request itself are there."""
        found = source(request)
        return found is not None and self.tables.has(*found.files)

    def touches(self, request: Request) -> bool:
        """Tell whether a file that is there answers a request or a part of it."""
        return self.there(request) or any(self.touches(part) for part in request.parts)

    def answer(self, request: Request, study: Study) -> Any:
        """Return what the files hold for a request; None for one that has to be made of others or from a model.

        Raises
        ------
        EvidenceMissingError
            If a file would answer it, is not there, and no model is; it is named. For control copies, which need one.
        StudyError
            If a file is not what its name promises.
        """
        if isinstance(request, Draws) and self.touches(request.of):
            return (study.resolve(request.of),)
        if isinstance(request, Lists) and isinstance(request.of, Listed) and source(request.of) is not None:
            return (study.resolve(request.of),) if self.there(request.of) else None
        if isinstance(request, Copies) and not set(request.of.roles[:1]) & set(study.models):
            raise EvidenceMissingError(
                f"no {request.control} copies of {request.of.roles[0]}",
                "its weights: what is learned shows against copies",
                "Give the checkpoint by --models or --model",
                study.name,
            )
        found = source(request)
        if isinstance(request, Among) and found is None:
            return self._among(request, study)
        if found is None:
            self._require_model(request, study)
            return None
        missing = [name for name in found.files if not self.tables.has(name)]
        if not missing:
            return found.read(self.tables)
        if set(request.roles) <= set(study.models) or (request.parts and all(map(self.touches, request.parts))):
            return None
        what = f"{type(request).__name__} of {', '.join(request.roles)}"
        raise EvidenceMissingError(f"no {' and no '.join(missing)}", f"it, for {what}", _GIVE, self.tables.folder.name)

    def remarks(self, request: Request) -> tuple[str, ...]:
        """Return what must be said of a claim whose evidence includes a request: of the files that are there."""
        drawn = (ONE_DRAW,) if any(isinstance(one, Draws) and self.touches(one.of) for one in _tree(request)) else ()
        own = (remark for found in self._used(request) for remark in found.remarks)
        return tuple(dict.fromkeys((*own, *drawn)))

    def files(self, request: Request) -> dict[str, str]:
        """Return the files that a request is answered from, with the hash of each."""
        return {name: self.tables.sha256(name) for found in self._used(request) for name in found.files}

    def identity(self, role: str) -> Identity:
        """Return what the files tell of a model: names, and neither weights nor split.

        Raises
        ------
        EvidenceMissingError
            If no file is of it.
        """
        from jacprobe.models.identity import NO_BATCH, Identity

        if role not in self.roles:
            wanted = ", ".join(sorted({name for one in KNOWN.get(role, ()) for name in _files(one)}))
            raise EvidenceMissingError(
                f"nothing stored of {role}",
                f"one of {wanted}" if wanted else "its checkpoint: no file of the original is of it",
                _GIVE if wanted else "Give it by --model",
                self.tables.folder.name,
            )
        kds = self._knockdowns(role)
        return Identity(
            genes=self.tables.genes() if role in NOTEBOOK or role in LINE else (),
            perturbations=(*kds, CONTROL),
            control=CONTROL,
            batches=NO_BATCH,
            cell_set_len=0,
            split=dict.fromkeys(kds, "unknown"),
            weights_sha256="",
            provenance={"model": "evidence computed by others", "mask": "unknown", "weights_sha256": ""},
            latent_dim=LATENT,
        )

    def check(self) -> None:
        """Read every file that is there, large arrays by their heads, so that a bad one is told before anything runs.

        Raises
        ------
        StudyError
            If a file is not what its name promises, or contradicts another.
        UnsafePickleError
            If a pickle would run code.
        """
        lists = (Listed(FEWSHOT, "stratified"), *(Listed(role) for role in NOTEBOOK))
        for request in dict.fromkeys((*lists, *(one for known in KNOWN.values() for one in known))):
            found = source(request)
            if found is not None and self.tables.has(*found.files):
                # What is answered from the one-hot Jacobians takes all of their 3.6 GB.
                (onehot if found.files == ONEHOT else found.read)(self.tables)

    def _require_model(self, request: Request, study: Study) -> None:
        role = base_role(str(getattr(request, "role", "")))
        if role and role not in study.models:
            raise EvidenceMissingError(
                f"no model for the role {role}",
                f"one, since no file of the original holds {request}",
                "Give the checkpoint by --models or --model",
                study.name,
            )

    def _among(self, request: Among, study: Study) -> Any:
        """Return rows of a stored array: those of a list that are there, or of names that must all be."""
        of = source(request.of)
        if of is None:
            return None
        if not self.tables.has(*of.files) and set(request.of.roles) <= set(study.models):
            return None
        rows: xr.DataArray = study.resolve(request.of)
        axis = str(rows.dims[0])
        known = {str(name) for name in rows[axis].values}
        names = study.resolve(self._own(request))
        if isinstance(request.kds, Named):
            lacking = [name for name in names if name not in known]
            if lacking:
                raise EvidenceMissingError(
                    f"{', '.join(lacking[:5])} not in {' and '.join(of.files)}", "every one of the list", _GIVE
                )
        chosen = [name for name in names if name in known]
        if not chosen:
            raise EvidenceMissingError(f"none of the list's knockdowns in {of.files[0]}", "some of them", _GIVE)
        # Taking rows by name copies them: all of them stay where they are.
        return rows if chosen == rows[axis].values.tolist() else rows.sel({axis: chosen})

    def _own(self, request: Among) -> Any:
        """Return the list for rows of a model: its own published one, since its Jacobians are of no other."""
        role, listed = request.of.roles[0], request.kds
        if isinstance(listed, Listed) and isinstance(request.of, Delta | Jacobian) and listed.by != role:
            own = Listed(role, listed.rule, listed.number)
            return own if self.there(own) else listed
        return listed

    def _used(self, request: Request) -> Iterator[Source]:
        found = source(request)
        if found is not None and self.tables.has(*found.files):
            yield found
            return
        for part in () if isinstance(request, Copies) else request.parts:
            yield from self._used(part)

    def _knockdowns(self, role: str) -> tuple[str, ...]:
        found: dict[str, None] = {}
        for request in NAMING[role]:
            named = source(request)
            if named is not None and self.tables.has(*named.files):
                found.update(dict.fromkeys(map(str, named.read(self.tables)["kd"].values)))
        return tuple(found)


def mixed(requests: Sequence[Request], stored: StoredEvidence, runs: Collection[str]) -> bool:
    """Tell whether stored evidence and evidence computed from the run folders of `runs` meet in a claim."""

    def computed(request: Request) -> bool:
        if stored.there(request):
            return False
        return getattr(request, "role", None) in runs or any(map(computed, request.parts))

    return any(stored.touches(request) for request in requests) and any(map(computed, requests))


def _files(request: Request) -> tuple[str, ...]:
    found = source(request)
    return found.files if found is not None else ()


def _tree(request: Request) -> Iterator[Request]:
    yield request
    for part in request.parts:
        yield from _tree(part)
