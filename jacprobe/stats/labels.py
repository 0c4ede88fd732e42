"""Labelled or plain arrays in, checked float64 arrays and names out: matched by name, never by position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jacprobe.errors import EvidenceMissingError, InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.intp]

# Products of float32 rows are symmetric to a few units in the seventh digit; anything above this is another matrix.
_ASYMMETRY = 1e-5


@dataclass(frozen=True)
class Labelled:
    """A float64 array whose first axis carries `names` (of a similarity matrix both axes do)."""

    values: FloatArray
    names: tuple[str, ...]

    def take(self, names: Sequence[str]) -> FloatArray:
        """Return the rows of `names`, in that order."""
        return self.values[self._places(names)]

    def submatrix(self, names: Sequence[str]) -> FloatArray:
        """Return rows and columns of `names`, in that order, of a similarity matrix."""
        places = self._places(names)
        return self.values[np.ix_(places, places)]

    def _places(self, names: Sequence[str]) -> IntArray:
        place = {name: i for i, name in enumerate(self.names)}
        return np.array([place[name] for name in names], dtype=np.intp)


@dataclass(frozen=True)
class Members:
    """Where the unique, known members of a set stand, and what had to be left out."""

    index: IntArray
    names: tuple[str, ...]
    unknown: tuple[str, ...]
    duplicates: tuple[str, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        """Remarks for the estimate."""
        twice = f"named more than once, counted once: {', '.join(self.duplicates)}"
        return (twice,) if self.duplicates else ()


def require_one_of(value: object, known: Sequence[str], where: str) -> None:
    """Raise `InputError` if an option is none of the known ones."""
    if value not in known:
        raise InputError(repr(value), f"one of {', '.join(known)}", where=where)


def is_labelled(array: object) -> bool:
    """Tell an xarray.DataArray without importing xarray."""
    return hasattr(array, "dims") and hasattr(array, "coords")


def axis_names(array: Any, axis: int) -> tuple[str, ...]:
    """Return the coordinate of one axis as strings; of an axis without a coordinate, its positions."""
    if isinstance(array, Labelled):
        return array.names
    size = np.shape(array)[axis]
    if is_labelled(array) and array.dims[axis] in array.coords:
        return tuple(str(name) for name in np.asarray(array.coords[array.dims[axis]].values).tolist())
    return tuple(str(i) for i in range(size))


def rows(array: Any, where: str, *, ndim: int | None = None, finite: bool = True) -> Labelled:
    """Return an array labelled along its first axis.

    Raises
    ------
    InputError
        On a wrong number of dimensions, repeated names or values that are not finite numbers.
    """
    try:
        values = np.asarray(getattr(array, "values", array), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"values that are no numbers ({error})", "an array of numbers", where=where) from error
    if ndim is not None and values.ndim != ndim:
        raise InputError(f"{values.ndim} dimensions", f"{ndim}", where=where)
    if values.size == 0:
        raise InputError(f"an array of shape {values.shape}", "at least one value", where=where)
    names = axis_names(array, 0)
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise InputError(f"names that stand twice: {', '.join(repeated[:5])}", "each name once", where=where)
    if finite and not np.isfinite(values).all():
        bad = [name for name, row in zip(names, values, strict=True) if not np.isfinite(row).all()]
        raise InputError(
            f"{int((~np.isfinite(values)).sum())} values that are not finite, in {', '.join(bad[:5])}",
            "finite numbers",
            "drop these knockdowns before the statistic, and name them",
            where,
        )
    return Labelled(values, names)


def square(similarity: Any, where: str = "similarity", least: int = 3) -> Labelled:
    """Return a similarity matrix (n, n), both axes in one order.

    Raises
    ------
    InputError
        If it is not square, not symmetric, not finite, smaller than `least`, constant off the diagonal, or if its
        axes carry different names.
    """
    array = rows(similarity, where, ndim=2)
    values, names = array.values, array.names
    if values.shape[0] != values.shape[1]:
        raise InputError(f"a matrix of shape {values.shape}", "a square one", "pass similarities of all KDs", where)
    if len(names) < least:
        raise InputError(f"{len(names)} knockdowns", f"at least {least}", where=where)
    columns = axis_names(similarity, 1)
    if columns != names:
        if set(columns) != set(names):
            odd = sorted(set(columns) ^ set(names))
            raise InputError(f"axes with different names: {', '.join(odd[:5])}", "the same names on both", where=where)
        place = {name: i for i, name in enumerate(columns)}
        values = values[:, [place[name] for name in names]]
    gap, scale = float(np.abs(values - values.T).max()), float(np.abs(values).max())
    if gap > _ASYMMETRY * max(scale, 1e-300):
        raise InputError(f"an asymmetric matrix: |S - S.T| reaches {gap:.3g}", "S[i, j] = S[j, i]", where=where)
    off = values[~np.eye(len(names), dtype=bool)]
    if np.ptp(off) <= 1e-12 * max(scale, 1e-300):
        raise InputError("a constant matrix", "similarities that differ", "a constant has no order to test", where)
    return Labelled((values + values.T) / 2, names)


def common(arrays: Mapping[str, Labelled], least: int = 3) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that all arrays share, in the order of the first, and the names that some of them lack.

    Raises
    ------
    InputError
        If fewer than `least` names are shared.
    """
    first = next(iter(arrays.values()))
    shared = set(first.names).intersection(*(array.names for array in arrays.values()))
    everything = {name for array in arrays.values() for name in array.names}
    if len(shared) < least:
        raise InputError(
            f"{len(shared)} names in common ({', '.join(f'{k}: {len(v.names)}' for k, v in arrays.items())})",
            f"at least {least}",
            "arrays are matched by name: give them coordinates of the same vocabulary",
        )
    return tuple(name for name in first.names if name in shared), tuple(sorted(everything - shared))


def locate(members: Any, names: Sequence[str], least: int, where: str = "members") -> Members:
    """Find the members of a set among `names`.

    Parameters
    ----------
    members
        Names, positions in an unlabelled array, or an object with `members`.
    names
        All knockdowns.
    least
        Fewest members with which the rule can compute anything.

    Raises
    ------
    EvidenceMissingError
        If fewer than `least` of the members are known.
    """
    given = [str(name) for name in _listed(members)]
    unique = list(dict.fromkeys(given))
    place = {name: i for i, name in enumerate(names)}
    known = [name for name in unique if name in place]
    unknown = tuple(name for name in unique if name not in place)
    if len(known) < least:
        raise EvidenceMissingError(
            f"{len(known)} of {len(unique)} members are among the {len(names)} knockdowns",
            f"at least {least}",
            f"not there: {', '.join(unknown[:10])}" if unknown else "the set is too small for this rule",
            where,
        )
    places = sorted(place[name] for name in known)
    index = np.array(places, dtype=np.intp)
    duplicates = tuple(name for name in unique if given.count(name) > 1)
    return Members(index, tuple(names[i] for i in places), unknown, duplicates)


def _listed(members: Any) -> Iterable[Any]:
    inner = getattr(members, "members", members)
    if isinstance(inner, str | bytes):
        raise InputError(f"the text {inner!r} as a set", "a sequence of names", where="members")
    return np.asarray(inner).tolist() if isinstance(inner, np.ndarray) or is_labelled(inner) else inner


@dataclass(frozen=True)
class Categories:
    """A partition of named units: `codes` index into `levels`."""

    codes: IntArray
    names: tuple[str, ...]
    levels: tuple[str, ...]

    def take(self, names: Sequence[str]) -> IntArray:
        """Return the codes of `names`, in that order."""
        place = {name: i for i, name in enumerate(self.names)}
        return self.codes[[place[name] for name in names]]


def categories(labels: Any, where: str = "labels") -> Categories:
    """Return cluster labels by name.

    Parameters
    ----------
    labels
        A mapping of name to label, a labelled vector, or a plain one.
    where
        The argument's name, for errors.

    Raises
    ------
    InputError
        If names repeat, a label is missing, or all units share one label.
    """
    if isinstance(labels, Mapping):
        names, given = tuple(str(name) for name in labels), list(labels.values())
    else:
        names, given = axis_names(labels, 0), np.asarray(getattr(labels, "values", labels)).tolist()
    if len(set(names)) < len(names):
        raise InputError("names that stand twice", "each name once", where=where)
    if any(label is None or label != label for label in given):  # NaN is what differs from itself
        raise InputError("units without a label", "one label each", "leave unlabelled units out", where)
    levels, codes = np.unique(np.array([str(label) for label in given]), return_inverse=True)
    if len(levels) < 2:
        raise InputError(f"{len(levels)} cluster", "at least two", where=where)
    return Categories(codes.astype(np.intp), names, tuple(str(level) for level in levels))
