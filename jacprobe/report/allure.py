"""Allure results of a ledger: one result per claim, status by verdict, the key figure inline.

Results are made from the ledger when a run is over, through Allure's own plugin hooks, rather than while tests run: so
a claim whose worker died is there too, and no number of workers changes what is written.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from allure_commons import model2
from allure_commons.logger import AllureFileLogger

from jacprobe.errors import inert
from jacprobe.report.describe import describe, title
from jacprobe.terminal import quantity, verdict_line
from jacprobe.verdicts.ledger import is_expected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

allure: Any = model2  # attrs classes whose constructors carry no types

STATUS = {
    "SUPPORTED": allure.Status.PASSED,
    "REFUTED": allure.Status.FAILED,
    "INCONCLUSIVE": allure.Status.UNKNOWN,
    "NOT EVALUATED": allure.Status.SKIPPED,
    "ERROR": allure.Status.BROKEN,
}


def write_allure(folder: Path, lines: Sequence[Mapping[str, Any]], started_ms: int = 0) -> None:
    """Write the Allure results of `lines` into an empty `folder`.

    Parameters
    ----------
    folder
        Results folder; made where it is missing.
    lines
        Ledger lines.
    started_ms
        When the run began, in milliseconds since the epoch: claims are laid end to end from there.
    """
    logger = AllureFileLogger(folder)
    begun = started_ms
    for line in lines:
        ended = begun + round(1000 * line["seconds"])
        result = _result(line, begun, ended)
        source = f"{uuid.uuid4()}-attachment.json"
        logger.report_attached_data(json.dumps(line, indent=1, ensure_ascii=False), source)
        result.attachments.append(allure.Attachment(name="ledger line", source=source, type="application/json"))
        logger.report_result(result)
        begun = ended
    _environment(folder, lines)


def _result(line: Mapping[str, Any], begun: int, ended: int) -> Any:
    identity = hashlib.md5(line["id"].encode(), usedforsecurity=False).hexdigest()
    labels = {
        "epic": f"study {line['study']}",
        "feature": line["group"].upper(),
        "story": line["family"] or line["group"].upper(),
        "suite": line["group"].upper(),
        "framework": "jacprobe",
        "language": "python",
        "verdict": line["verdict"],
        "severity": "normal",
    }
    tags = [line["verdict"], line["kind"], "expected" if is_expected(line) else "unexpected"]
    return allure.TestResult(
        uuid=str(uuid.uuid4()),
        name=title(line),
        fullName=f"claims.{line['id']}",
        testCaseId=identity,
        historyId=identity,
        status=STATUS[line["verdict"]],
        statusDetails=allure.StatusDetails(message=verdict_line(line)),
        stage="finished",
        descriptionHtml=describe(line),
        parameters=[
            allure.Parameter(name="measured", value=quantity(line), excluded=True),
            allure.Parameter(name="criterion", value=line["criterion"], excluded=True),
        ],
        labels=[allure.Label(name=name, value=value) for name, value in labels.items()]
        + [allure.Label(name="tag", value=tag) for tag in tags],
        start=begun,
        stop=ended,
    )


def _environment(folder: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write environment.properties: the study, versions and weights that all claims of the run share."""
    shown: dict[str, str] = {}
    for line in lines:
        provenance = line["provenance"]
        shown["study"] = line["study"]
        shown |= {f"version.{name}": value for name, value in provenance.get("versions", {}).items()}
        for role, model in provenance.get("models", {}).items():
            shown[f"weights.{role.replace('/', '.')}"] = str(model.get("weights_sha256", ""))[:16]
    text = "".join(f"{inert(name)}={inert(value)}\n" for name, value in shown.items())
    (folder / "environment.properties").write_text(text, encoding="utf-8")
