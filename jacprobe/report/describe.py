"""A ledger line as a short HTML description: everything a reviewer needs, every text escaped.

Allure shows it in a frame that runs no script, opens no link and keeps the height it had when it was shown: so nothing
folds.
"""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING, Any

from jacprobe.errors import inert
from jacprobe.report.words import facts, interval, number
from jacprobe.terminal import probability, quantity
from jacprobe.verdicts.ledger import is_expected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Text and background of the badge: contrast of at least 4.5 to 1.
BADGES = {
    "SUPPORTED": ("#ffffff", "#1a7f37"),
    "REFUTED": ("#ffffff", "#0b57a4"),
    "INCONCLUSIVE": ("#ffffff", "#7a3fa0"),
    "NOT EVALUATED": ("#3d2f00", "#f2cf66"),
    "ERROR": ("#ffffff", "#b3261e"),
}
_CELL = "text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere"


def describe(line: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]], png: bytes | None = None) -> str:
    """Return the description of one claim: badge, finding, published against re-measured, figure, tests, provenance.

    Parameters
    ----------
    line
        A ledger line.
    known
        All lines of its ledger by id, among which the parts of a composite are found.
    png
        Its key figure; none where nothing is random.
    """
    surprise = "" if is_expected(line) else " <strong>unexpected</strong>"
    parts = [
        f'<p style="font-size:1.1em">{_badge(line["verdict"])}{surprise} {_text(line["finding"])}</p>',
        f"<p>{_text(line['reason'])}</p>",
        _table(_answer(line)),
        _figure(line, png),
        _table(_context(line)),
        _list("Flags", line["flags"]),
        _grid("Null distributions", ("null", "draws", "mean", "sd", "p"), _nulls(line)),
        _grid("Parts", ("claim", "verdict", "effect"), _parts(line, known)),
        _facts("As published, on the same evidence", facts(line["as_published"])),
        _facts("Provenance", _provenance(line["provenance"])),
    ]
    return "\n".join(part for part in parts if part)


def title(line: Mapping[str, Any]) -> str:
    """Return the title by which the tree of a report is the verdict table."""
    figure = line["diagnostics"].get("published_effect")
    against = f" against {figure:g}" if figure is not None else ""
    measured = f" [{line['effect']:.3g}{against}]" if line["effect"] is not None else ""
    models = f" · {' | '.join(line['models'])}" if line["models"] else ""
    return inert(f"{line['id']}{models} · {line['verdict']}{measured}")


def expected(line: Mapping[str, Any]) -> str:
    """Return why the expected verdict was expected; nothing where every verdict was."""
    return str(line["diagnostics"].get("expected_because") or "")


def published(line: Mapping[str, Any]) -> list[str]:
    """Return the published figures in words, that in the unit of the effect first."""
    effect = line["diagnostics"].get("published_effect")
    own = [f"published, as the statistic here: {effect:g}"] if effect is not None else []
    return [*own, *(f"published: {figure['value']} ({figure['source']})" for figure in line["published"])]


def _ps(line: Mapping[str, Any]) -> str:
    if line["p"] is None:
        return ""
    adjusted = f", adjusted {probability(line['p_adjusted'])} in the family {line['family']}" if line["family"] else ""
    return f"{probability(line['p'])} ({line['diagnostics']['alternative']}){adjusted}"


def _answer(line: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a reviewer compares: published, re-measured, claimed."""
    figures = "; ".join(f"{figure['value']} ({figure['source']})" for figure in line["published"])
    effect = line["diagnostics"].get("published_effect")
    if effect is not None:
        figures = f"{effect:g} as the statistic here, from {figures}" if figures else f"{effect:g}"
    measured, wider = quantity(line), interval(line["diagnostics"].get("ci90"))
    unit = line["diagnostics"].get("unit", "")
    return _filled(
        ("published", figures or "not stated"),
        ("re-measured, 95 % CI", f"{measured}; 90 % CI {wider}" if wider else measured if line["ci"] else ""),
        ("re-measured", measured if line["effect"] is not None and not line["ci"] else ""),
        ("criterion", f"{line['criterion']} ({line['kind']}, {line['criterion_hash']})"),
        ("p", _ps(line)),
        ("n", f"{line['n']:,} {unit}" if line["n"] is not None else ""),
    )


def _context(line: Mapping[str, Any]) -> list[tuple[str, str]]:
    because = expected(line)
    return _filled(
        ("statistic", line["statistic"]),
        ("least detectable effect (80 % power)", number(line["mde"]) if line["mde"] is not None else ""),
        ("models", " | ".join(line["models"])),
        ("expected", f"{' or '.join(line['expected'])}: {because}" if because else ""),
        ("run again", str(line["provenance"].get("command") or "")),
    )


def _filled(*rows: tuple[str, str]) -> list[tuple[str, str]]:
    return [(name, text) for name, text in rows if text]


def _nulls(line: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            null["name"],
            f"{null['draws']:,}" if null["draws"] else "exact",
            number(null["mean"]),
            number(null["sd"]),
            probability(null["p"]),
        )
        for null in line["diagnostics"].get("nulls") or ()
    ]


def _parts(line: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    found = []
    for part in line["diagnostics"].get("parts") or ():
        other = known.get(part)
        found.append((part, other["verdict"], quantity(other)) if other else (part, "not in this ledger", "-"))
    return found


def _provenance(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what identifies models, study and code, in few rows; the attached ledger line has all of it."""
    models = [
        (role, f"{model.get('run', '')}, weights {str(model.get('weights_sha256', ''))[:16]}".strip(", "))
        for role, model in (content.get("models") or {}).items()
    ]
    versions = ", ".join(f"{name} {release}" for name, release in (content.get("versions") or {}).items())
    plain = {name: content.get(name) for name in ("study_sha256", "seed", "batch", "n_cells", "quick")}
    return [*models, *facts(plain), *([("versions", versions)] if versions else [])]


def _badge(verdict: str) -> str:
    ink, paper = BADGES[verdict]
    style = f"background:{paper};color:{ink};padding:2px 8px;border-radius:4px;font-weight:600"
    return f'<span style="{style}">{escape(verdict)}</span>'


def _figure(line: Mapping[str, Any], png: bytes | None) -> str:
    if png is None:
        return ""
    alternative = _text(f"{line['id']}: effect {quantity(line)} beside its null distributions")
    data = base64.b64encode(png).decode("ascii")
    style = "max-width:100%;background:#ffffff"
    return f'<p><img style="{style}" alt="{alternative}" src="data:image/png;base64,{data}"></p>'


def _facts(heading: str, rows: Sequence[tuple[str, str]]) -> str:
    return f"<h4>{escape(heading)}</h4>\n{_table(rows)}" if rows else ""


def _list(heading: str, words: Sequence[str]) -> str:
    items = "".join(f"<li>{_text(text)}</li>" for text in words)
    return f"<h4>{escape(heading)}</h4>\n<ul>{items}</ul>" if items else ""


def _table(rows: Iterable[tuple[str, str]]) -> str:
    head = f'<th scope="row" style="{_CELL};width:26%">'
    cell = f'<td style="{_CELL}">'
    body = "".join(f"<tr>{head}{_text(name)}</th>{cell}{_text(text)}</td></tr>" for name, text in rows)
    return f'<table style="width:100%;table-layout:fixed">{body}</table>'


def _grid(heading: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col" style="{_CELL}">{escape(name)}</th>' for name in names)
    cell = f'<td style="{_CELL}">'
    body = "".join(f"<tr>{''.join(f'{cell}{_text(text)}</td>' for text in row)}</tr>" for row in rows)
    return f"<h4>{escape(heading)}</h4>\n<table><tr>{head}</tr>{body}</table>"


def _text(text: object) -> str:
    return escape(inert(text, 2000))
