"""Studies: roles and the run folders behind them, data and gene sets; requests become evidence here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from jacprobe.columns import Columns
from jacprobe.errors import EvidenceMissingError, InputError, RunFolderError
from jacprobe.gene_sets import defined, members, panel
from jacprobe.requests import Request
from jacprobe.roles import base_role, of_training, parse_control_role, trainings
from jacprobe.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from jacprobe.cells import BatchRule
    from jacprobe.judged import Judged
    from jacprobe.models.identity import Identity
    from jacprobe.probes.sae import SparseAutoencoder
    from jacprobe.roles import ModelEntry
    from jacprobe.store.store import Store
    from jacprobe.stored.evidence import StoredEvidence
    from jacprobe.verdicts.claim import Claim


@dataclass(frozen=True)
class Study:
    """Everything that claims are judged on.

    Attributes
    ----------
    name, title
        Short name and a line for people.
    folder
        Where study.toml stands.
    models
        Model entries by role.
    control_cells_file
        AnnData file of the control cells of all lines; None where none was given.
    n_cells
        Control cells in a set.
    gene_sets
        Definitions by name, as in `fixtures/gene_sets`.
    shapes
        Counts that the study states of its models, checked by name_mismatches.
    columns
        What the cells' columns are called, where the study says so.
    observed_file
        AnnData file of measured mean responses, one row per line and knockdown, or None.
    terms_file
        GMT file whose terms stand in place of the shipped stand-ins, or None.
    layer
        The layer whose features are read; the middle one where None.
    quick
        At most so many knockdowns per probe, for a first look; None takes all.
    seed
        Root of every random stream.
    device, batch
        Where models run ("auto", "cpu", "cuda"), and which batch control cells are given ("first" or "own").
    store
        Where evidence is kept and found again; None computes everything anew.
    stored
        Evidence computed by others, which goes before what models would give; None where there is none.
    options
        How models, data and evidence were given, to be repeated.
    reverse
        Compute in reverse order; used to show that order changes nothing.
    sources
        Notes which entries of the store evidence is read from.
    """

    name: str
    title: str
    folder: Path
    models: Mapping[str, ModelEntry]
    control_cells_file: Path | None
    n_cells: int
    gene_sets: Mapping[str, Mapping[str, Any]]
    shapes: Mapping[str, int]
    columns: Columns = field(default_factory=Columns)
    observed_file: Path | None = None
    terms_file: Path | None = None
    layer: int | None = None
    seed: int = 0
    device: str = "auto"
    batch: BatchRule = "first"
    quick: int | None = None
    reverse: bool = False
    store: Store | None = None
    stored: StoredEvidence | None = None
    options: tuple[str, ...] = ()
    sources: Sources = field(default_factory=Sources, repr=False, compare=False)
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        """Return name, roles with their lines, and what everything is judged by."""
        roles = ", ".join(f"{role} ({entry.cell_line})" for role, entry in self.models.items()) or "no models"
        others = f", evidence of others in {self.stored.tables.folder}" if self.stored is not None else ""
        quick = f", quick look at {self.quick} knockdowns" if self.quick else ""
        return f"<Study {self.name}: {roles}{others}; seed {self.seed}, batch {self.batch}{quick}>"

    @property
    def claims(self) -> Mapping[str, Claim]:
        """Every claim of the suite, by id."""
        from jacprobe.suite import load_rows, suite_root

        return load_rows(suite_root() / "claims")

    def judge(self, claim: Claim | str) -> Judged:
        """Return the verdict on a claim, given by its id or as a row of one's own, judged with its whole family.

        Estimates and evidence that the store has are read, others are measured once and kept.

        Raises
        ------
        UnknownNameError
            Where there is no claim of that id.
        """
        from jacprobe.judged import judging_of, known_claim, verdict_on

        row = known_claim(self.claims, claim)
        if self.claims.get(row.id) is not row:  # one's own, perhaps another one each time
            return verdict_on(judging_of(self, {**self.claims, row.id: row}), row.id)
        if "judging" not in self._cache:
            self._cache["judging"] = judging_of(self, self.claims)
        return verdict_on(self._cache["judging"], row.id)

    @overload
    def evidence(self, claim: Claim | str) -> dict[str, Any]: ...

    @overload
    def evidence(self, claim: Request) -> Any: ...

    def evidence(self, claim: Claim | str | Request) -> Any:
        """Return the evidence of a claim, given by itself or its id, by argument name; or that behind one request.

        Everything is computed once per study.

        Raises
        ------
        EvidenceMissingError
            Where something that the claim needs is absent.
        UnknownNameError
            Where there is no claim of that id.
        """
        if isinstance(claim, Request):
            return self.resolve(claim)
        if isinstance(claim, str):
            from jacprobe.judged import known_claim

            claim = known_claim(self.claims, claim)
        return {name: self.resolve(request) for name, request in claim.evidence.items()}

    def resolve(self, request: Request) -> Any:
        """Return the evidence behind one request; that of control copies is not held in memory."""
        if any(parse_control_role(role) is not None for role in request.roles):
            return self._obtain(request)
        if request in self._cache:
            self.sources.again(request)
        else:
            with self.sources.noting(request):
                self._cache[request] = self._obtain(request)
        return self._cache[request]

    def resolve_all(self, requests: Sequence[Request]) -> list[Any]:
        """Return the evidence behind several requests; processes that ask for the same ones share the work."""
        from jacprobe.obtained import obtained_together

        return obtained_together(requests, self)

    def _obtain(self, request: Request) -> Any:
        from jacprobe.obtained import obtained

        return obtained(request, self)

    def model(self, role: str, mask: Literal["model", "causal"] = "model") -> Any:
        """Return the model of `role`, loaded once; `mask` "causal" builds the same weights with a causal mask.

        It is a `jacprobe.models.protocol.PerturbationModel`; what more it can do, probes find out.
        A control copy ("fewshot/hepg2#untrained-3") is made anew each time: twenty of them are not kept.
        """
        copy = parse_control_role(role)
        if copy is not None:
            from jacprobe.models.controls import control_copy

            return control_copy(self.model(copy[0]), self.control_cells(copy[0]), *copy[1:], batch=self.batch)
        self._require_run(role)
        self.identity(role)
        key = ("model", role, mask)
        if key not in self._cache:
            from jacprobe.models.adapters import adapter

            entry = self.models[role]
            chosen = "auto" if mask == "model" else mask
            self._cache[key] = adapter(entry.adapter).loaded(entry.run, entry.checkpoint, chosen, self.device)
        return self._cache[key]

    def control_cells(
        self, role: str, draw: int = 0, *, line: str | None = None, n_cells: int | None = None
    ) -> xr.DataArray:
        """Return the `draw`-th disjoint set of control cells for `role`: (cell, gene) with `batch`.

        They are of the model's own line, or of `line`; as many as the study says, or `n_cells`.
        """
        role = base_role(role)
        key = ("cells", role, draw, line, n_cells)
        if key not in self._cache:
            from jacprobe.cells import draw_cells, read_cells
            from jacprobe.streams import stream

            self._require_run(role)
            identity = self.identity(role)
            if self.control_cells_file is None:
                raise EvidenceMissingError("no control cells", "a file of them", "Give it by --data.", self.name)
            line = line or self.models[role].cell_line
            rng = stream(self.seed, "control-cells", line)
            of_line = ("line", identity.genes, line)
            if of_line not in self._cache:
                self._cache[of_line] = read_cells(self.control_cells_file, identity, line, self.columns)
            try:
                self._cache[key] = draw_cells(self._cache[of_line], n_cells or self.n_cells, rng, draw=draw)
            except InputError as error:
                raise EvidenceMissingError(
                    error.given, error.wanted, error.mend, where=f"{self.name}, {line}"
                ) from error
        return self._cache[key]

    def identity(self, role: str) -> Identity:
        """Return what the run of `role` is (names, mask, hash, provenance), read without building the model."""
        role = base_role(role)
        key = ("identity", role)
        if role not in self.models and self.stored is not None:
            self._cache[key] = self._cache.get(key) or self.stored.identity(role)
            return self._cache[key]
        self._require_run(role)
        if key not in self._cache:
            from jacprobe.models.adapters import adapter

            entry = self.models[role]
            try:
                self._cache[key] = adapter(entry.adapter).identify(entry.run, entry.checkpoint)
            except RunFolderError as error:
                where = f"{role}: {error.where}"
                raise type(error)(error.given, error.wanted, error.mend, where) from error
        return self._cache[key]

    def _require_run(self, role: str) -> None:
        if role not in self.models:
            known = f"one of {', '.join(self.models)}" if self.models else "its run folder"
            mend = "Give it by --models or --model"
            raise EvidenceMissingError(f"no model for the role {role}", known, mend, self.name)

    def observed(self, line: str) -> xr.DataArray:
        """Return the measured mean responses of a line: (kd, gene), perturbed minus control cells, log1p units."""
        if self.observed_file is None:
            raise EvidenceMissingError("no observed responses", "[data] observed in study.toml", where=self.name)
        key = ("observed", line)
        if key not in self._cache:
            from jacprobe.observed import read_observed

            self._cache[key] = read_observed(self.observed_file, line)
        return self._cache[key]

    def feature_space(self, role: str, space: str) -> tuple[int, SparseAutoencoder | None]:
        """Return the layer that features are read from and the autoencoder, None for the activations themselves."""
        role = base_role(role)
        layer = self.layer if self.layer is not None else self.identity(role).n_layers // 2
        folder = self.models[role].sae if role in self.models else None
        if space == "layer" or (space == "study" and folder is None):
            return layer, None
        if folder is None:
            raise EvidenceMissingError(f"no sparse autoencoder for {role}", "`sae` beside its run", where=self.name)
        key = ("sae", role)
        if key not in self._cache:
            from jacprobe.probes.sae import load_sae

            self._cache[key] = load_sae(folder)
        return layer, self._cache[key]

    def panel(self, name: str, variant: str = "published") -> dict[str, list[str]]:
        """Return regulators, targets, pathway and control knockdowns of a panel."""
        return panel(defined(self.gene_sets, name, self.name), variant, name, self.name)

    def gene_set(self, name: str, variant: str = "published") -> tuple[str, ...]:
        """Return the members of a set, in the models' order: among the knockdowns, or the genes for sets of those."""
        definition = defined(self.gene_sets, name, self.name)
        among = self.genes if definition.get("kind") in ("output", "silenced") else self.knockdowns
        return members(definition, variant, among)

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that have a run folder or stored evidence."""
        return tuple(dict.fromkeys((*self.models, *(self.stored.roles if self.stored is not None else ()))))

    @property
    def knockdowns(self) -> tuple[str, ...]:
        """Every knockdown that a model of the study knows, each once, controls left out."""
        models = [self.identity(role) for role in self.roles]
        names = (name for model in models for name in model.perturbations if name != model.control)
        return tuple(dict.fromkeys(names))

    @property
    def genes(self) -> tuple[str, ...]:
        """Every gene that a model of the study has, each once."""
        return tuple(dict.fromkeys(name for role in self.roles for name in self.identity(role).genes))

    def knockdowns_of(self, role: str) -> list[str]:
        """Return the knockdowns of one model that are looked at: all of its own, or a sample where the run is quick."""
        identity = self.identity(role)
        return self.sampled([name for name in identity.perturbations if name != identity.control])

    def sampled(self, names: Sequence[str]) -> list[str]:
        """Return the names, or where the run is quick as many as it looks at, spread evenly."""
        n = len(names)
        if self.quick is None or n <= self.quick:
            return list(names)
        return [names[i * n // self.quick] for i in range(self.quick)]

    @property
    def sha256(self) -> str:
        """Hash over study.toml and every data file it names but the models, whose weights have hashes of their own."""
        if "sha256" not in self._cache:
            digest = hashlib.sha256()
            for path in (self.folder / "study.toml", self.control_cells_file, self.observed_file, self.terms_file):
                if path is not None:
                    with path.open("rb") as file:
                        digest.update(hashlib.file_digest(file, "sha256").digest())
            self._cache["sha256"] = digest.hexdigest()
        return self._cache["sha256"]

    @property
    def trainings(self) -> tuple[str, ...]:
        """Names of further trainings: what stands behind the @ of roles such as "fewshot/hepg2@43"."""
        return trainings(self.models)

    def training(self, name: str) -> Self:
        """Return the study with its roles' models of another training, where it has them, in place of the first."""
        key = ("training", name)
        if key not in self._cache:
            self._cache[key] = self.reopened(models=of_training(self.models, name))
        return self._cache[key]

    def reopened(self, **changes: Any) -> Self:
        """Return the same study with nothing computed yet, and `changes` made to its fields."""
        return replace(self, _cache={}, sources=Sources(), **changes)
