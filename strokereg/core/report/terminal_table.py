"""The table of a study on the terminal, in the form of the paper, and `results.csv`."""

from __future__ import annotations

import csv
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from strokereg.core.evaluate.metrics import CaseMetrics
from strokereg.core.report import text
from strokereg.core.report.results import Arm, Results
from strokereg.core.report.summary import stratum_of
from strokereg.core.storage.files import replacing

_RECIPE = (
    "arm",
    "training",
    "translator",
    "generator",
    "segmenter",
    "priors",
    "synthetic_share",
    "compose",
    "clinical_cases",
)
WIDE = 108  # at this width a difference and its interval fit on one line; also the width for a pipe, which has none


def print_table(results: Results, console: Console | None = None) -> None:
    """Print the headroom, the table, one sentence per arm, and the limits."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, WIDE)
    for sentence in text.headroom_sentences(results):
        console.print(escape(sentence))
    console.print()
    console.print(build_table(results, narrow=console.width < WIDE))
    console.print()
    for sentence in [
        *text.summary_sentences(results),
        *text.privacy_sentences(results),
        "",
        *text.limit_sentences(results),
    ]:
        console.print(escape(sentence))


def build_table(results: Results, narrow: bool = False) -> Table:
    """One row per arm; scores in per cent, differences in Dice points; `narrow` puts intervals on a second line."""
    external = results.study.external
    table = Table(box=None, pad_edge=False, padding=(0, 2 - narrow, 0, 0), header_style="bold")
    table.add_column("training", overflow="fold")
    table.add_column("cases", justify="right")
    table.add_column(escape("Dice %\nbest [mean ± sd]"), justify="right", no_wrap=True)
    table.add_column("lesion\nF1 %", justify="right", no_wrap=True)
    table.add_column(
        "points vs\nclinical\n95 %" if narrow else "Dice points vs\nclinical only, 95 %", justify="right", no_wrap=True
    )
    table.add_column("share of\nheadroom", justify="right", no_wrap=True)
    if external:
        header = f"external{_gap(narrow)}Dice %\n{escape(external.name)},{_gap(narrow)}n = {external.cases}"
        table.add_column(header, justify="right", no_wrap=not narrow, overflow="fold")
    for arm in results.arms:
        cells = [escape(arm.name), str(arm.cases), *_cells(arm, narrow)]
        table.add_row(*cells, *([_external(arm)] if external else []))
    return table


def write_csv(results: Results, path: Path) -> None:
    """Write one row per arm, seed and case, atomically; an undefined score is an empty cell."""
    metrics = list(CaseMetrics.model_fields)
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow([*_RECIPE, "seed", "cohort", "case", "stratum", *metrics])
        for arm in results.arms:
            recipe = [arm.name, arm.training, arm.translator or "", arm.generator or "", arm.segmenter]
            recipe += ["public" if arm.public else "", _number(arm.synthetic), arm.compose or "", str(arm.cases)]
            for seed in arm.seeds:
                for cohort, cases in (("test", seed.cases), ("external", seed.external)):
                    for name, scored in cases.items():
                        numbers = (_number(getattr(scored, metric)) for metric in metrics)
                        writer.writerow([*recipe, seed.seed, cohort, name, stratum_of(scored.volume_ml), *numbers])


def _gap(narrow: bool) -> str:
    return "\n" if narrow else " "


def _cells(arm: Arm, narrow: bool) -> list[str]:
    if arm.summary is None:
        return ["failed", "–", "–", "–"]
    difference = "–"
    if arm.contrast is not None:
        interval = text.interval(arm.contrast) if narrow else f"({text.interval(arm.contrast)})"
        difference = f"{text.signed(arm.contrast.difference)}{_gap(narrow)}{interval}"
    f1 = f"{arm.summary.lesion_f1.mean * 100:.1f}"
    return [text.paper_form(arm.summary.dice), f1, difference, text.share(arm) or "–"]


def _external(arm: Arm) -> str:
    found = arm.summary.external_dice if arm.summary else None
    return "–" if found is None else text.mean_form(found)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
