"""Writing what a reviewer reads: the verdict page and its Markdown twin, both views of a results folder's ledger."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from jacprobe.errors import JacprobeError, StudyError
from jacprobe.report.figures import gallery, key_figures
from jacprobe.report.markdown import verdicts_markdown
from jacprobe.report.overview import overview
from jacprobe.report.page import MANY, page
from jacprobe.results import LEDGER
from jacprobe.suite import read_toml, suite_root
from jacprobe.verdicts.ledger import read_cut_ledger

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jacprobe.report.figures import EvidenceFigure
    from jacprobe.verdicts.ledger import Entry

PAGE, MARKDOWN = "report.html", "verdicts.md"
INLINE = 3_900_000  # bytes of PNG in a page: with their base64 and the text it stays below 6 MB


def write_page(results: Path, out: Path, store: Path | None = None) -> tuple[Path, Path, str]:
    """Write the verdict page and its Markdown twin.

    Parameters
    ----------
    results
        Results folder of a run.
    out
        Folder to write to; made where it is missing.
    store
        Folder of the evidence store, which figures that claims share are drawn from; the user's own by default.

    Returns
    -------
    page, markdown, said
        Both files, and what a person is to know of them in one line.

    Raises
    ------
    StudyError
        Where there are no results, or the ledger is none, of several studies or of another schema.
    JacprobeError
        Where `out` cannot be written; before anything is made for it.
    """
    ledger, remark = find_ledger(results)
    lines, cut = read_cut_ledger(ledger)
    require_writable(out)
    title, planted = about(str(lines[0]["study"])) if lines else ("", False)
    view = overview(lines, title, planted=planted)
    shared, figures, remarks = _figures(lines, out, store)
    html = page(
        view,
        sha256=hashlib.sha256(ledger.read_bytes()).hexdigest(),
        cut=cut or remark,
        figures=figures,
        gallery=shared,
        remarks=remarks,
    )
    _write(out / PAGE, html)
    _write(out / MARKDOWN, verdicts_markdown(view, cut=cut or remark))
    size = (out / PAGE).stat().st_size / 1e6
    said = f"{len(lines):,} claims, {size:.1f} MB{f'; {cut or remark}' if cut or remark else ''}"
    return out / PAGE, out / MARKDOWN, said


def find_ledger(results: Path) -> tuple[Path, str | None]:
    """Return the ledger of a results folder, and a remark where it is that of a run that has not ended.

    Raises
    ------
    StudyError
        Where there is none.
    """
    ledger = results / LEDGER
    partial = ledger.with_name(f"{LEDGER}.partial")
    if ledger.is_file():
        return ledger, None
    if partial.is_file() and partial.stat().st_size:
        return partial, f"the run has not ended, or was killed: {partial.name} has what was judged until then"
    raise StudyError(
        f"no {LEDGER} in {results}",
        "the results folder of a run",
        "Judge a study with pytest claims/, or name its folder with --results.",
        "report",
    )


def about(study: str) -> tuple[str, bool]:
    """Return the title of a study of the suite and whether its truth is planted; nothing of a study from elsewhere."""
    from jacprobe.opening import study_names

    if study not in study_names():
        return "", False
    folder = suite_root() / "fixtures" / "studies"
    return str(read_toml(folder / study / "study.toml").get("title", "")), (folder / study / "truth.toml").is_file()


def require_writable(out: Path) -> None:
    """Make the folder and try it, before anything is made for it.

    Raises
    ------
    JacprobeError
        Where it cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=out).close()
    except OSError as error:
        raise _not_writable(out, error) from error


def _figures(
    lines: Sequence[Entry], out: Path, store: Path | None
) -> tuple[tuple[EvidenceFigure, ...], dict[str, bytes], list[str]]:
    """Return the figures that claims share, those of single claims, and why others are missing; none of many claims."""
    if len(lines) > MANY:
        return (), {}, []
    shared = gallery(lines, out, store)
    room = INLINE - sum(len(figure.png) for figure in shared.figures)
    figures, remarks = inlined(key_figures(lines, out), room)
    missing = [f'No figure "{each.title}": {each.reason}' for each in shared.left_out]
    return shared.figures, figures, [*missing, *remarks]


def inlined(drawn: Mapping[str, bytes], room: int = INLINE) -> tuple[dict[str, bytes], list[str]]:
    """Return the figures that a page has room for, the smallest first, and a remark on those that it has not."""
    found: dict[str, bytes] = {}
    for name, png in sorted(drawn.items(), key=lambda item: len(item[1])):
        room -= len(png)
        if room < 0:
            break
        found[name] = png
    gone = len(drawn) - len(found)
    if not gone:
        return found, []
    return found, [f"Of {len(drawn)} figures the {gone} largest are left out to keep the page small: see figures/."]


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise _not_writable(path.parent, error) from error


def _not_writable(out: Path, error: OSError) -> JacprobeError:
    wanted = "a folder that can be made and written"
    return JacprobeError(f"not writable: {error}", wanted, "Choose another with --out.", out)
