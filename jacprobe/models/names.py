"""Names of genes, perturbations and batches, read from a run's side files and checked against its weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from jacprobe.errors import RunFolderError


def onehot_names(content: object, width: int, kind: str, where: str) -> tuple[str, ...]:
    """Return the names of a one-hot map in the order of its positions.

    Parameters
    ----------
    content
        A mapping from names to one-hot vectors, as arc-state saves it.
    width
        How many positions the model's weights have.
    kind
        What the names stand for, in the plural, for the errors.
    where
        The file.

    Raises
    ------
    RunFolderError
        If the map holds another number of names than `width`, or vectors that are not one-hot, or one position twice.
    """
    if not isinstance(content, Mapping):
        raise RunFolderError(
            f"holds a {type(content).__name__}",
            f"a mapping from {kind} to one-hot vectors",
            "Copy the file from the run again",
            where,
        )
    if len(content) != width:
        raise RunFolderError(
            f"names {len(content)} {kind}",
            f"{width}, the width of the model's encoder",
            "The file belongs to another run: copy the one that was saved with this checkpoint",
            where,
        )
    position = {str(name): _position(vector, width, str(name), kind, where) for name, vector in content.items()}
    if len(set(position.values())) != width:
        taken = Counter(position.values())
        twice = [name for name, index in position.items() if taken[index] > 1]
        raise RunFolderError(
            f"{kind} {', '.join(twice[:5])} share a position",
            "one position each",
            "The file was altered: copy the one that was saved with this checkpoint",
            where,
        )
    return tuple(sorted(position, key=position.__getitem__))


def _position(vector: object, width: int, name: str, kind: str, where: str) -> int:
    # The size comes first: a tensor may claim 10^12 elements on a storage of one.
    fits = isinstance(vector, torch.Tensor | np.ndarray) and tuple(vector.shape) == (width,)
    if fits and isinstance(vector, torch.Tensor):
        fits = vector.layout is torch.strided and vector.device.type == "cpu" and not vector.is_quantized
    values = _numbers(vector) if fits else np.empty(0)
    if values.shape != (width,) or np.count_nonzero(values) != 1 or values.max() != 1:
        raise RunFolderError(
            f"the vector of {name} is not one-hot (shape {values.shape})",
            f"a one-hot vector of length {width}",
            f"jacprobe covers models whose {kind} enter as one-hot vectors; features of another kind are not covered",
            where,
        )
    return int(values.argmax())


def _numbers(vector: object) -> np.ndarray:
    if isinstance(vector, torch.Tensor):
        return vector.detach().double().numpy() if not vector.is_complex() else np.empty(0)
    values = np.asarray(vector)
    return values if values.dtype.kind in "biuf" else np.empty(0)


def gene_names(lists: Mapping[str, object], width: int) -> tuple[str, ...]:
    """Return the genes of the model's columns, from the first source that lists any.

    Parameters
    ----------
    lists
        What each source ("var_dims.pkl", "the checkpoint") lists, or None where it lists nothing; the first that lists
        any decides. Further ones must agree with it, unless they list another number, such as the whole genome.
    width
        How many columns the model reads and writes.

    Raises
    ------
    RunFolderError
        If the deciding source does not list `width` genes (`var_dims.pkl` may list the whole genome), another one
        contradicts it, or a name occurs twice.
    """
    named = {source: _strings(names, source) for source, names in lists.items() if names is not None}
    source, genes = next(iter(named.items()), ("var_dims.pkl", ()))
    if len(genes) != width:
        counts = ", ".join(f"{len(names):,} in {source}" for source, names in named.items()) or "none at all"
        raise RunFolderError(
            f"gene names: {counts}",
            f"{width:,} names, one for each column of the model's input and output, in their order",
            "X_hvg is consumed by position: put the ordered names of its columns into var_dims.pkl as gene_names",
            source,
        )
    for other, names in named.items():
        if len(names) == width and names != genes:
            at = next(i for i, pair in enumerate(zip(genes, names, strict=True)) if pair[0] != pair[1])
            raise RunFolderError(
                f"{source} and {other} disagree on the genes: column {at} is {genes[at]} and {names[at]}",
                "the same names in the same order",
                "One of them belongs to another run: take out the wrong one",
                source,
            )
    require_unique(genes, "genes", source)
    return genes


def require_unique(names: Sequence[str], kind: str, where: str) -> None:
    """Refuse names that occur twice, listing them."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise RunFolderError(
            f"{len(twice)} duplicate {kind}: {', '.join(twice[:5])}",
            "names that occur once, since everything is matched by name",
            "Give each column a name of its own, such as its Ensembl identifier",
            where,
        )


def _strings(names: object, source: str) -> tuple[str, ...]:
    if isinstance(names, str | bytes) or not isinstance(names, Sequence | np.ndarray):
        raise RunFolderError(
            f"gene_names is a {type(names).__name__}", "a list of names", "Copy the file from the run again", source
        )
    return tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names)
