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

WIDTH, LEFT, RIGHT, ROW = 430, 142, 48, 30


@dataclass(frozen=True)
class Row:
    """A row of a forest plot; `style` is the colour class, with `open` for a hollow mark."""

    label: str
    contrast: Contrast
    style: str


def draw_dice(group: Group, names: Names, low: float, high: float) -> str:
    """Dice per arm, per cent from low to high: cases as faint dots, means of trainings as ticks, theirs in figures."""
    arms = [arm for arm in group.arms if arm.seeds]
    tables = [scores(arm.seeds, evaluated_cases(arm)) * 100 for arm in arms]
    x = svg.Scale(low, high, LEFT, WIDTH - RIGHT)
    bottom = ROW * len(arms) + 8
    marks = _grid(x, bottom, "Dice, per cent")
    for i, (arm, table) in enumerate(zip(arms, tables, strict=True)):
        y, style = ROW * i + ROW / 2 + 4, names.style(arm)
        marks.append(svg.label(LEFT - 10, y, group.label(arm)))
        for j, (case, value) in enumerate(zip(evaluated_cases(arm), table.mean(axis=0), strict=True)):
            lift = ((j * 7) % 13 - 6) * 1.35  # a fixed scatter, so that equal scores do not hide each other
            marks.append(svg.dot(x(value), y + lift, 2, f"case {style}", f"{case}: {value:.1f}"))
        for seed, value in zip(arm.seeds, table.mean(axis=1), strict=True):
            hint = f"<title>seed {seed.seed}: {value:.1f}</title>"
            marks.append(f'<g class="{style}">{svg.line(x(value), y - 9, x(value), y + 9, "tick")}{hint}</g>')
        marks.append(svg.text(WIDTH, y + 4, f"{table.mean():.1f}", "value", "end"))
    told = "; ".join(f"{names.label(arm)} {table.mean():.1f}" for arm, table in zip(arms, tables, strict=True))
    return svg.figure(WIDTH, bottom + 34, "Dice per arm", f"Mean Dice in per cent: {told}.", marks)


def draw_forest(
    rows: Sequence[Row], title: str, headroom: Contrast | None = None, beside: Sequence[Contrast] = ()
) -> str:
    """Differences to clinical only with their intervals; the headroom as a dashed line with its own interval.

    `beside` are contrasts of a neighbouring plot that shall have the same scale.
    """
    shown = [*(row.contrast for row in rows), *([headroom] if headroom else []), *beside]
    ends = [v * 100 for c in shown for v in (c.difference, c.low, c.high) if v is not None]
    x = svg.Scale(*svg.padded([0.0, *ends], 0.05, 1.0), LEFT, WIDTH - RIGHT)
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
        marks.append(svg.label(LEFT - 10, y, row.label))
        hint = f"{row.label}: {signed(found.difference)} ({interval(found)})"
        if found.low is not None and found.high is not None:
            whisker = svg.line(x(found.low * 100), y, x(found.high * 100), y, "whisker")
            marks.append(f'<g class="{row.style}">{whisker}</g>')
        marks.append(svg.dot(x(found.difference * 100), y, 4.5, f"mark {row.style}", hint))
        marks.append(svg.text(WIDTH, y + 4, signed(found.difference), "value", "end"))
    told = "; ".join(f"{row.label} {signed(row.contrast.difference)} ({interval(row.contrast)})" for row in rows)
    if headroom:
        told += f"; headroom {signed(headroom.difference)} ({interval(headroom)})"
    return svg.figure(WIDTH, bottom + 34, title, f"Dice points with 95 % interval: {told}.", marks)


def dice_range(arms: Sequence[Arm]) -> tuple[float, float]:
    """Range of Dice per cent over the cases of these arms, for panels that shall be compared."""
    low, high = svg.padded([v for arm in arms for v in _dice(arm, evaluated_cases(arm))], 0.04, 1.0)
    return max(0.0, low), min(100.0, high)


def draw_pairs(arm: Arm, baseline: Arm, names: Names, label: str, low: float, high: float) -> str:
    """Each test case: Dice with clinical only across, with the arm up, from low to high; small lesions are hollow.

    Args:
        label: what the panel calls the arm.
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
    title = f"{names.label(arm)} against clinical only, case by case"
    told = f"{better} of {len(cases)} test cases have a higher Dice than with clinical only."
    return svg.figure(left + size + 8, top + size + 20, title, told, marks)


def _dice(arm: Arm, cases: Sequence[str]) -> np.ndarray:
    """Dice per cent of each case, averaged over trainings."""
    return scores(arm.seeds, cases).mean(axis=0) * 100


def _grid(x: svg.Scale, bottom: float, name: str) -> list[str]:
    marks = []
    for tick in x.ticks(6):
        shown = f"{tick:g}".replace("-", "−")
        marks.append(svg.line(x(tick), 4, x(tick), bottom, "grid"))
        marks.append(svg.text(x(tick), bottom + 14, shown, "axis", "middle"))
    marks.append(svg.text((x.start + x.stop) / 2, bottom + 30, name, "axis", "middle"))
    return marks
