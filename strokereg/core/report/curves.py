"""Low-data curves: scores against the number of clinical cases, one line per name of an arm."""

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

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 430, 250, 44, 132, 12, 44
STEP = 5  # pixels between the marks of lines at one number of cases, so that bars do not hide each other


@dataclass(frozen=True)
class Point:
    """A score at a number of clinical cases, in the unit of its figure, with its 95 % interval if there is one."""

    cases: int
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """One line of a figure; `style` is the colour class, with `open` for hollow marks and a dashed line."""

    label: str
    style: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Curves:
    """The two figures of one training and segmenter: Dice, and the paired difference from clinical only."""

    title: str
    dice: str
    difference: str


def draw_curves(results: Results, names: Names) -> list[Curves]:
    """Draw the figures of each segmenter and each kind of training; none if no line has two points."""
    if not names.many:
        return []
    several = len({arm.segmenter for arm in results.arms}) > 1
    found = []
    for segmenter in dict.fromkeys(arm.segmenter for arm in results.arms):
        own = [arm for arm in results.arms if arm.segmenter == segmenter and arm.seeds]
        plain = [arm for arm in own if arm.training == "clinical"]
        for training in ("clinical + synthetic", "synthetic"):
            arms = [arm for arm in own if arm.training == training]
            series = _by_name(arms)
            if not any(len(line) > 1 for line in series):
                continue
            title = f"{training[0].upper()}{training[1:]}{' only' * (training == 'synthetic')}"
            title += f", {segmenter}" * several
            scored = [Line(_short(line[0]), names.style(line[0]), [_dice(arm) for arm in line]) for line in series]
            baseline = Line("clinical only", "k0", [_dice(arm) for arm in sorted(plain, key=lambda arm: arm.cases)])
            rooms = [room for room in results.headroom if room.segmenter == segmenter]
            everything = rooms[0].all_cases if rooms else None
            compared = [
                Line(_short(line[0]), names.style(line[0]), points)
                for line in series
                if (points := [_compared(arm.cases, arm.contrast) for arm in line if arm.contrast])
            ]
            headroom = [_compared(room.cases, room.contrast) for room in rooms]
            if headroom:
                compared.insert(0, Line("headroom", "k0 open", headroom))
            found.append(
                Curves(
                    title,
                    draw_lines([baseline, *scored], f"{title}: Dice", "Dice, per cent", everything),
                    draw_lines(compared, f"{title}: difference", "Dice points, compared with clinical only", None, True)
                    if compared
                    else "",
                )
            )
    return found


def draw_lines(lines: Sequence[Line], title: str, axis: str, everything: int | None, zero: bool = False) -> str:
    """Draw lines over the number of clinical cases on a logarithmic axis, each labelled at its end.

    Args:
        everything: the number of all cases, whose tick is labelled `all`.
        zero: the figure shows differences, so it includes 0.
    """
    points = [point for line in lines for point in line.points]
    numbers = sorted({point.cases for point in points})
    ends = [v for p in points for v in (p.value, p.low, p.high) if v is not None] + [0.0] * zero
    low, high = svg.padded(ends, 0.05, 1.0)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    spread = STEP * (len(lines) - 1) / 2 + 6
    x = svg.Scale(math.log(numbers[0]), math.log(max(numbers[-1], numbers[0] + 1)), LEFT + spread, right - spread)
    y = svg.Scale(low if zero else max(0.0, low), high if zero else min(100.0, high), bottom, TOP)
    marks = []
    for tick in y.ticks(5):
        shown = signed(tick / 100).removesuffix(".0") if zero else f"{tick:g}"
        marks.append(svg.line(LEFT, y(tick), right, y(tick), "zero" if zero and tick == 0 else "grid"))
        marks.append(svg.text(LEFT - 6, y(tick) + 4, shown, "axis", "end"))
    places = svg.apart({str(n): x(math.log(n)) for n in numbers}, LEFT, right, 34)
    for number in numbers:
        shown = f"all {number}" if number == everything else str(number)
        marks.append(svg.line(x(math.log(number)), bottom, x(math.log(number)), bottom + 4, "frame"))
        marks.append(svg.text(places[str(number)], bottom + 16, shown, "axis", "middle"))
    marks.append(svg.text((LEFT + right) / 2, HEIGHT - 8, f"clinical cases · {axis}", "axis", "middle"))
    heights = svg.apart({str(i): y(line.points[-1].value) for i, line in enumerate(lines)}, TOP + 4, bottom - 2, 14)
    for i, line in enumerate(lines):
        shift = STEP * (i - (len(lines) - 1) / 2)
        dashed = " dashed" * ("open" in line.style)
        drawn = [(x(math.log(p.cases)) + shift, y(p.value)) for p in line.points]
        part = [svg.path(drawn, f"curve{dashed}")]
        for (across, up), point in zip(drawn, line.points, strict=True):
            hint = f"{line.label}, {point.cases} cases: {_text(point, zero)}"
            if point.low is not None and point.high is not None:
                part.append(svg.line(across, y(point.low), across, y(point.high), "bar"))
            part.append(svg.dot(across, up, 3.5, f"mark {line.style}", hint))
        part.append(svg.line(drawn[-1][0] + 4, drawn[-1][1], right + 4, heights[str(i)], "leader"))
        part.append(svg.label_left(right + 8, heights[str(i)], line.label, "named"))
        marks.append(f'<g class="{line.style.split()[0]}">{"".join(part)}</g>')
    values = "; ".join(
        f"{line.label}: " + ", ".join(f"{p.cases} cases {_text(p, zero)}" for p in line.points) for line in lines
    )
    return svg.figure(WIDTH, HEIGHT, title, f"{axis}, with 95 % interval, by clinical cases. {values}.", marks)


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
