"""Low-data curves: scores against the number of clinical cases, one panel per arm, so that no line hides another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from strokereg.core.report import svg
from strokereg.core.report.names import Names
from strokereg.core.report.results import Arm, Results
from strokereg.core.report.statistics import Contrast, interval_of_mean
from strokereg.core.report.summary import evaluated_cases, scores
from strokereg.core.report.text import plain, signed

WIDTH, LEFT, RIGHT, TOP = 218, 34, 12, 22
DICE, DIFFERENCE, BETWEEN, BOTTOM = 100, 84, 40, 36  # pixels: heights of the two plots, between and below them
STEP = 3  # pixels by which two lines are shifted, so that their bars stand beside each other


@dataclass(frozen=True)
class Point:
    """A score at a number of clinical cases, in per cent or points, with its 95 % interval if there is one."""

    cases: int
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A line of a panel; `style` is its colour class, with `open` for hollow marks and a dashed line."""

    label: str
    style: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Panel:
    """One arm: its Dice beside that of clinical only, and its difference from clinical only beside the headroom."""

    label: str
    dice: Sequence[Line]
    difference: Sequence[Line]


@dataclass(frozen=True)
class Curves:
    """The panels of one training and segmenter, drawn on the same scales."""

    title: str
    panels: Sequence[str]


def draw_curves(results: Results, names: Names) -> list[Curves]:
    """Draw the panels of each segmenter and each kind of training; none if no line has two points."""
    if not names.many:
        return []
    several = len({arm.segmenter for arm in results.arms}) > 1
    found = []
    for segmenter in dict.fromkeys(arm.segmenter for arm in results.arms):
        own = [arm for arm in results.arms if arm.segmenter == segmenter and arm.seeds]
        clinical = sorted((arm for arm in own if arm.training == "clinical"), key=lambda arm: arm.cases)
        rooms = [room for room in results.headroom if room.segmenter == segmenter]
        baseline = Line("clinical only", "k0", [_dice(arm) for arm in clinical])
        headroom = Line("headroom", "k0 open", [_compared(room.cases, room.contrast) for room in rooms])
        for training in ("clinical + synthetic", "synthetic"):
            series = _by_name(arm for arm in own if arm.training == training)
            if not any(len(line) > 1 for line in series):
                continue
            title = f"{training[0].upper()}{training[1:]}{' only' * (training == 'synthetic')}"
            panels = [_panel(line, names.style(line[0]), baseline, headroom) for line in series]
            drawn = draw_panels(panels, rooms[0].all_cases if rooms else None)
            found.append(Curves(title + f", {segmenter}" * several, drawn))
    return found


def draw_panels(panels: Sequence[Panel], everything: int | None = None) -> list[str]:
    """Draw panels on common scales, with the number of clinical cases on a logarithmic axis.

    Args:
        everything: the number of all cases, whose tick is labelled `all`.
    """
    numbers = sorted({point.cases for panel in panels for line in panel.dice for point in line.points})
    ends = math.log(numbers[0]), math.log(max(numbers[-1], numbers[0] + 1))
    x = svg.Scale(*ends, LEFT + STEP + 8, WIDTH - RIGHT - STEP - 8)
    low, high = svg.padded(_ends(panel.dice for panel in panels), 0.05, 1.0)
    dice = svg.Scale(max(0.0, low), min(100.0, high), TOP + 18 + DICE, TOP + 18)
    start = TOP + 18 + DICE + BETWEEN
    around = [0.0, *_ends(panel.difference for panel in panels)]
    difference = svg.Scale(*svg.padded(around, 0.05, 1.0), start + DIFFERENCE, start)
    ticks = [(f"all {n}" if n == everything else str(n), x(math.log(n))) for n in numbers]
    return [_draw_panel(panel, x, dice, difference, ticks) for panel in panels]


def _draw_panel(
    panel: Panel, x: svg.Scale, dice: svg.Scale, difference: svg.Scale, ticks: Sequence[tuple[str, float]]
) -> str:
    marks = [svg.text(0, 12, panel.label, "panel")]
    height = dice.start
    for scale, title, lines, signs in (
        (dice, "Dice, per cent", panel.dice, False),
        (difference, "Difference, Dice points", panel.difference, True),
    ):
        if not lines:
            continue
        height = scale.start
        marks.append(svg.text(0, scale.stop - 8, title, "axis"))
        for tick in scale.ticks(4):
            shown = signed(tick / 100).removesuffix(".0") if signs else f"{tick:g}"
            style = "zero" if signs and tick == 0 else "grid"
            marks.append(svg.line(LEFT, scale(tick), WIDTH - RIGHT, scale(tick), style))
            marks.append(svg.text(LEFT - 6, scale(tick) + 4, shown, "axis", "end"))
        for i, line in enumerate(lines):
            marks.append(_draw_line(line, x, scale, STEP * (2 * i - len(lines) + 1), signs))
    places = svg.apart(dict(ticks), LEFT, WIDTH - RIGHT, 30)
    for name, place in ticks:
        marks.append(svg.line(place, height, place, height + 4, "frame"))
        marks.append(svg.text(places[name], height + 16, name, "axis", "middle"))
    marks.append(svg.text((LEFT + WIDTH - RIGHT) / 2, height + 31, "clinical training cases", "axis", "middle"))
    words = [
        f"{title}: {', '.join(f'{p.cases} cases {_text(p, signs)}' for p in lines[-1].points)}"
        for title, lines, signs in (("Dice", panel.dice, False), ("difference", panel.difference, True))
        if lines
    ]
    title = f"{panel.label} by clinical cases"
    return svg.figure(WIDTH, height + BOTTOM, title, f"With 95 % intervals. {'; '.join(words)}.", marks)


def _draw_line(line: Line, x: svg.Scale, y: svg.Scale, shift: float, signs: bool) -> str:
    drawn = [(x(math.log(point.cases)) + shift, y(point.value)) for point in line.points]
    part = [svg.path(drawn, "curve" + " dashed" * ("open" in line.style))]
    for (across, up), point in zip(drawn, line.points, strict=True):
        if point.low is not None and point.high is not None:
            part.append(svg.line(across, y(point.low), across, y(point.high), "bar"))
        hint = f"{line.label}, {point.cases} cases: {_text(point, signs)}"
        part.append(svg.dot(across, up, 3.5, f"mark {line.style}", hint))
    return f'<g class="{line.style.split()[0]}">{"".join(part)}</g>'


def _panel(arms: Sequence[Arm], style: str, baseline: Line, headroom: Line) -> Panel:
    label = _short(arms[0])
    own = Line(label, style, [_dice(arm) for arm in arms])
    compared = Line(label, style, [_compared(arm.cases, arm.contrast) for arm in arms if arm.contrast])
    return Panel(
        label,
        [line for line in (baseline, own) if line.points],
        [line for line in (headroom, compared) if line.points] if compared.points else [],
    )


def _ends(groups: Iterable[Sequence[Line]]) -> list[float]:
    points = [point for lines in groups for line in lines for point in line.points]
    return [value for point in points for value in (point.value, point.low, point.high) if value is not None]


def _by_name(arms: Iterable[Arm]) -> list[list[Arm]]:
    """Group arms by name, in order of their number of cases."""
    series: dict[str, list[Arm]] = {}
    for arm in arms:
        series.setdefault(arm.name, []).append(arm)
    return [sorted(line, key=lambda arm: arm.cases) for line in series.values()]


def _short(arm: Arm) -> str:
    """The name of an arm without the parts that the title of the figure already has."""
    return arm.name.replace(f", {arm.training}", "", 1).removesuffix(f", {arm.segmenter}")


def _dice(arm: Arm) -> Point:
    table = scores(arm.seeds, evaluated_cases(arm)) * 100
    return Point(arm.cases, float(table.mean()), *(interval_of_mean(table) or (None, None)))


def _compared(cases: int, found: Contrast) -> Point:
    low, high = (None if end is None else end * 100 for end in (found.low, found.high))
    return Point(cases, found.difference * 100, low, high)


def _text(point: Point, signs: bool) -> str:
    value = signed(point.value / 100) if signs else f"{point.value:.1f}"
    if point.low is None or point.high is None:
        return value
    return f"{value} ({plain(point.low / 100)} to {plain(point.high / 100)})"
