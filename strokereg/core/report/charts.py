"""Charts of scores: Dice per arm, differences with intervals, and case against case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from strokereg.core.report import svg
from strokereg.core.report.names import Group, Names
from strokereg.core.report.results import Arm
from strokereg.core.report.statistics import Contrast
from strokereg.core.report.summary import SMALL_ML, evaluated_cases, scores
from strokereg.core.report.text import interval, signed

PLOT, RIGHT, ROW = 240, 48, 34  # pixels: width of a plot, of the numbers beside it, height of a row
MEANT = 200  # pixels: labels up to this width leave all charts of a page equally wide


@dataclass(frozen=True)
class Row:
    """A row of a forest plot; `style` is the colour class, with `open` for a hollow mark."""

    label: str
    contrast: Contrast
    style: str


def draw_dice(group: Group, names: Names, low: float, high: float) -> str:
    """Draw the Dice of each arm in per cent: cases as dots, means of trainings as ticks, their mean as a number."""
    arms = [arm for arm in group.arms if arm.seeds]
    tables = [scores(arm.seeds, evaluated_cases(arm)) * 100 for arm in arms]
    left = max(MEANT, svg.room(group.label(arm) for arm in arms))
    x, wide = svg.Scale(low, high, left, left + PLOT), left + PLOT + RIGHT
    bottom = ROW * len(arms) + 8
    marks = _grid(x, bottom, "Dice, per cent")
    for i, (arm, table) in enumerate(zip(arms, tables, strict=True)):
        y, style = ROW * i + ROW / 2 + 4, names.style(arm)
        marks.append(svg.label(left - 10, y, group.label(arm)))
        for j, (case, value) in enumerate(zip(evaluated_cases(arm), table.mean(axis=0), strict=True)):
            lift = ((j * 7) % 13 - 6) * 1.35  # a fixed scatter, so that equal scores do not hide each other
            marks.append(svg.dot(x(value), y + lift, 2, f"case {style}", f"{case}: {value:.1f}"))
        for seed, value in zip(arm.seeds, table.mean(axis=1), strict=True):
            hint = f"<title>seed {seed.seed}: {value:.1f}</title>"
            marks.append(f'<g class="{style}">{svg.line(x(value), y - 9, x(value), y + 9, "tick")}{hint}</g>')
        marks.append(svg.text(wide, y + 4, f"{table.mean():.1f}", "value", "end"))
    means = "; ".join(f"{names.label(arm)} {table.mean():.1f}" for arm, table in zip(arms, tables, strict=True))
    return svg.figure(wide, bottom + 34, "Dice per arm", f"Mean Dice in per cent: {means}.", marks)


def draw_forest(
    rows: Sequence[Row], title: str, headroom: Contrast | None = None, beside: Sequence[Contrast] = ()
) -> str:
    """Draw differences from clinical only with intervals; the headroom is a dashed line with its own interval.

    Args:
        beside: contrasts of neighbouring plots, which get the same scale.
    """
    shown = [*(row.contrast for row in rows), *([headroom] if headroom else []), *beside]
    ends = [v * 100 for c in shown for v in (c.difference, c.low, c.high) if v is not None]
    left = max(MEANT, svg.room(row.label for row in rows))
    x, wide = svg.Scale(*svg.padded([0.0, *ends], 0.05, 1.0), left, left + PLOT), left + PLOT + RIGHT
    bottom = ROW * len(rows) + 8
    marks = []
    if headroom and headroom.low is not None and headroom.high is not None:
        start, stop = x(headroom.low * 100), x(headroom.high * 100)
        marks.append(svg.box(start, 4, stop - start, bottom - 4, "band"))
    marks += _grid(x, bottom, "Dice points, compared with clinical only")
    marks.append(svg.line(x(0), 0, x(0), bottom, "zero"))
    if headroom:
        marks.append(svg.line(x(headroom.difference * 100), 4, x(headroom.difference * 100), bottom, "headroom"))
    for i, row in enumerate(rows):
        y, found = ROW * i + ROW / 2 + 4, row.contrast
        marks.append(svg.label(left - 10, y, row.label))
        hint = f"{row.label}: {signed(found.difference)} ({interval(found)})"
        if found.low is not None and found.high is not None:
            whisker = svg.line(x(found.low * 100), y, x(found.high * 100), y, "whisker")
            marks.append(f'<g class="{row.style}">{whisker}</g>')
        marks.append(svg.dot(x(found.difference * 100), y, 4.5, f"mark {row.style}", hint))
        marks.append(svg.text(wide, y + 4, signed(found.difference), "value", "end"))
    values = "; ".join(f"{row.label} {signed(row.contrast.difference)} ({interval(row.contrast)})" for row in rows)
    if headroom:
        values += f"; headroom {signed(headroom.difference)} ({interval(headroom)})"
    return svg.figure(wide, bottom + 34, title, f"Dice points with 95 % interval: {values}.", marks)


def dice_range(arms: Sequence[Arm]) -> tuple[float, float]:
    """Range of Dice in per cent over the cases of these arms, as the common scale of several panels."""
    low, high = svg.padded([v for arm in arms for v in _dice(arm, evaluated_cases(arm))], 0.04, 1.0)
    return max(0.0, low), min(100.0, high)


def draw_pairs(arm: Arm, baseline: Arm, names: Names, label: str, low: float, high: float) -> str:
    """Draw the Dice of each test case: clinical only on the x-axis, the arm on the y-axis; small lesions are hollow.

    Args:
        label: name of the arm in the panel.
        low, high: range of both axes, in per cent.
    """
    cases = evaluated_cases(arm, baseline)
    across, up = _dice(baseline, cases), _dice(arm, cases)
    size, left, top = 168, 34, 40
    x, y = svg.Scale(low, high, left, left + size), svg.Scale(low, high, top + size, top)
    better = int((np.round(up - across, 9) > 0).sum())
    marks = [*svg.heading(left, top - 12, label, 28), svg.box(left, top, size, size, "frame")]
    for tick in x.ticks(4):
        marks.append(svg.line(x(tick), top, x(tick), top + size, "grid"))
        marks.append(svg.line(left, y(tick), left + size, y(tick), "grid"))
        marks.append(svg.text(x(tick), top + size + 14, f"{tick:g}", "axis", "middle"))
        marks.append(svg.text(left - 6, y(tick) + 4, f"{tick:g}", "axis", "end"))
    marks.append(svg.line(x(low), y(low), x(high), y(high), "zero"))
    colour = names.style(arm).split()[0]
    for case, a, b in zip(cases, across, up, strict=True):
        volume = arm.seeds[0].cases[case].volume_ml
        style = f"pair {colour}" + (" open" if volume < SMALL_ML else "")
        marks.append(svg.dot(x(a), y(b), 3, style, f"{case}, {volume:.1f} ml: {a:.1f} → {b:.1f}"))
    marks.append(svg.text(left + size - 6, top + size - 7, f"{better} of {len(cases)} better", "note", "end"))
    title = f"{names.label(arm)} compared with clinical only, case by case"
    description = f"{better} of {len(cases)} test cases have a higher Dice than with clinical only."
    return svg.figure(left + size + 8, top + size + 20, title, description, marks)


def _dice(arm: Arm, cases: Sequence[str]) -> np.ndarray:
    """Dice of each case in per cent, averaged over trainings."""
    return scores(arm.seeds, cases).mean(axis=0) * 100


def _grid(x: svg.Scale, bottom: float, name: str) -> list[str]:
    marks = []
    for tick in x.ticks(6):
        shown = f"{tick:g}".replace("-", "−")
        marks.append(svg.line(x(tick), 4, x(tick), bottom, "grid"))
        marks.append(svg.text(x(tick), bottom + 14, shown, "axis", "middle"))
    marks.append(svg.text((x.start + x.stop) / 2, bottom + 30, name, "axis", "middle"))
    return marks
