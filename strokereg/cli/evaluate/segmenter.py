"""`strokereg evaluate segmenter`: score runs, exported files and masks of other tools on the cases of a cohort."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from strokereg.cli.values import convention_option
from strokereg.core.scan.view import Convention
from strokereg.registry.errors import counted

if TYPE_CHECKING:
    from rich.table import Table

    from strokereg.core.report.segmenter_scores import Measure, SegmenterEvaluation, SegmenterScores

#: Metric → heading that is narrow enough for a terminal.
_HEADINGS = {
    "dice": "Dice %",
    "lesion_f1": "lesion\nF1 %",
    "surface_dice": "surface\nDice %",
    "hd95_mm": "HD95\nmm",
    "volume_difference_ml": "volume\ndiff. ml",
    "count_difference": "count\ndiff.",
}
_MOST = 20  # cases in the table of one segmenter
_PATH = click.Path(path_type=Path)


@click.command(
    epilog="Examples: strokereg evaluate segmenter runs/unet --data cohorts/mine · "
    "strokereg evaluate segmenter nnunet/predictions runs/unet --data cohorts/mine"
)
@click.argument("segmenters", type=_PATH, nargs=-1, required=True, metavar="RUN|BUNDLE|FOLDER...")
@click.option("--data", type=_PATH, required=True, help="Cohort, or another folder of scans with lesion masks.")
@click.option("--out", type=_PATH, help="Output folder.  [default: strokereg-scores]")
@click.option(
    "--split", "part", help="train, val, test or all.  [default: test, or all cases if the cohort has no split]"
)
@click.option("--cases", type=int, help="Use only the first cases of the split.  [default: all]")
@click.option("--fold", type=int, help="Fold of a cross-validation, from 1.  [default: the runs' own, or split.tsv]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N; for runs also mps.")
@convention_option
@click.option("--json", "as_json", is_flag=True, help="Print evaluation.json on stdout instead of the tables.")
def segmenter(
    segmenters: tuple[Path, ...],
    data: Path,
    out: Path | None,
    part: str | None,
    cases: int | None,
    fold: int | None,
    device: str,
    convention: Convention,
    as_json: bool,
) -> None:
    """Score segmenters on the cases of a cohort, with every metric for each case.

    A segmenter is a run folder, an exported file, or a FOLDER of masks that any other tool predicted. Masks are found
    by the case's id in their names, as in sub-0007.nii.gz or sub-0007_desc-lesion_mask.nii.gz. They must be binary and
    lie on the grid of the scan.

    If you give several, each is compared with the first on the same cases.

    The command writes evaluation.json, evaluation.csv, and worst.png with the cases that went worst.
    """
    from strokereg.cli.output.progress import counting
    from strokereg.export.evaluate import OUT, EvaluationSettings, evaluate_segmenters

    command = shlex.join(["strokereg", *sys.argv[1:]])
    settings = EvaluationSettings(part, cases, fold, device, command, convention)
    folder, warnings = out or OUT, list[str]()
    with counting("scoring cases") as on_progress:
        evaluated = evaluate_segmenters(segmenters, data, folder, settings, on_progress, warnings.append)
    for sentence in warnings:
        click.echo(f"Warning: {sentence}", err=True)
    if as_json:
        click.echo((folder / "evaluation.json").read_text(encoding="utf-8"))
        return
    _print(evaluated)
    click.echo(f"\nPictures of the worst cases: {folder / 'worst.png'}\nAll cases: {folder / 'evaluation.csv'}")


def _print(evaluated: SegmenterEvaluation) -> None:
    from rich.console import Console

    from strokereg.core.report.statistics import FEWEST_CASES

    console, count = Console(highlight=False), len(evaluated.segmenters[0].cases)
    for one in evaluated.segmenters:
        console.print(_cases(one))
        if count > _MOST:
            console.print(f"The {_MOST} worst of {count} cases.")
        console.print()
    console.print(_means(evaluated))
    part = "" if evaluated.part == "all" else f"{evaluated.part} "
    interval = "with its 95 % interval" if count >= FEWEST_CASES else f"too few for an interval ({FEWEST_CASES} needed)"
    console.print(f"Mean over {counted(count, f'{part}case')}, {interval}.")
    if evaluated.differences:
        console.print()
        console.print(_differences(evaluated))
        console.print(
            f"Each minus {evaluated.segmenters[0].name} on the same cases, with 95 % interval; p of Dice by Wilcoxon's "
            "test with Holm's correction. Both cover the choice of cases, not another training."
        )
    if evaluated.simulated:
        console.print("Simulated cohort: these are not clinical numbers.")


def _table(first: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column(first, overflow="fold")
    for heading in _HEADINGS.values():
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _cases(one: SegmenterScores) -> Table:
    from rich.markup import escape

    from strokereg.core.report.text import METRICS

    table = _table(escape(one.name))
    table.add_column("true\nml", justify="right", no_wrap=True)
    table.add_column("found\nml", justify="right", no_wrap=True)
    for name, found in sorted(one.cases.items(), key=lambda case: case[1].dice)[:_MOST]:
        cells = []
        for metric in _HEADINGS:
            value, (_, factor, digits) = getattr(found, metric), METRICS[metric]
            digits = 0 if metric == "count_difference" else digits  # of one case it is a whole number
            cells.append("–" if value is None else f"{value * factor:.{digits}f}")
        table.add_row(escape(name), *cells, f"{found.volume_ml:.2f}", f"{found.predicted_ml:.2f}")
    return table


def _means(evaluated: SegmenterEvaluation) -> Table:
    from rich.markup import escape

    from strokereg.core.report.text import METRICS

    table = _table("segmenter")
    for one in evaluated.segmenters:
        cells = []
        for metric in _HEADINGS:
            found = one.strata["all"].get(metric)
            cells.append("–" if found is None else _cell(found, *METRICS[metric][1:]))
        table.add_row(escape(one.name), *cells)
    return table


def _differences(evaluated: SegmenterEvaluation) -> Table:
    from rich.markup import escape
    from rich.table import Table

    from strokereg.core.report.text import METRICS, p_value

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("difference", overflow="fold")
    for heading in ("metric", "mean", "95 % interval", "p"):
        table.add_column(heading, justify="left" if heading == "metric" else "right", no_wrap=True)
    for one in evaluated.differences:
        for metric, heading in _HEADINGS.items():
            if (found := one.metrics.get(metric)) is None:
                continue
            _, factor, digits = METRICS[metric]
            interval = "–"
            if found.low is not None and found.high is not None:
                interval = f"{found.low * factor:.{digits}f} to {found.high * factor:.{digits}f}"
            name = escape(one.name) if metric == "dice" else ""
            p = "" if found.adjusted_p is None else p_value(found.adjusted_p)
            mean = f"{found.difference * factor:+.{digits}f}"
            table.add_row(name, heading.replace("\n", " "), mean, interval, p)
    return table


def _cell(found: Measure, factor: float, digits: int) -> str:
    mean = f"{found.mean * factor:.{digits}f}"
    if found.low is None or found.high is None:
        return mean
    return f"{mean}\n{found.low * factor:.{digits}f}–{found.high * factor:.{digits}f}"
