from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from strokereg.core.report.curves import Curves, Line, Panel, Point, draw_curves, draw_panels
from strokereg.core.report.names import Names
from strokereg.core.report.results import Results
from strokereg.core.report.summary import evaluated_cases, scores


def marks(chart: str) -> dict[str, list[str]]:
    """Label → hints of its marks."""
    found: dict[str, list[str]] = {}
    for hint in re.findall(r"<circle[^>]*><title>(.*?)</title>", chart):
        found.setdefault(hint.split(",")[0], []).append(hint)
    return found


def panel(curves: Curves, name: str) -> str:
    (found,) = [chart for chart in curves.panels if f">{name}</text>" in chart]
    return found


@pytest.fixture(scope="module")
def drawn(large_results: Results) -> list[Curves]:
    return draw_curves(large_results, Names(large_results))


@pytest.fixture
def no_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their bootstrap takes seconds."""
    monkeypatch.setattr("strokereg.core.report.curves.interval_of_mean", lambda table: None)


def test_a_panel_for_each_model_with_clinical_only_and_the_headroom(drawn: list[Curves]) -> None:
    both, alone = drawn
    assert (both.title, alone.title) == ("Clinical + synthetic", "Synthetic only")
    models = ["pix2pix", "spade", "random-contrast", "carvemix", "lesion-paste"]
    for curves in (both, alone):
        assert len(curves.panels) == len(models)
        for model in models:
            chart = panel(curves, model)
            # Two numbers of cases have a headroom; all cases are the headroom.
            assert {label: len(hints) for label, hints in marks(chart).items()} == {
                "clinical only": 3,
                model: 3 + 3,
                "headroom": 2,
            }
            assert "all 110" in chart
            for title in ("Dice, per cent", "Difference, Dice points", "clinical training cases"):
                assert f">{title}</text>" in chart  # each axis has a title of its own


def test_panels_have_the_same_scales_and_nothing_outside(drawn: list[Curves]) -> None:
    both, _ = drawn
    ticks = []
    for chart in both.panels:
        root = ElementTree.fromstring(chart)
        width, height = (float(value) for value in root.get("viewBox", "").split()[2:])
        ticks.append([(t.text, t.get("x"), t.get("y")) for t in root.iter("text") if t.get("class") == "axis"])
        for circle in root.iter("circle"):
            assert 34 <= float(circle.get("cx", "nan")) <= width
            assert 22 <= float(circle.get("cy", "nan")) <= height - 36
    assert all(found == ticks[0] for found in ticks)


def test_values_are_the_arms_own(drawn: list[Curves], large_results: Results) -> None:
    both, _ = drawn
    arm = next(a for a in large_results.arms if a.name == "spade, clinical + synthetic" and a.cases == 50)
    mean = np.mean(scores(arm.seeds, evaluated_cases(arm))) * 100
    dice, difference = [hint for hint in marks(panel(both, "spade"))["spade"] if ", 50 cases" in hint]
    value, low, high = map(float, re.findall(r"-?\d+\.\d", dice))
    assert value == pytest.approx(mean, abs=0.051)
    assert low < value < high
    assert arm.contrast is not None
    assert f"{arm.contrast.difference * 100:+.1f}" in difference


def test_the_headroom_s_point_alone_is_not_a_curve(results: Results) -> None:
    assert draw_curves(results, Names(results)) == []


def test_the_headroom_s_arm_ends_the_line_of_clinical_only(large_results: Results, no_intervals: None) -> None:
    study = large_results.study.model_copy(update={"cases": [10, 50]})
    arms = [arm for arm in large_results.arms if arm.cases < 110 or arm.training == "clinical"]
    fewer = large_results.model_copy(update={"study": study, "arms": arms})
    both, _ = draw_curves(fewer, Names(fewer))
    found = marks(panel(both, "pix2pix"))
    assert len(found["clinical only"]) == 3
    assert len(found["pix2pix"]) == 2 + 2


def test_a_failed_arm_leaves_a_gap(large_results: Results, no_intervals: None) -> None:
    empty = {"seeds": [], "summary": None, "contrast": None, "share": None}
    arms = [a.model_copy(update=empty) if (a.translator, a.cases) == ("spade", 10) else a for a in large_results.arms]
    gone = large_results.model_copy(update={"arms": arms})
    both, _ = draw_curves(gone, Names(gone))
    assert len(marks(panel(both, "spade"))["spade"]) == 2 + 2
    assert len(marks(panel(both, "pix2pix"))["pix2pix"]) == 3 + 3


def test_bars_reach_from_low_to_high_and_lie_apart() -> None:
    lines = [
        Line("one", "k1", [Point(10, 50, 45, 55), Point(100, 60, 58, 62)]),
        Line("two", "k2 open", [Point(10, 50, 40, 60), Point(100, 60)]),
    ]
    (chart,) = draw_panels([Panel("two", lines, [])])
    root = ElementTree.fromstring(chart)
    bars = [{k: float(line.get(k, "nan")) for k in ("x1", "y1", "y2")} for line in root.iter("line")
            if line.get("class") == "bar"]  # fmt: skip
    assert len(bars) == 3
    assert bars[0]["x1"] != bars[2]["x1"]
    assert abs(bars[2]["y2"] - bars[2]["y1"]) == pytest.approx(2 * abs(bars[0]["y2"] - bars[0]["y1"]), abs=0.3)
    middle = np.mean([bars[0]["y1"], bars[0]["y2"]])
    assert float(next(root.iter("circle")).get("cy", "nan")) == pytest.approx(middle, abs=0.2)
