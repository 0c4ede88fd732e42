"""Key figures: what is drawn is in the ledger line, small, kept, and drawn of odd lines too."""

from __future__ import annotations

import io
import math
from typing import Any

import pytest
from matplotlib.patches import StepPatch
from PIL import Image

from jacprobe.errors import JacprobeError
from jacprobe.report.figures import key_figure, key_figures, style
from jacprobe.report.figures.key import axis_limits, draw
from jacprobe.report.figures.reading import controls, drawn_nulls, draws, parts
from tests.report.ledgers import MOST_BYTES

HISTOGRAM = {"counts": [1, 4, 9, 4, 1], "low": -0.2, "high": 0.3}
NULL = {"name": "random sets", "p": 0.001, "mean": 0.05, "sd": 0.1, "draws": 999, "histogram": HISTOGRAM}


def line(**changes: Any) -> dict[str, Any]:
    """Return a line with what a figure reads; changes named as diagnostics are put there."""
    own: dict[str, Any] = {"id": "nb02-toy", "effect": 0.5, "ci": [0.4, 0.6], "n": 13, "statistic": "a mean"}
    own["criterion"] = "> 0, SESOI 0.1"
    diagnostics = {"unit": "KDs", "ci90": [0.42, 0.58], "nulls": [NULL], "published_effect": 0.314}
    return own | {k: v for k, v in changes.items() if k in own} | {
        "diagnostics": diagnostics | {k: v for k, v in changes.items() if k not in own}
    }  # fmt: skip


def drawn(of: dict[str, Any]) -> style.Sheet:
    found = draw(of)
    assert found is not None
    return found


def marks(sheet: style.Sheet, marker: str, axes: int = 0) -> list[list[float]]:
    lines = sheet.figure.axes[axes].lines
    return [xs(one) for one in lines if one.get_marker() == marker]


def xs(one: Any) -> list[float]:
    return [float(x) for x in one.get_xdata()]


def words(sheet: style.Sheet) -> str:
    return "\n".join(one.text for one in sheet.words)


def test_effect_intervals_null_and_published_stand_where_the_line_says():
    sheet = drawn(line())
    axes = sheet.figure.axes[0]
    assert marks(sheet, "o") == [[0.5]]
    assert marks(sheet, "D") == [[0.314]]
    bars = [xs(one) for one in axes.lines if one.get_color() == style.EFFECT and one.get_linewidth() > 1.5]
    assert [0.4, 0.6] in bars
    assert [0.42, 0.58] in bars
    (histogram,) = [one for one in axes.patches if isinstance(one, StepPatch)]
    found: Any = histogram.get_data()
    assert (found.edges[0], found.edges[-1]) == pytest.approx((-0.2, 0.3))
    depths = found.baseline - found.values
    assert depths / depths.max() == pytest.approx([count / 9 for count in HISTOGRAM["counts"]])
    assert "null: random sets\n" in words(sheet) + "\n"
    assert "999 draws, p = 0.001" in words(sheet)
    assert "n = 13 KDs" in words(sheet)


def test_the_region_is_that_of_the_criterion_and_the_sesoi_is_marked():
    sheet = drawn(line(criterion="> 0, SESOI 0.1"))
    axes = sheet.figure.axes[0]
    (claimed,) = [xs(one) for one in axes.lines if one.get_color() == style.CLAIMED]
    assert claimed == [0, axes.get_xlim()[1]]
    assert [0.1] in marks(sheet, "|")
    sheet = drawn(line(criterion="reproduces 0.3 ± 0.02"))
    (claimed,) = [xs(one) for one in sheet.figure.axes[0].lines if one.get_color() == style.CLAIMED]
    assert claimed == pytest.approx([0.28, 0.32])


def test_a_published_value_far_away_is_an_arrow_at_the_edge_with_its_number():
    sheet = drawn(line(published_effect=500.0))
    right = sheet.figure.axes[0].get_xlim()[1]
    assert right < 3
    assert marks(sheet, ">") == [[right]]
    assert "published: 500" in words(sheet)


def test_several_effects_are_a_forest():
    several = {f"set_{i}": {"effect": 0.1 * i, "ci": [0.1 * i - 0.05, 0.1 * i + 0.05], "n": i} for i in range(1, 4)}
    of = line(models=several)
    assert [part.name for part in parts(of)] == list(several)
    assert marks(drawn(of), "o")[1:] == [[pytest.approx(0.1 * i)] for i in range(1, 4)]
    assert "set 3, n = 3" in words(drawn(of))
    low, high = axis_limits(of, drawn_nulls(of), parts(of))
    assert low < -0.2
    assert high > 0.6


def test_controls_stand_beside_the_trained_model_on_an_axis_of_their_own():
    copies = [0.1, 0.12, 0.2]
    of = line(controls={"untrained": {"mean": 0.14, "copies": copies, "trained": 0.45, "kds": 60}})
    sheet = drawn(of)
    assert len(sheet.figure.axes) == 2
    assert marks(sheet, "D", 1) == [[0.45]]
    assert marks(sheet, "o", 1) == [copies]
    assert "untrained, 3 copies" in words(sheet)
    assert "over 60 knockdowns" in words(sheet)


@pytest.mark.parametrize(
    ("diagnostics", "found"),
    [
        ({"controls": {"this model": 0.4, "untrained": [0.1, 0.2], "seed replicate": 0.5}}, [0.4, 0.1, 0.2, 0.5]),
        ({"controls": {"seed_replicate_difference": 0.2}}, [0.5, 0.2]),
        ({"trained": 0.54, "copies": [0.4, 0.5]}, [0.54, 0.4, 0.5]),
        ({"fold": 0.5, "untrained_folds": [0.9, 1.0]}, [0.5, 0.9, 1.0]),
        ({"per_unit": {"A": 0.1, "B": 0.3}, "mismatched_mean": 0.0, "seed_replicate_mean": 0.02}, [0.2, 0.0, 0.02]),
        ({"ceilings": {"training seed": 0.3}}, [0.5, 0.3]),
        ({"controls": {"BRCA1": 0.3, "MYC": 0.4}}, []),
        ({"controls": {"untrained": {"copies": [None, 0.1]}}}, []),
        ({"controls": []}, []),
    ],
)
def test_every_form_in_which_measures_keep_controls_is_read(diagnostics, found):
    assert [value for one in controls(line(**diagnostics)) for value in one.values] == pytest.approx(found)


def test_draws_are_shown_only_where_the_effect_is_their_mean():
    assert draws(line(values=[0.4, 0.6])) == (0.4, 0.6)
    assert draws(line(values=[0.4, 0.7])) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"ci": None, "nulls": []},
        {"effect": None},
        {"effect": math.nan},
        {"effect": 1.0, "ci": [1.0, 1.0], "nulls": []},
        {"effect": math.inf, "ci": [0.0, math.inf]},
    ],
)
def test_nothing_is_drawn_where_nothing_is_random(changes):
    assert key_figure(line(**changes)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"ci": None},
        {"ci": [math.nan, 0.6]},
        {"ci90": None, "nulls": [], "published_effect": None},
        {"effect": 1e30, "ci": [-1e31, 1e31]},
        {"effect": 1e-12, "ci": [0.0, 2e-12], "nulls": [], "published_effect": None, "criterion": "= 0 ± 0"},
        {"n": None},
        {"n": 1},
        {"nulls": [NULL | {"mean": None, "sd": None, "histogram": {"counts": [3], "low": 0.1, "high": 0.1}}]},
        {"nulls": [NULL | {"histogram": {"counts": [0, 0], "low": 0.0, "high": 1.0}, "p": None}] * 9},
        {"criterion": "in fewshot/hepg2, absent in zeroshot/hepg2 (SESOI 0.5)"},
        {"criterion": "in [15, 15]", "effect": 15.0, "ci": [15.0, 15.0]},
        {"statistic": "of $ and \x1b[31m " * 40, "unit": "$x$"},
        {"models": {f"m{i}": {"effect": i, "ci": None} for i in range(50)}, "values": [0.5] * 500},
        {"models": ["fewshot/hepg2"], "controls": {"untrained": {"copies": [1e9] * 100}}},
    ],
)
def test_odd_lines_are_drawn_small(changes):
    png = key_figure(line(**changes))
    assert png is not None
    assert len(png) <= MOST_BYTES
    image = Image.open(io.BytesIO(png))
    assert image.width == round(style.WIDTH * style.DPI)
    assert image.height < 3000


def test_no_words_leave_the_sheet_or_the_gutter():
    sheet = drawn(line(models={"zeroshot/hepg2, " + "a long name " * 5: {"effect": 0.1}, "b": {"effect": 0.2}}))
    width, height = sheet.figure.get_size_inches()
    for one in sheet.words:
        long = max(style.length(part, one.size) for part in one.text.split("\n"))
        left = one.left - (long / 2 if one.anchor == "ma" else 0)
        assert left >= 0
        assert left + long <= (2.28 if one.left < 1 else width), one
        assert one.top + 0.14 * len(one.text.split("\n")) <= height + 0.01, one


def test_figures_are_kept_under_the_hash_of_what_they_show(tmp_path, monkeypatch):
    first = key_figures([line()], tmp_path)
    (path,) = (tmp_path / "figures").iterdir()
    assert path.name.startswith("nb02-toy-")
    assert path.read_bytes() == first["nb02-toy"]
    monkeypatch.setattr("jacprobe.report.figures.key.key_figure", lambda _: pytest.fail("drawn again"))
    assert key_figures([line() | {"seconds": 9.0}], tmp_path) == first


def test_a_changed_estimate_is_drawn_anew_and_replaces_the_old_figure_of_that_claim_alone(tmp_path):
    key_figures([line(), line(id="nb02-toy-two")], tmp_path)
    before = {path.name for path in (tmp_path / "figures").iterdir()}
    key_figures([line(effect=0.51)], tmp_path)
    after = {path.name for path in (tmp_path / "figures").iterdir()}
    assert len(after) == 2
    assert before & after == {name for name in before if name.startswith("nb02-toy-two")}


def test_a_cut_figure_is_drawn_again(tmp_path):
    first = key_figures([line()], tmp_path)
    (path,) = (tmp_path / "figures").iterdir()
    path.write_bytes(first["nb02-toy"][:-7])
    assert key_figures([line()], tmp_path) == first
    assert path.read_bytes() == first["nb02-toy"]


def test_hostile_ids_stay_inside_the_folder(tmp_path):
    key_figures([line(id="../../nb02/toy")], tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert all(path.parent == tmp_path / "out" / "figures" for path in (tmp_path / "out").rglob("*.png"))


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path):
    (tmp_path / "figures").write_text("a file")
    with pytest.raises(JacprobeError, match="not writable"):
        key_figures([line()], tmp_path)
