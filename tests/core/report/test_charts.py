from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from strokereg.core.report.charts import Row, dice_range, draw_dice, draw_forest, draw_pairs
from strokereg.core.report.losses import History, draw_losses
from strokereg.core.report.names import Names
from strokereg.core.report.results import Results
from strokereg.core.report.statistics import Contrast
from strokereg.core.report.svg import Scale, apart, label, lines_of


def test_scale_and_its_ticks() -> None:
    scale = Scale(0.0, 10.0, 100.0, 200.0)
    assert (scale(0), scale(5), scale(10)) == (100, 150, 200)
    assert scale.ticks(5) == [0, 2, 4, 6, 8, 10]
    assert Scale(-0.31, 0.32, 0, 1).ticks(4) == pytest.approx([-0.2, 0, 0.2])


def test_dice_chart_has_a_dot_per_case_and_a_tick_per_training(results: Results) -> None:
    names = Names(results)
    (group,) = names.groups
    chart = draw_dice(group, names, *dice_range(results.arms))
    assert chart.count('class="case') == 6 * 40
    assert chart.count('class="tick') == 6 * 5
    ElementTree.fromstring(chart)


def test_forest_draws_the_interval_where_it_is() -> None:
    found = Contrast(
        difference=0.03, low=0.01, high=0.05, over="cases and seeds", p=0.01, effect=0.5, cases=40, seeds=5
    )
    none = found.model_copy(update={"low": None, "high": None})
    chart = draw_forest([Row("a", found, "k1"), Row("b", none, "k2 open")], "Difference")
    root = ElementTree.fromstring(chart)
    whiskers = [line for line in root.iter("line") if line.get("class") == "whisker"]
    assert len(whiskers) == 1
    centre = float(next(c for c in root.iter("circle")).get("cx", "nan"))
    ends = [float(whiskers[0].get(end, "nan")) for end in ("x1", "x2")]
    assert (ends[0] + ends[1]) / 2 == pytest.approx(centre, abs=0.2)
    assert "b +3.0 (–)" in chart


def test_pairs_count_the_better_cases(results: Results) -> None:
    arms = {arm.name: arm for arm in results.arms}
    arm, baseline = arms["pix2pix + clinical"], arms["clinical only"]
    chart = draw_pairs(arm, baseline, Names(results), arm.name, *dice_range([arm, baseline]))
    shown = re.search(r"(\d+) of 40 better", chart)
    means = [
        tuple(sum(seed.cases[case].dice for seed in a.seeds) for a in (arm, baseline)) for case in arm.seeds[0].cases
    ]
    assert shown
    assert int(shown[1]) == sum(a > b + 1e-9 for a, b in means)
    inside = [float(c.get("cy", "nan")) for c in ElementTree.fromstring(chart).iter("circle")]
    assert len(inside) == 40
    assert all(40 <= y <= 208 for y in inside)


def test_names_tell_numbers_of_cases_apart(results: Results) -> None:
    arm = results.arms[0]
    study = results.study.model_copy(update={"cases": [10, 30]})
    assert Names(results).label(arm) == "clinical only"
    assert Names(results.model_copy(update={"study": study})).label(arm) == "clinical only, n\u00a0=\u00a010"
    styles = [Names(results).style(arm) for arm in results.arms]
    assert styles == ["k0", "k0", "k1 open", "k1", "k2 open", "k2"]


def test_arms_stand_together_by_their_number_of_cases(results: Results, large_results: Results) -> None:
    (group,) = Names(results).groups
    assert (group.title, len(group.arms)) == ("", 6)
    assert group.headroom == results.headroom[0].contrast
    groups = Names(large_results).groups
    assert [(group.title, len(group.arms)) for group in groups] == [
        ("10 clinical cases", 11),
        ("50 clinical cases", 11),
        ("110 clinical cases", 11),
    ]
    assert [group.headroom is None for group in groups] == [False, False, True]
    assert [group.label(group.arms[0]) for group in groups] == ["clinical only"] * 3


def test_the_headroom_s_arm_stands_with_the_last_group(large_results: Results) -> None:
    study = large_results.study.model_copy(update={"cases": [10, 50]})
    arms = [arm for arm in large_results.arms if arm.cases < 110 or arm.training == "clinical"]
    groups = Names(large_results.model_copy(update={"study": study, "arms": arms})).groups
    assert [len(group.arms) for group in groups] == [11, 12]
    assert groups[1].label(groups[1].arms[-1]) == "clinical only, n\u00a0=\u00a0110"


def test_long_labels_break_between_words_and_take_three_lines_at_most() -> None:
    drawn = label(0, 0, "a very long name of an arm that no plot has the room to show as it stands, not even this one")
    assert drawn.count("<text") == 3
    assert "…" in drawn
    assert lines_of("carvemix, clinical + synthetic 50 %") == ["carvemix, clinical + synthetic", "50 %"]
    assert lines_of("pix2pix, mask-library-of-other-patients") == ["pix2pix, mask-library-of-", "other-patients"]
    assert lines_of("immeasurable" * 4) == ["immeasurable" * 4]


def test_a_chart_has_room_for_its_longest_label(results: Results) -> None:
    found = Contrast(difference=0.0, low=-0.1, high=0.1, over="cases", p=None, effect=0, cases=40, seeds=1)
    for name in ("a", "an_unusually_long_name_of_an_architecture_without_spaces"):
        root = ElementTree.fromstring(draw_forest([Row(name, found, "k1")], "Difference"))
        width = float(root.get("width", "nan"))
        edges = [float(text.get("x", "nan")) for text in root.iter("text") if text.get("text-anchor") == "end"]
        assert max(edges) <= width
        labels = [text for text in root.iter("text") if text.text and text.text in name]
        assert all(float(one.get("x", "nan")) > 6 * len(one.text or "") for one in labels)


def test_losses_are_thinned_and_named() -> None:
    history: History = {"title": "unet", "series": {"dice": [(s, 1 / s) for s in range(1, 5001)], "ce": [(1, 0.4)]}}
    chart = draw_losses(history)
    curves = [p.get("points", "") for p in ElementTree.fromstring(chart).iter("polyline")]
    assert max(len(points.split()) for points in curves) <= 160
    assert ">dice<" in chart
    assert "5,000" in chart
    assert draw_losses({"title": "none", "series": {}}) == ""


def test_losses_survive_infinite_values() -> None:
    chart = draw_losses({"title": "unet", "series": {"dice": [(1, 0.4), (2, float("nan")), (3, float("inf"))]}})
    assert "nan" not in chart
    assert "inf" not in chart


def test_labels_do_not_overlap() -> None:
    heights = sorted(apart({"a": 100, "b": 101, "c": 102, "d": 20}, 10, 104).values())
    assert all(b - a >= 12 for a, b in itertools.pairwise(heights))
    assert heights[-1] <= 104
