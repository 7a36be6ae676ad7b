"""From results to `report.html`: what stands where. The words and charts come from their own modules."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from strokereg.core import reading
from strokereg.core.files import replacing
from strokereg.core.report.charts import Names, Row, dice_range, draw_dice, draw_forest, draw_pairs
from strokereg.core.report.pictures import Sheet, data_uri, trim
from strokereg.core.report.training import History, draw_losses
from strokereg.core.results import Arm, Results
from strokereg.core.stats import Moments
from strokereg.core.summary import STRATA, judged_cases, scores

PANELS = 9  # loss curves in sight; further ones are folded away

#: Metric → heading, factor and decimals, in the order of the table of all scores.
METRICS = {
    "dice": ("Dice %", 100, 1),
    "lesion_f1": ("lesion F1 %", 100, 1),
    "surface_dice": ("surface Dice % at 2 mm", 100, 1),
    "hd95_mm": ("HD95 mm", 1, 1),
    "volume_difference_ml": ("volume difference ml", 1, 2),
    "count_difference": ("lesion-count difference", 1, 1),
}


def write_report(
    out: Path, results: Results, histories: Sequence[History] = (), pictures: Sequence[Sheet] = ()
) -> Path:
    """Write the report, whole or not at all.

    Args:
        out: the file to write, or a folder, in which it is called `report.html`.
        results: what `core.summary.summarise` gave.
        histories: losses per network, as `{"title", "series": {loss: [(step, value)]}}`.
        pictures: sheets of slices, as `{"title", "caption", "columns", "rows": [{"label", "images"}]}`.

    Returns:
        The path of the file. It asks nothing of the network: styles, charts and pictures are inside.
    """
    path = out / "report.html" if out.is_dir() else out
    files = resources.files("strokereg.core.report")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((files / "page.html").read_text(encoding="utf-8"))
    style = Markup((files / "style.css").read_text(encoding="utf-8"))
    page = template.render(style=style, **gather(results, histories, pictures))
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def gather(results: Results, histories: Sequence[History], pictures: Sequence[Sheet]) -> dict[str, Any]:
    """Everything that the template shows."""
    names = Names(results)
    return {
        "results": results,
        "study": results.study,
        "read": reading,
        "names": names,
        "headline": _headline(results, names),
        "headrooms": reading.headroom_sentences(results),
        "privacy": reading.privacy_sentences(results),
        "sentences": reading.reading(results),
        "nature": reading.nature(results),
        "charts": _score_charts(results, names),
        "pairs": _pairs(results, names),
        "strata": _strata_charts(results, names),
        "metrics": METRICS,
        "moments": _moments,
        "cases": _case_table(results, names),
        "panels": PANELS,
        "losses": [Markup(chart) for history in histories if (chart := draw_losses(history))],
        "sheets": [_sheet(sheet) for sheet in pictures],
        "seconds": _seconds,
    }


def _headline(results: Results, names: Names) -> str:
    """The finding in one line; never more than the intervals allow."""
    compared = [arm for arm in results.arms if arm.contrast]
    verdicts = {names.label(arm): reading.verdict(arm.contrast) for arm in compared if arm.contrast}
    if not compared:
        return "No arm with synthetic images could be compared with clinical only."
    if set(verdicts.values()) <= {"one training", "too few cases"}:
        return "This study is too small to show a gain or a loss."
    gains = [name for name, found in verdicts.items() if found == "gain"]
    losses = sum(found == "loss" for found in verdicts.values())
    rest = f"{losses} of {len(compared)} arms lose" if losses else "no arm is shown to lose"
    if not gains:
        return f"No gain over clinical only is shown for synthetic images; {rest}."
    return f"Over clinical only, a gain is shown for {' and '.join(gains)}; {rest}."


def _score_charts(results: Results, names: Names) -> list[Markup]:
    if not any(arm.seeds for arm in results.arms):
        return []
    charts = [draw_dice(results, names)]
    rows = [Row(names.label(arm), arm.contrast, names.style(arm)) for arm in results.arms if arm.contrast]
    if rows:
        # With several numbers of cases each has its own headroom; one line would mislead.
        room = results.headroom[0].contrast if len(results.headroom) == 1 else None
        charts.append(draw_forest(rows, "Difference to clinical only", room))
    return [Markup(chart) for chart in charts]


def _pairs(results: Results, names: Names) -> list[Markup]:
    pairs = [(arm, base) for arm in results.arms if arm.contrast and (base := results.baseline(arm))]
    if not pairs:
        return []
    low, high = dice_range([arm for pair in pairs for arm in pair])
    return [Markup(draw_pairs(arm, baseline, names, low, high)) for arm, baseline in pairs]


def _strata_charts(results: Results, names: Names) -> list[dict[str, Any]]:
    parts = [(arm, part) for arm in results.arms if arm.summary for part in arm.summary.strata]
    every = [part.contrast for _, part in parts if part.contrast]
    charts = []
    for stratum in STRATA[1:]:
        rows = [
            Row(names.label(arm), part.contrast, names.style(arm))
            for arm, part in parts
            if part.name == stratum and part.contrast
        ]
        if rows:
            count = rows[0].contrast.cases
            title = f"Lesions {stratum}, {count} case{'s' * (count != 1)}"
            charts.append({"title": title, "svg": Markup(draw_forest(rows, title, beside=every))})
    return charts


def _moments(found: Moments | None, metric: str) -> tuple[str, str]:
    """`mean ± sd` and `median` of one metric, in its unit."""
    if found is None:
        return "–", ""
    _, factor, digits = METRICS[metric]
    sd = "" if found.sd is None else f" ± {found.sd * factor:.{digits}f}"
    return f"{found.mean * factor:.{digits}f}{sd}", f"median {found.median * factor:.{digits}f}"


def _case_table(results: Results, names: Names) -> dict[str, Any]:
    """Dice of every test case, averaged over seeds, smallest lesion first."""
    arms: list[Arm] = [arm for arm in results.arms if arm.seeds]
    if not arms:
        return {"arms": [], "rows": []}
    cases = judged_cases(*arms)
    table = [scores(arm.seeds, cases).mean(axis=0) * 100 for arm in arms]
    volumes = {case: arms[0].seeds[0].cases[case].volume_ml for case in cases}
    rows = [(case, f"{volumes[case]:.1f}", [f"{row[i]:.1f}" for row in table]) for i, case in enumerate(cases)]
    return {"arms": [names.label(arm) for arm in arms], "rows": sorted(rows, key=lambda row: volumes[row[0]])}


def _sheet(sheet: Sheet) -> dict[str, Any]:
    box = trim([image for row in sheet["rows"] for image in row["images"] if image is not None])
    rows = []
    for row in sheet["rows"]:
        images = [Markup(data_uri(image[box])) if image is not None else None for image in row["images"]]
        rows.append({"label": row["label"], "images": images})
    return {"title": sheet["title"], "caption": sheet["caption"], "columns": list(sheet["columns"]), "rows": rows}


def _seconds(value: float) -> str:
    """`48 s`, `12 min 5 s` or `3 h 20 min`."""
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
