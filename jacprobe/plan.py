"""What collecting a study would cost: work, bytes and hours, before anything runs.

Hours rest on a probe of some seconds on this machine: a few chunks of each probe are really computed and written, to a
folder that is deleted. What does not fit into the probe is estimated by its arithmetic and the rate of matrix products.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from jacprobe.collect import missing
from jacprobe.kept_chunks import KEPT, filled, key
from jacprobe.models.adapters import DEFAULT
from jacprobe.models.run_folder import read_run_folder
from jacprobe.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.collect import Task
    from jacprobe.store.objects import ObjectStore
    from jacprobe.studies import Study

# Elementwise work and products of small matrices, measured as CPU seconds over those of the products alone.
OVER_PRODUCTS = {"jacobian": 1.2, "delta": 1.7, "knockout": 1.7}
_CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class Sizes:
    """The sizes that the cost of a State model follows from; no layers for a model of another kind."""

    cells: int
    genes: int
    width: int
    layers: int
    heads: int
    key_heads: int
    head_dim: int
    inner: int

    @property
    def forward_gflop(self) -> float:
        """Products of one prediction of a set of cells, in 1e9 operations."""
        attention = (
            2 * (self.heads + self.key_heads) * self.head_dim * self.width + 2 * self.cells * self.heads * self.head_dim
        )
        layer = attention + 3 * self.width * self.inner
        return 2e-9 * self.cells * (self.layers * layer + self.width * self.genes)

    @property
    def jacobian_gflop(self) -> float:
        """Products of the local rules for one knockdown, in 1e9 operations; the first layer's scores need none."""
        square = self.width**2
        scores = self.heads * (2 * self.cells + self.head_dim) * square
        mixing = self.heads * 2 * self.cells * self.head_dim * self.width
        attention = scores + mixing + self.heads * self.head_dim * square
        mlp = self.inner * square + self.width * square
        return 2e-9 * self.cells * (self.layers * (attention + mlp) - scores + self.genes * square)


@dataclass(frozen=True)
class Cost:
    """Seconds that a kind of work takes on this machine, by the clock and of its processors.

    Attributes
    ----------
    once
        For each entry: preparing the model and the cells for it.
    each
        For each name along the first axis, writing included.
    cpu_once, cpu_each
        The same in processor seconds.
    how
        "measured", or "arithmetic" where a single name takes longer than the probe.
    """

    once: float
    each: float
    cpu_once: float
    cpu_each: float
    how: Literal["measured", "arithmetic"]


@dataclass(frozen=True)
class Item:
    """One entry of the plan.

    Attributes
    ----------
    probe, role, draw
        Which one.
    names, missing
        Names along the first axis that were asked for, and that the store lacks.
    gflop
        Products for what is missing, in 1e9 operations.
    nbytes
        What it will take on disk.
    hours, cpu_hours
        Of one process, by the clock and of its processors.
    how
        How hours were estimated.
    """

    probe: str
    role: str
    draw: int
    names: int
    missing: int
    gflop: float
    nbytes: int
    hours: float
    cpu_hours: float
    how: str


@dataclass(frozen=True)
class Plan:
    """What would be computed.

    Attributes
    ----------
    items
        One for each entry.
    workers
        Processes among which it is shared.
    loading_seconds, loading_cpu_seconds
        Of one process: reading weights, once for each model.
    probe_seconds
        How long the estimate took.
    """

    items: tuple[Item, ...]
    workers: int
    loading_seconds: float
    loading_cpu_seconds: float
    probe_seconds: float

    @property
    def nbytes(self) -> int:
        """Bytes to be written."""
        return sum(item.nbytes for item in self.items)

    @property
    def gflop(self) -> float:
        """Products, in 1e9 operations."""
        return sum(item.gflop for item in self.items)

    @property
    def cpu_hours(self) -> float:
        """Processor hours, of one process."""
        return sum(item.cpu_hours for item in self.items) + self.loading_cpu_seconds / 3600

    @property
    def hours(self) -> float:
        """Hours by the clock: each worker reads the weights, and the rest is shared."""
        work = sum(item.hours for item in self.items) / self.workers
        return work + self.loading_seconds / 3600

    @property
    def missing(self) -> int:
        """Chunks to be computed."""
        return sum(item.missing for item in self.items)


def plan(
    study: Study, todo: Sequence[Task], store: Store | ObjectStore, workers: int = 1, probe_seconds: float = 5.0
) -> Plan:
    """Return what collecting the tasks would take.

    Parameters
    ----------
    study, todo, store
        As of `jacprobe.collect.collect`.
    workers
        Processes that share the work, each on a core of its own.
    probe_seconds
        How long to measure, loading of weights apart.
    """
    begun = time.perf_counter()
    left = [missing(task, store, key(task.request, study)) for task in todo]
    costs = _Costs(study, [task for task in left if task.names], probe_seconds)
    items = tuple(_item(study, task, rest, costs) for task, rest in zip(todo, left, strict=True))
    return Plan(items, workers, *costs.loading, time.perf_counter() - begun)


def sizes(study: Study, role: str) -> Sizes:
    """Return the sizes of a State model, from its run folder; of others the head's alone, the rest is measured."""
    entry, identity = study.models[role], study.identity(role)
    if entry.adapter != DEFAULT or not identity.n_layers:
        return Sizes(study.n_cells, len(identity.genes), identity.latent_dim, 0, 0, 0, 0, 0)
    run = read_run_folder(entry.run, entry.checkpoint)
    backbone: Mapping[str, Any] = run.hyperparameters["transformer_backbone_kwargs"]
    heads = int(backbone["num_attention_heads"])
    width = int(run.hyperparameters["hidden_dim"])
    return Sizes(
        study.n_cells,
        len(run.genes),
        width,
        int(backbone["num_hidden_layers"]),
        heads,
        int(backbone.get("num_key_value_heads", heads)),
        int(backbone.get("head_dim", width // heads)),
        int(backbone["intermediate_size"]),
    )


def gflop(probe: str, of: Sizes) -> float:
    """Return the products behind one name of a probe, in 1e9 operations."""
    return of.jacobian_gflop if probe == "jacobian" else of.forward_gflop


def _item(study: Study, task: Task, left: Task, costs: _Costs) -> Item:
    labels = KEPT[type(task.request)].labels(study.identity(task.request.role))
    chunk = prod(len(names) for names in list(labels.values())[1:]) * 4 + _CHECKSUM_BYTES
    n = len(left.names)
    cost = costs.of(left) if n else Cost(0, 0, 0, 0, "measured")
    return Item(
        task.probe,
        task.request.role,
        task.request.draw,
        len(task.names),
        n,
        n * gflop(task.probe, costs.sizes[task.request.role]) if n else 0.0,
        n * chunk,
        (cost.once + n * cost.each) / 3600,
        (cost.cpu_once + n * cost.cpu_each) / 3600,
        cost.how,
    )


class _Costs:
    """Seconds of each kind of work: one for each probe and size of model, measured on the first such task."""

    def __init__(self, study: Study, left: Sequence[Task], seconds: float) -> None:
        self._study = study
        self.sizes = {task.request.role: sizes(study, task.request.role) for task in left}
        kinds = {self._kind(task): task for task in left}
        self.loading = self._loading() if left else (0.0, 0.0)
        self._found: dict[tuple[str, Sizes], Cost] = {}
        remaining = seconds
        # The dearest first: what is left to arithmetic leaves its share of the probe to the others.
        for i, (kind, task) in enumerate(sorted(kinds.items(), key=lambda pair: -gflop(pair[0][0], pair[0][1]))):
            begun = time.perf_counter()
            self._found[kind] = self._measured(task, remaining / (len(kinds) - i))
            remaining = max(0.0, remaining - (time.perf_counter() - begun))

    def of(self, task: Task) -> Cost:
        """Return what a task costs."""
        return self._found[self._kind(task)]

    def _kind(self, task: Task) -> tuple[str, Sizes]:
        return task.probe, self.sizes[task.request.role]

    def _loading(self) -> tuple[float, float]:
        """Return the seconds of loading all models: the first one, which brings its libraries, and each further one."""
        role, *further = self.sizes
        took = []
        for study in (self._study, self._study.reopened()) if further else (self._study,):
            begun = _now()
            study.model(role)
            took.append(_since(begun))
        wall, cpu = zip(*took, strict=True)
        return wall[0] + wall[-1] * len(further), cpu[0] + cpu[-1] * len(further)

    def _measured(self, task: Task, share: float) -> Cost:
        """Compute and write names of a task for some seconds, in blocks as when it is collected."""
        kind, per_name = KEPT[type(task.request)], self._by_arithmetic(task)
        size = min(kind.block, int(share / per_name), len(task.names))
        if size < 1:
            return Cost(per_name, per_name, per_name, per_name, "arithmetic")
        begun = _now()
        compute = kind.compute(self._study, task.request)
        compute(list(task.names[:size]))  # the first pass brings kernels into being
        once = _since(begun)
        total, n, ended = (0.0, 0.0), 0, time.perf_counter() + share - once[0]
        with tempfile.TemporaryDirectory() as folder:
            for start in range(0, len(task.names) - size + 1, size):
                block = replace(task, names=task.names[start : start + size])
                begun = _now()
                filled(block.request, self._study, Store.at(folder), block.names, prepare=lambda: compute)
                took = _since(begun)
                # The first one makes the entry too, once for a whole task.
                if start == 0:
                    once = (once[0] + took[0], once[1] + took[1])
                else:
                    total, n = (total[0] + took[0], total[1] + took[1]), n + size
                if n and time.perf_counter() > ended:
                    break
        if n == 0:  # a first pass and a first write, of which nothing tells them from further ones
            return Cost(once[0] / 2, once[0] / 2 / size, once[1] / 2, once[1] / 2 / size, "measured")
        each, cpu_each = total[0] / n, total[1] / n
        return Cost(max(0.0, once[0] - each * size), each, max(0.0, once[1] - cpu_each * size), cpu_each, "measured")

    def _by_arithmetic(self, task: Task) -> float:
        probe, of = self._kind(task)
        return gflop(probe, of) / self._rate * OVER_PRODUCTS[probe]

    @cached_property
    def _rate(self) -> float:
        from jacprobe.jacobian.gemm import fastest, probe

        found = fastest(probe())
        return found.gflops


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _since(begun: tuple[float, float]) -> tuple[float, float]:
    return time.perf_counter() - begun[0], time.process_time() - begun[1]
