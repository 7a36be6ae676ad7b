"""Loss curves: one small panel per network that was trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np

from strokereg.core.report import svg

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 270, 160, 40, 76, 24, 18
POINTS = 160  # the most that a panel of this width can show


class History(TypedDict):
    """Losses of one network; `series` maps the name of a loss to (step, value), in order of steps."""

    title: str
    series: Mapping[str, Sequence[tuple[int, float]]]


def draw_losses(history: History) -> str:
    """Draw one panel with every loss of a network; each line is labelled at its end."""
    curves = {name: _thin(points) for name, points in history["series"].items() if len(points)}
    if not curves:
        return ""
    last = max(float(history["series"][name][-1][0]) for name in curves)
    values = np.concatenate([curve[:, 1] for curve in curves.values()])
    # The first values of a training can be far from all others and would flatten the rest.
    low, high = svg.padded([*np.percentile(values, [1, 99]), *(curve[-1, 1] for curve in curves.values())])
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    x = svg.Scale(0.0, max(last, 1.0), LEFT, right)
    y = svg.Scale(low, high, bottom, TOP)
    cut, definition = svg.clip(LEFT, TOP, right - LEFT, bottom - TOP)
    marks = [definition, svg.text(LEFT, 13, history["title"], "panel")]
    for tick in y.ticks(4):
        marks.append(svg.line(LEFT, y(tick), right, y(tick), "grid"))
        marks.append(svg.text(LEFT - 5, y(tick) + 4, f"{tick:g}".replace("-", "−"), "axis", "end"))
    marks.append(svg.text(LEFT, HEIGHT - 4, "0", "axis", "middle"))
    marks.append(svg.text(right, HEIGHT - 4, f"{last:,.0f}", "axis", "end"))
    ends = svg.apart({name: y(float(curve[-1, 1])) for name, curve in curves.items()}, TOP + 4, bottom - 4)
    for i, (name, curve) in enumerate(curves.items()):
        style = f"k{i % 6 + 1}"
        points = [(x(float(step)), y(float(value))) for step, value in curve]
        marks.append(f'<g class="{style}">{svg.path(points, "curve" + " dashed" * (i % 2), cut)}</g>')
        marks.append(svg.text(right + 6, ends[name] + 4, name, f"named {style}"))
    description = "; ".join(f"{name} from {curve[0, 1]:.3g} to {curve[-1, 1]:.3g}" for name, curve in curves.items())
    return svg.figure(WIDTH, HEIGHT, f"Losses of {history['title']}", f"By step: {description}.", marks)


def _thin(points: Sequence[tuple[int, float]]) -> np.ndarray:
    """Means of equal runs of steps, [at most POINTS, 2]."""
    array = np.asarray(points, dtype=float)
    array = array[np.isfinite(array[:, 1])] if np.isfinite(array[:, 1]).any() else np.nan_to_num(array)
    if len(array) <= POINTS:
        return array
    return np.array([part.mean(axis=0) for part in np.array_split(array, POINTS)])
