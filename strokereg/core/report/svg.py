"""Small inline SVG: scales, ticks and marks. Colours are classes, so that one stylesheet serves light and dark."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from zlib import crc32


@dataclass(frozen=True)
class Scale:
    """Linear map of values [low, high] to pixels [start, stop]."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.stop - self.start), 1)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values inside the scale, roughly `about` of them."""
        raw = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(i * step, 10) for i in range(first, last + 1)]


def padded(values: Iterable[float], share: float = 0.06, least: float = 1e-6) -> tuple[float, float]:
    """Range of the values with a margin on both sides; never empty."""
    known = list(values)
    low, high = min(known), max(known)
    air = max((high - low) * share, least)
    return low - air, high + air


def figure(width: float, height: float, title: str, description: str, marks: Iterable[str]) -> str:
    """A drawing with a title and a description for screen readers."""
    name = f"g{crc32((title + description).encode()):08x}"
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" role="img" '
        f'aria-labelledby="{name}t {name}d"><title id="{name}t">{escape(title)}</title>'
        f'<desc id="{name}d">{escape(description)}</desc>{"".join(marks)}</svg>'
    )


def line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line of a class."""
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{style}"/>'


def box(x: float, y: float, width: float, height: float, style: str) -> str:
    """A rectangle of a class."""
    return f'<rect x="{x:g}" y="{y:g}" width="{max(width, 0):g}" height="{height:g}" class="{style}"/>'


def dot(x: float, y: float, radius: float, style: str, hint: str = "") -> str:
    """A circle of a class, with a hint under the pointer."""
    inside = f"<title>{escape(hint)}</title>" if hint else ""
    return f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" class="{style}">{inside}</circle>'


def text(x: float, y: float, words: str, style: str = "", anchor: str = "start") -> str:
    """One line of text."""
    return f'<text x="{x:g}" y="{y:g}" class="{style}" text-anchor="{anchor}">{escape(words)}</text>'


def label(x: float, y: float, words: str, style: str = "") -> str:
    """A row label, right-aligned and centred on y, on the lines of `lines_of`."""
    lines = lines_of(words)
    top = y + 4 - 6.5 * (len(lines) - 1)
    return "".join(text(x, top + 13 * i, part, style, "end") for i, part in enumerate(lines))


def heading(x: float, y: float, words: str, width: int) -> list[str]:
    """The heading above a panel: at most two lines of `width` letters, the last one at y."""
    lines = lines_of(words, width, 2)
    return [text(x, y - 14 * (len(lines) - 1 - i), part, "panel") for i, part in enumerate(lines)]


def lines_of(words: str, width: int = 30, most: int = 3) -> list[str]:
    """Break a name into at most `most` lines of about `width` letters: at spaces and after `-`, `_` and `/` only."""
    lines = [""]
    for part in filter(None, re.findall(r"\s*[^\s_/-]*[_/-]*", words)):
        if lines[-1] and len(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
    kept = [line.rstrip() for line in lines[:most]]
    return kept if len(lines) <= most else [*kept[:-1], f"{kept[-1]} …"]


def room(labels: Iterable[str]) -> float:
    """Width in pixels that row labels need, with a gap."""
    return 6.3 * max((len(line) for words in labels for line in lines_of(words)), default=0) + 16


def path(points: Iterable[tuple[float, float]], style: str, clip: str = "") -> str:
    """A polyline."""
    steps = " ".join(f"{x:g},{y:g}" for x, y in points)
    cut = f' clip-path="url(#{clip})"' if clip else ""
    return f'<polyline points="{steps}" class="{style}"{cut}/>'


def clip(x: float, y: float, width: float, height: float) -> tuple[str, str]:
    """A clipping box: its name, which depends on the box only, and its definition."""
    name = f"c{crc32(repr((x, y, width, height)).encode()):08x}"
    return name, f'<clipPath id="{name}"><rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/></clipPath>'


def apart(wanted: dict[str, float], start: float, stop: float, gap: float = 12) -> dict[str, float]:
    """Positions of labels along one axis, moved so that they are at least `gap` apart and do not pass `stop`."""
    order = sorted(wanted, key=lambda name: wanted[name])
    places = [wanted[name] for name in order]
    for i, place in enumerate(places):
        places[i] = max(place, places[i - 1] + gap if i else start)
    limit = stop
    for i in range(len(places) - 1, -1, -1):
        places[i] = min(places[i], limit)
        limit = places[i] - gap
    return dict(zip(order, places, strict=True))
