"""A ledger line as a short HTML description: everything a reviewer needs, every text escaped."""

from __future__ import annotations

import base64
import json
from html import escape
from typing import TYPE_CHECKING, Any

from jacprobe.errors import inert
from jacprobe.report.figures import key_figure
from jacprobe.terminal import probability, quantity
from jacprobe.verdicts.ledger import is_expected

if TYPE_CHECKING:
    from collections.abc import Mapping

# Text and background of the badge: contrast of at least 4.5 to 1.
BADGES = {
    "SUPPORTED": ("#ffffff", "#1a7f37"),
    "REFUTED": ("#ffffff", "#0b57a4"),
    "INCONCLUSIVE": ("#ffffff", "#7a3fa0"),
    "NOT EVALUATED": ("#3d2f00", "#f2cf66"),
    "ERROR": ("#ffffff", "#b3261e"),
}


def describe(line: Mapping[str, Any]) -> str:
    """Return the description of one claim: badge, finding, figures, criterion, estimate, provenance."""
    ink, paper = BADGES[line["verdict"]]
    badge = (
        f'<span style="background:{paper};color:{ink};padding:2px 8px;border-radius:4px;font-weight:600">'
        f"{escape(line['verdict'])}</span>"
    )
    surprise = "" if is_expected(line) else " <strong>unexpected</strong>"
    parts = [f"<p>{badge}{surprise} {_text(line['finding'])}</p>", f"<p>{_text(line['reason'])}</p>", _figure(line)]
    parts.append(_table(_rows(line)))
    parts.append(_details("Diagnostics", line["diagnostics"]))
    parts.append(_details("As published, on the same evidence", line["as_published"]))
    parts.append(_details("Provenance", line["provenance"]))
    return "\n".join(part for part in parts if part)


def title(line: Mapping[str, Any]) -> str:
    """Return the title by which the tree of a report is the verdict table."""
    published = line["diagnostics"].get("published_effect")
    against = f" against {published:g}" if published is not None else ""
    measured = f" [{line['effect']:.3g}{against}]" if line["effect"] is not None else ""
    models = f" · {' | '.join(line['models'])}" if line["models"] else ""
    return inert(f"{line['id']}{models} · {line['verdict']}{measured}")


def expected(line: Mapping[str, Any]) -> str:
    """Return what was expected of a claim and why; nothing where every verdict was."""
    because = line["diagnostics"]["expected_because"]
    return f"{' or '.join(line['expected'])}: {because}" if because else ""


def _ps(line: Mapping[str, Any]) -> str:
    if line["p"] is None:
        return ""
    adjusted = f", adjusted {probability(line['p_adjusted'])} in the family {line['family']}" if line["family"] else ""
    return f"{probability(line['p'])} ({line['diagnostics']['alternative']}){adjusted}"


def _rows(line: Mapping[str, Any]) -> list[tuple[str, str]]:
    published = "; ".join(f"{figure['value']} ({figure['source']})" for figure in line["published"])
    effect = line["diagnostics"].get("published_effect")
    if effect is not None:
        published = f"{effect:g} as the statistic here, from {published}"
    rows = [
        ("statistic", line["statistic"]),
        ("published", published or "not stated"),
        ("re-measured, 95 % CI", quantity(line)),
        ("criterion", f"{line['criterion']} ({line['kind']}, {line['criterion_hash']})"),
        ("p", _ps(line)),
        ("n", f"{line['n'] if line['n'] is not None else '-'} {line['diagnostics']['unit']}"),
        ("models", " | ".join(line["models"]) or "-"),
        ("expected", expected(line)),
        ("flags", "; ".join(line["flags"])),
        ("run again", str(line["provenance"].get("command", ""))),
    ]
    if line["mde"] is not None:
        rows.insert(6, ("least detectable effect (80 % power)", f"{line['mde']:.3g}"))
    return [(name, text) for name, text in rows if text]


def _figure(line: Mapping[str, Any]) -> str:
    png = key_figure(line)
    if png is None:
        return ""
    alternative = _text(f"{line['id']}: effect {quantity(line)} beside its null distributions")
    data = base64.b64encode(png).decode("ascii")
    return (
        f'<p><img style="max-width:100%;background:#ffffff" alt="{alternative}" src="data:image/png;base64,{data}"></p>'
    )


def _table(rows: list[tuple[str, str]]) -> str:
    head = '<th style="text-align:left;vertical-align:top;padding-right:1em">'
    body = "".join(f"<tr>{head}{escape(name)}</th><td>{_text(text)}</td></tr>" for name, text in rows)
    return f"<table>{body}</table>"


def _details(heading: str, content: Mapping[str, Any]) -> str:
    if not content:
        return ""
    shown = {
        key: value for key, value in content.items() if key not in ("unit", "expected_because", "published_effect")
    }
    if "nulls" in shown:
        shown["nulls"] = [{k: v for k, v in null.items() if k != "histogram"} for null in shown["nulls"]]
    text = json.dumps(shown, indent=1, ensure_ascii=False)
    return f"<details><summary>{escape(heading)}</summary><pre>{escape(text)}</pre></details>"


def _text(text: object) -> str:
    return escape(inert(text, 2000))
