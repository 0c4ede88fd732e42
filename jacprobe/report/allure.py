"""Allure results of a ledger: one result per claim, status by verdict, the key figure inline.

Results are made from the ledger when a run is over, through Allure's own plugin hooks, rather than while tests run: so
a claim whose worker died is there too, and no number of workers changes what is written.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import attrs
from allure_commons import model2
from allure_commons.logger import AllureFileLogger

from jacprobe.errors import inert
from jacprobe.report.describe import describe, expected, published, title
from jacprobe.report.figures import key_figure, key_figures
from jacprobe.report.rows import ANY
from jacprobe.report.tables import tables
from jacprobe.terminal import quantity, verdict_line
from jacprobe.verdicts.ledger import is_expected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from jacprobe.verdicts.ledger import Entry

allure: Any = model2  # attrs classes whose constructors carry no types

STATUS = {
    "SUPPORTED": allure.Status.PASSED,
    "REFUTED": allure.Status.FAILED,
    "INCONCLUSIVE": allure.Status.UNKNOWN,
    "NOT EVALUATED": allure.Status.SKIPPED,
    "ERROR": allure.Status.BROKEN,
}
# Bytes of PNG in all descriptions together. A report holds each twice in base64, which makes 7/4 of it.
INLINE = 3_600_000
_NAMES = uuid.uuid5(uuid.NAMESPACE_DNS, "claims.jacprobe")


@attrs.frozen
class _StatusDetails:
    """Allure's status details, with the two texts whose difference a report shows."""

    message: str
    expected: str
    actual: str


def write_allure(folder: Path, lines: Sequence[Entry], started_ms: int = 0, keep: Path | None = None) -> None:
    """Write the Allure results of `lines` into an empty `folder`.

    Parameters
    ----------
    folder
        Results folder; made where it is missing.
    lines
        Ledger lines.
    started_ms
        When the run began, in milliseconds since the epoch: claims are laid end to end from there.
    keep
        Folder whose `figures/` keeps the figures, where another report finds them again.
    """
    logger = AllureFileLogger(folder)
    known = {line["id"]: line for line in lines}
    figures = _inline(lines, keep)
    begun = started_ms
    metrics: list[dict[str, Any]] = []
    for line in lines:
        ended = begun + round(1000 * line["seconds"])
        result = _result(line, known, figures.get(line["id"]), begun, ended)
        _attach(logger, result, line, known)
        logger.report_result(result)
        if line["effect"] is not None:
            metrics.append(_metric(line, begun, ended))
        begun = ended
    logger.report_attached_data(json.dumps(metrics, ensure_ascii=False), f"{_uuid('effects')}-perf.json")
    _environment(folder, lines)
    _executor(folder, lines, started_ms)


def identity(claim_id: str) -> str:
    """Return what Allure knows a claim by, in every run."""
    return hashlib.md5(claim_id.encode(), usedforsecurity=False).hexdigest()


def anchor(claim_id: str) -> str:
    """Return the fragment of an Allure report's address that opens a claim, the same in every run."""
    return hashlib.md5(_uuid(claim_id).encode(), usedforsecurity=False).hexdigest()


def labels(line: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values of the labels by which reports group, filter and match a claim."""
    group = line["group"].upper()
    found = {
        "epic": f"study {line['study']}",
        "feature": group,
        "story": line["family"] or "no multiplicity family",
        "suite": group,
        "framework": "jacprobe",
        "language": "python",
        "verdict": line["verdict"],
        "severity": severity(line),
    }
    surprise = "expected" if is_expected(line) else "unexpected"
    tags = [line["verdict"], line["kind"], surprise, *line["models"]]
    return [(name, inert(value)) for name, value in (*found.items(), *(("tag", tag) for tag in tags))]


def severity(line: Mapping[str, Any]) -> str:
    """Return how much hangs on a claim: all others on the instrument's, the overall answer on the conclusions."""
    if line["group"] == "instrument":
        return "blocker"
    if line["group"] == "conclusion":
        return "critical"
    return "normal" if line["published"] else "minor"


def _uuid(name: str) -> str:
    return str(uuid.uuid5(_NAMES, name))


def _inline(lines: Sequence[Entry], keep: Path | None) -> dict[str, bytes]:
    """Return the figures that descriptions show, the smallest first, as many as there is room for."""
    if keep is not None:
        drawn = key_figures(lines, keep)
    else:
        drawn = {line["id"]: png for line in lines if (png := key_figure(line)) is not None}
    room, shown = INLINE, {}
    for claim_id, png in sorted(drawn.items(), key=lambda item: len(item[1])):
        room -= len(png)
        if room < 0:
            break
        shown[claim_id] = png
    return shown


def _result(line: Entry, known: Mapping[str, Entry], png: bytes | None, begun: int, ended: int) -> Any:
    stated = "any" if set(line["expected"]) >= ANY else " or ".join(line["expected"])
    wanted = [f"verdict: {stated}", f"effect: {line['criterion']}", *published(line)]
    found = [f"verdict: {line['verdict']}", f"effect: {quantity(line)}", *(f"flag: {flag}" for flag in line["flags"])]
    because = expected(line)
    return allure.TestResult(
        uuid=_uuid(line["id"]),
        name=title(line),
        fullName=f"claims.{inert(line['id'])}",
        testCaseId=identity(line["id"]),
        historyId=identity(line["id"]),
        status=STATUS[line["verdict"]],
        statusDetails=_StatusDetails(
            verdict_line(line),
            "\n".join(map(inert, [*wanted, *([f"because: {because}"] if because else [])])),
            "\n".join(map(inert, [*found, f"because: {line['reason']}"])),
        ),
        stage="finished",
        descriptionHtml=describe(line, known, png),
        parameters=[
            allure.Parameter(name="measured", value=quantity(line), excluded=True),
            allure.Parameter(name="criterion", value=inert(line["criterion"]), excluded=True),
        ],
        labels=[allure.Label(name=name, value=value) for name, value in labels(line)],
        steps=[_step(known[part], begun) for part in line["diagnostics"].get("parts") or () if part in known],
        start=begun,
        stop=ended,
    )


def _step(part: Entry, begun: int) -> Any:
    """Return a part of a composite as a step, which a report shows with its status."""
    ended = begun + round(1000 * part["seconds"])
    return allure.TestStepResult(
        name=title(part), status=STATUS[part["verdict"]], stage="finished", start=begun, stop=ended
    )


def _attach(logger: AllureFileLogger, result: Any, line: Entry, known: Mapping[str, Entry]) -> None:
    """Attach what a reviewer would open in a spreadsheet, and the ledger line itself."""
    found = [(name, text, "text/csv", "csv") for name, text in tables(line, known).items()]
    found.append(("ledger line", json.dumps(line, indent=1, ensure_ascii=False), "application/json", "json"))
    for name, text, kind, suffix in found:
        source = f"{_uuid(' '.join((line['id'], name)))}-attachment.{suffix}"
        logger.report_attached_data(text, source)
        result.attachments.append(allure.Attachment(name=name, source=source, type=kind))


def _metric(line: Entry, begun: int, ended: int) -> dict[str, Any]:
    """Return the effect as a measurement of which Allure draws the trend over runs."""
    shown = inert(line["id"])
    return {
        "id": shown, "key": shown, "title": shown, "group": line["group"].upper(), "value": line["effect"],
        "start": begun, "stop": ended,
    }  # fmt: skip


def _environment(folder: Path, lines: Sequence[Entry]) -> None:
    """Write environment.properties: the study, versions and weights that all claims of the run share."""
    shown: dict[str, str] = {}
    for line in lines:
        provenance = line["provenance"]
        shown["study"] = line["study"]
        shown |= {name: str(provenance[name]) for name in ("seed", "batch") if provenance.get(name) is not None}
        if provenance.get("quick"):
            shown["quick look"] = f"at most {provenance['quick']} knockdowns"
        shown |= {f"version.{name}": value for name, value in provenance.get("versions", {}).items()}
        for role, model in provenance.get("models", {}).items():
            shown[f"weights.{role.replace('/', '.')}"] = str(model.get("weights_sha256", ""))[:16]
    text = "".join(f"{_property(name)}={_property(value)}\n" for name, value in shown.items())
    (folder / "environment.properties").write_text(text, encoding="utf-8")


def _property(text: object) -> str:
    """Return `text` with what would end a key or begin an escape in a file of properties escaped."""
    return "".join(f"\\{c}" if c in "\\:=#! " else c for c in inert(text))


def _executor(folder: Path, lines: Sequence[Entry], started_ms: int) -> None:
    """Write executor.json: what made these results, and when."""
    study = inert(lines[0]["study"]) if lines else ""
    when = datetime.fromtimestamp(started_ms / 1000, tz=UTC)
    shown = {
        "name": f"jacprobe {version('jacprobe')}",
        "type": "jacprobe",
        "buildName": f"study {study}, {when:%Y-%m-%d %H:%M} UTC",
        "buildOrder": started_ms // 1000,
        "reportName": f"Claims of the study {study}",
    }
    (folder / "executor.json").write_text(json.dumps(shown, ensure_ascii=False, indent=1), encoding="utf-8")
