"""Write `report.html` from the results of a study. Sentences and charts come from `text`, `charts` and `curves`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from strokereg.core.report import text
from strokereg.core.report.charts import Row, dice_range, draw_dice, draw_forest, draw_pairs
from strokereg.core.report.curves import draw_curves
from strokereg.core.report.images import Grounds, hexed
from strokereg.core.report.losses import History, draw_losses
from strokereg.core.report.names import Group, Names
from strokereg.core.report.results import Arm, Results
from strokereg.core.report.statistics import FEWEST_CASES, Contrast, Moments
from strokereg.core.report.summary import STRATA, evaluated_cases, scores
from strokereg.core.report.viewer import ViewerScan, encode
from strokereg.core.scan.pictures import CALLED, TRUTH, Outlined, Sheet, flat, pictures_of, trim
from strokereg.core.storage.files import replacing
from strokereg.registry.errors import counted

PANELS = 9  # loss curves shown at once; the others are in a section that can be opened
NAMED = 3  # most arms with a gain that the headline names


def write_report(
    out: Path,
    results: Results,
    histories: Sequence[History] = (),
    pictures: Sequence[Sheet] = (),
    volumes: Sequence[ViewerScan] = (),
) -> Path:
    """Write the report atomically.

    Args:
        out: the file to write, or a folder for `report.html`.
        results: the result of `core.report.summary.summarise`.
        histories: losses per network, as `{"title", "series": {loss: [(step, value)]}}`.
        pictures: sheets of slices.
        volumes: scans for the slice viewer; without any, the page has no script.

    Returns:
        The path of the file. It is self-contained and works offline.
    """
    path = out / "report.html" if out.is_dir() else out
    files = resources.files("strokereg.core.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files / "page.html").read_text(encoding="utf-8"))
    style, script = (Markup((files / name).read_text(encoding="utf-8")) for name in ("style.css", "viewer.js"))
    shown = gather(results, histories, pictures, volumes)
    # The page may run this script only, even if a name in it contains another one.
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page = template.render(style=style, script=script, allowed=allowed, **shown)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def gather(
    results: Results, histories: Sequence[History], pictures: Sequence[Sheet], volumes: Sequence[ViewerScan]
) -> dict[str, Any]:
    """The variables of the template."""
    names, grounds = Names(results), Grounds()
    return {
        "results": results,
        "study": results.study,
        "text": text,
        "names": names,
        "headline": _headline(results, names),
        "headrooms": text.headroom_sentences(results),
        "privacy": text.privacy_sentences(results),
        "sentences": [(group, text.arm_sentences(group.arms)) for group in names.groups],
        "failures": text.failure_sentences(results),
        "limits": text.limit_sentences(results),
        "charts": _score_charts(results, names),
        "curves": draw_curves(results, names),
        "pairs": _pairs(results, names),
        "strata": _strata_charts(results, names),
        "metrics": text.METRICS,
        "moments": _moments,
        "cases": [_case_table(group) for group in names.groups],
        "panels": PANELS,
        "losses": [Markup(chart) for history in histories if (chart := draw_losses(history))],
        "sheets": [_sheet(sheet, grounds) for sheet in pictures],
        "grounds": grounds,
        "hexed": hexed,
        "colours": {"truth": hexed(TRUTH), "called": hexed(CALLED)},
        "conventions": dict.fromkeys(
            [*(sheet.convention for sheet in pictures), *(scan.convention for scan in volumes)]
        ),
        "volumes": [encode(volume) for volume in volumes],
        "titles": [f"{volume.title}, {volume.part}" for volume in volumes],
        "seconds": _seconds,
    }


def _headline(results: Results, names: Names) -> str:
    """The result in one sentence; it claims no more than the intervals allow."""
    if not results.study.models:
        return "Clinical only: no synthetic images were compared."
    compared = [arm for arm in results.arms if arm.contrast]
    verdicts = {names.label(arm): text.verdict(arm.contrast) for arm in compared if arm.contrast}
    if not compared:
        return "No arm with synthetic images could be compared with clinical only."
    if set(verdicts.values()) <= {"one training", "too few cases"}:
        return "This study is too small to show a gain or a loss."
    gains = [name for name, found in verdicts.items() if found == "gain"]
    losses = sum(found == "loss" for found in verdicts.values())
    rest = f"{losses} of {len(compared)} arms lose" if losses else "no arm is shown to lose"
    if not gains:
        return f"No gain over clinical only is shown for synthetic images; {rest}."
    named = " and ".join(gains) if len(gains) <= NAMED else f"{len(gains)} of {len(compared)} arms"
    return f"Over clinical only, a gain is shown for {named}; {rest}."


def _score_charts(results: Results, names: Names) -> list[tuple[Group, list[Markup]]]:
    evaluated = [arm for arm in results.arms if arm.seeds]
    if not evaluated:
        return []
    low, high = dice_range(evaluated)
    every = [arm.contrast for arm in results.arms if arm.contrast]
    every += [group.headroom for group in names.groups if group.headroom]
    charts = []
    for group in names.groups:
        if not any(arm.seeds for arm in group.arms):
            continue
        found = [draw_dice(group, names, low, high)]
        rows = [Row(group.label(arm), arm.contrast, names.style(arm)) for arm in group.arms if arm.contrast]
        if rows:
            found.append(draw_forest(rows, "Difference from clinical only", group.headroom, every))
        charts.append((group, [Markup(chart) for chart in found]))
    return charts


def _pairs(results: Results, names: Names) -> list[tuple[Group, list[Markup]]]:
    pairs = {id(arm): base for arm in results.arms if arm.contrast and (base := results.baseline(arm))}
    shown = [arm for arm in results.arms if id(arm) in pairs]
    if not pairs:
        return []
    low, high = dice_range([*shown, *pairs.values()])
    charts = []
    for group in names.groups:
        drawn = [
            Markup(draw_pairs(arm, pairs[id(arm)], names, group.label(arm), low, high))
            for arm in group.arms
            if id(arm) in pairs
        ]
        if drawn:
            charts.append((group, drawn))
    return charts


def _strata_charts(results: Results, names: Names) -> list[tuple[Group, list[dict[str, Any]]]]:
    parts = [part for arm in results.arms if arm.summary for part in arm.summary.strata]
    every = [part.contrast for part in parts if part.contrast and part.contrast.cases >= FEWEST_CASES]
    found = []
    for group in names.groups:
        charts = [chart for stratum in STRATA[1:] if (chart := _stratum_chart(group, names, stratum, every))]
        if charts:
            found.append((group, charts))
    return found


def _stratum_chart(group: Group, names: Names, stratum: str, every: Sequence[Contrast]) -> dict[str, Any] | None:
    rows = [
        Row(group.label(arm), part.contrast, names.style(arm))
        for arm in group.arms
        for part in (arm.summary.strata if arm.summary else ())
        if part.name == stratum and part.contrast
    ]
    if not rows:
        return None
    count = rows[0].contrast.cases
    title = f"Lesions {stratum}, {counted(count, 'case')}"
    if count < FEWEST_CASES:
        return {"title": title, "svg": "", "few": f"Too few cases to compare; {FEWEST_CASES} are needed."}
    return {"title": title, "svg": Markup(draw_forest(rows, title, beside=every)), "few": ""}


def _moments(found: Moments | None, metric: str) -> tuple[str, str]:
    """Mean ± sd and median of one metric as text, in the unit of the table."""
    if found is None:
        return "–", ""
    _, factor, digits = text.METRICS[metric]
    sd = "" if found.sd is None else f" ± {found.sd * factor:.{digits}f}"
    return f"{found.mean * factor:.{digits}f}{sd}", f"median {found.median * factor:.{digits}f}"


def _case_table(group: Group) -> dict[str, Any]:
    """Dice of every test case, averaged over seeds, smallest lesion first."""
    arms: list[Arm] = [arm for arm in group.arms if arm.seeds]
    if not arms:
        return {"group": group, "arms": [], "rows": []}
    cases = evaluated_cases(*arms)
    table = [scores(arm.seeds, cases).mean(axis=0) * 100 for arm in arms]
    volumes = {case: arms[0].seeds[0].cases[case].volume_ml for case in cases}
    rows = [(case, f"{volumes[case]:.1f}", [f"{row[i]:.1f}" for row in table]) for i, case in enumerate(cases)]
    rows.sort(key=lambda row: volumes[row[0]])
    return {"group": group, "arms": [group.label(arm) for arm in arms], "rows": rows}


def _sheet(sheet: Sheet, grounds: Grounds) -> dict[str, Any]:
    """A sheet for the template: each row is a list of (cell or text, heading, letters of the sides)."""
    box = trim([flat(picture) for picture in pictures_of(sheet)])
    rows = []
    for row in sheet.rows:
        cells = [grounds.cell(c, box) if isinstance(c, np.ndarray | Outlined) else c for c in row.images]
        headings = [*sheet.columns, *[""] * (len(cells) - len(sheet.columns))]
        shown = [(cell, head) for cell, head in zip(cells, headings, strict=True) if cell is not None]
        rows.append({"label": row.label, "cells": shown, "sides": row.sides or sheet.convention.sides})
    return {"sheet": sheet, "rows": rows}


def _seconds(value: float) -> str:
    """`48 s`, `12 min 5 s` or `3 h 20 min`."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
