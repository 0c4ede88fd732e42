"""The ledger: one strict JSON line per claim, unrounded; the truth of which every report is a view."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jacprobe.errors import JacprobeError, StudyError, inert
from jacprobe.texts import parse_json, require_regular
from jacprobe.verdicts.criteria import AllOf
from jacprobe.verdicts.judge import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jacprobe.estimate import Estimate, Null
    from jacprobe.verdicts.claim import Claim
    from jacprobe.verdicts.expectations import Expectation
    from jacprobe.verdicts.judge import Judgement, Multiplicity

SCHEMA = 1
FIELDS = (
    "id", "kind", "group", "family", "study", "models", "finding", "statistic", "criterion", "criterion_hash", "effect",
    "ci", "p", "p_adjusted", "n", "mde", "published", "as_published", "verdict", "expected", "reason", "flags",
    "diagnostics", "provenance", "seconds",
)  # fmt: skip
Entry = dict[str, Any]
_GIVE = "Give the verdicts.jsonl in the results folder of an earlier run"


def entry(
    claim: Claim,
    judgement: Judgement,
    expectation: Expectation,
    *,
    study: str,
    models: Sequence[str],
    provenance: Mapping[str, Any],
    estimate: Estimate | None = None,
    multiplicity: Multiplicity | None = None,
    seconds: float = 0.0,
) -> Entry:
    """Return the ledger line of one claim as JSON-ready data, with the fields of `FIELDS` in that order."""
    flags = dict.fromkeys((*claim.flags, *(estimate.flags if estimate else ()), *judgement.flags))
    values: Entry = {
        "id": claim.id,
        "kind": claim.kind,
        "group": claim.group,
        "family": claim.family,
        "study": study,
        "models": list(models),
        "finding": claim.finding,
        "statistic": claim.statistic,
        "criterion": str(claim.criterion),
        "criterion_hash": claim.criterion_hash,
        "effect": estimate.effect if estimate else None,
        "ci": estimate.ci if estimate else None,
        "p": estimate.p if estimate else None,
        "p_adjusted": multiplicity.p if multiplicity else None,
        "n": estimate.n if estimate else None,
        "mde": estimate.mde if estimate else None,
        "published": [{"value": f.value, "source": f.source, "id": f.id} for f in claim.published],
        "as_published": estimate.as_published if estimate else {},
        "verdict": judgement.verdict,
        "expected": list(expectation.verdicts),
        "reason": judgement.reason,
        "flags": list(flags),
        "diagnostics": _diagnostics(claim, estimate, expectation),
        "provenance": {"schema": SCHEMA, **provenance},
        "seconds": seconds,
    }
    return {name: strict(values[name]) for name in FIELDS}


def is_expected(line: Mapping[str, Any]) -> bool:
    """Whether the verdict of a ledger line is one that was expected of it."""
    return line["verdict"] in line["expected"]


def strict(value: Any) -> Any:
    """Return `value` as JSON can hold it: NumPy scalars and arrays as Python's, no NaN or infinity (null instead)."""
    if isinstance(value, Mapping):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [strict(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if hasattr(value, "tolist"):
        return strict(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return str(value)


def write_ledger(path: Path, lines: Iterable[Entry]) -> None:
    """Write a ledger whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise JacprobeError(f"not writable: {error}", "a folder with room that can be written", where=path) from error


def read_ledger(path: Path) -> list[Entry]:
    """Read a whole ledger.

    Raises
    ------
    StudyError
        Where the file is missing, of another schema, or a line is not one of a ledger, with its number.
    """
    lines, fault = _read(path)
    if fault is not None:
        raise fault
    return lines


def read_cut_ledger(path: Path) -> tuple[list[Entry], str | None]:
    """Read a ledger that may have been cut in its last line, and say so where it was; errors as of `read_ledger`.

    Only the end can be cut: anything else that is no line of a ledger is refused as by `read_ledger`.
    """
    lines, fault = _read(path)
    if fault is None:
        return lines, None
    if fault.number != fault.last or fault.whole:
        raise fault
    return lines, f"{inert(path.name)} was cut in its line {fault.number}: {len(lines)} lines before it were read"


class _LineError(StudyError):
    """A line that is none of a ledger: its number, that of the last line, and whether it is a whole line of JSON."""

    number = last = 0
    whole = False


def _read(path: Path) -> tuple[list[Entry], _LineError | None]:
    """Return the lines up to the first that is none, and what is wrong with that one."""
    try:
        require_regular(path)
        rows = path.read_bytes().split(b"\n")
    except OSError as error:
        raise StudyError(f"not readable: {error}", "a ledger (verdicts.jsonl)", _GIVE, path) from error
    rows = rows if rows[-1] else rows[:-1]
    lines: list[Entry] = []
    for number, row in enumerate(rows, 1):
        try:
            lines.append(_line(row))
        except (ValueError, KeyError, TypeError) as error:
            fault = _LineError(
                f"line {number} is not of a ledger: {error}",
                f"one JSON object with {', '.join(FIELDS[:4])}, ...",
                _GIVE,
                path,
            )
            fault.number, fault.last, fault.whole = number, len(rows), not isinstance(error, ValueError)
            return lines, fault
        schema = lines[-1]["provenance"].get("schema", SCHEMA)
        if schema != SCHEMA:
            raise StudyError(
                f"line {number} is of the schema {schema!r}",
                f"the schema {SCHEMA}",
                "Read it with the version of jacprobe that wrote it, or judge the study again.",
                path,
            )
    return lines, None


def _line(row: bytes) -> Entry:
    """Return a ledger line as data; what names no provenance has an empty one."""
    record = parse_json(row.decode("utf-8"))
    line = {name: record[name] for name in FIELDS}
    for name in ("provenance", "diagnostics"):
        line[name] = line[name] or {}
    for name, value in line.items():
        if not _IS[name](value):
            raise TypeError(f"{name} = {inert(repr(value), 80)}")
    return line


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_interval(value: object) -> bool:
    return value is None or (isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)))


def _is_table(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and {"value", "source"} <= one.keys() for one in value)


def _or_none(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or fits(value)


_IS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(FIELDS, lambda value: isinstance(value, str)),
    **dict.fromkeys(("effect", "p", "p_adjusted", "n", "mde"), _or_none(_is_number)),
    **dict.fromkeys(("models", "expected", "flags"), _is_texts),
    **dict.fromkeys(("as_published", "diagnostics", "provenance"), lambda value: isinstance(value, dict)),
    "family": _or_none(lambda value: isinstance(value, str)),
    "ci": _is_interval,
    "published": _is_table,
    "seconds": _is_number,
    "verdict": lambda value: value in tuple(map(str, Verdict)),
}


def _diagnostics(claim: Claim, estimate: Estimate | None, expectation: Expectation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "unit": claim.unit,
        "expected_because": expectation.reason,
        "published_effect": claim.published_effect,
        "margin": claim.criterion.margin,
    }
    if isinstance(claim.criterion, AllOf):
        shown["parts"] = list(claim.criterion.ids)
    if estimate is None:
        return shown
    shown |= {
        "alternative": estimate.alternative,
        "ci90": estimate.ci90,
        "dropped": list(estimate.dropped),
        "nulls": [_null(null) for null in estimate.nulls],
    }
    return shown | dict(estimate.diagnostics)


def _null(null: Null) -> dict[str, Any]:
    """Return a null as the ledger keeps it: its moments, and its draws as a histogram that a figure can be made of."""
    shown: dict[str, Any] = {
        "name": null.name, "p": null.p, "mean": null.mean, "sd": null.sd, "draws": null.draws, "least_p": null.least_p,
    }  # fmt: skip
    if null.samples is not None and len(null.samples):
        import numpy as np

        counts, edges = np.histogram(null.samples, bins=40)
        shown["histogram"] = {"counts": counts, "low": edges[0], "high": edges[-1]}
    return shown
