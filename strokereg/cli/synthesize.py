"""`strokereg synthesize`: images of given label maps, or a whole synthetic cohort as a product of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_FILE = click.Path(path_type=Path)
_PAINT = ("labels", "qc", "overwrite", "backend", "as_json")
_COHORT = ("translator", "generator", "cohort", "count", "lesion_share", "anatomies", "device")


@click.command(
    epilog="Examples: strokereg synthesize --model spade.onnx --labels cohort/ --out synthetic --seed 7 --qc · "
    "strokereg synthesize --translator runs/spade --generator runs/mask-gan --cohort cohorts/soop60 --n 1000 "
    "--out cohorts/synthetic"
)
@click.option("--out", type=_FILE, required=True, help="Folder for the images, or of the cohort.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn.")
@click.option("--model", type=_FILE, help="Images: an exported translator (.onnx).")
@click.option("--labels", type=_FILE, multiple=True, help="Images: label maps; files, folders, cohorts.")
@click.argument("more", type=_FILE, nargs=-1, metavar="[MORE LABELS]...")
@click.option("--qc", is_flag=True, help="Images: draw a picture of labels and image beside each image.")
@click.option(
    "--overwrite", is_flag=True, help="Images: replace files at the output that strokereg did not write, too."
)
@click.option("--backend", help="Images: auto, onnxruntime or openvino.  [default: auto]")
@click.option("--json", "as_json", is_flag=True, help="Images: print what was written as JSON.")
@click.option("--translator", type=_FILE, help="Cohort: run folder, labels to image.")
@click.option("--generator", type=_FILE, help="Cohort: run folder, lesion masks.")
@click.option("--cohort", type=_FILE, help="Cohort: its training cases give the anatomies.")
@click.option("--n", "count", type=click.IntRange(1), help="Cohort: how many cases.  [default: 1000]")
@click.option("--lesion-share", type=click.FloatRange(0, 1), help="Cohort: of slices with a lesion.  [default: 0.5]")
@click.option("--anatomies", type=_FILE, help="Cohort: folder of FreeSurfer-coded label maps instead.")
@click.option("--device", help="Cohort: auto, cpu, cuda or mps.  [default: auto]")
@click.pass_context
def synthesize(
    ctx: click.Context, out: Path, seed: int, model: Path | None, more: tuple[Path, ...], **asked: Any
) -> None:
    """Make images of label maps with an exported translator, or a synthetic cohort with two trained runs.

    Images need --model and --labels, and no torch. Each lies on its label map's own grid; 0 is no signal, 100 the
    brain's median. A JSON beside it says that it is synthetic, and of what and by what it was made. A map that cannot
    be used is told at the end and the others are done: exit code 1; a single one is exit code 2.

    A cohort needs --translator, --generator and --cohort. It is BIDS with provenance for each case; called again, the
    command makes those that are missing.
    """
    foreign = _COHORT if model else _PAINT
    strangers = [param for param in ctx.command.params if param.name in foreign and asked[param.name]]
    if strangers or (more and not model):
        named = strangers[0].opts[0] if strangers else str(more[0])
        raise click.UsageError(f"{named} does not go {'with' if model else 'without'} --model; see --help")
    needed = ("labels",) if model else ("translator", "generator", "cohort")
    for name in needed:
        if not asked[name] and not (name == "labels" and more):
            other = "" if model else ", or --model and --labels for images of label maps"
            raise click.UsageError(f"--{name} is missing{other}")
    if model:
        _paint(ctx, model, [*asked["labels"], *more], out, seed, asked)
    else:
        _make(out, seed, {name: value for name in _COHORT if (value := asked[name]) is not None})


def _paint(ctx: click.Context, model: Path, places: list[Path], out: Path, seed: int, asked: dict[str, Any]) -> None:
    from strokereg.cli.findings import Findings
    from strokereg.export.runtime.translator import TranslateSettings, translate

    findings = Findings(asked["as_json"], places, lambda content: ", ".join(content["images"].values()))
    settings = TranslateSettings(seed, asked["qc"], asked["overwrite"], asked["backend"] or "auto")
    translate(model, places, out, settings, findings.callbacks())
    ctx.exit(findings.end())


def _make(out: Path, seed: int, asked: dict[str, Any]) -> None:
    from strokereg.cli.progress import counting

    with counting("synthesising") as on_progress:
        from strokereg.core.synthesis import synthesize

        made = synthesize.synthesize(out=out, seed=seed, on_progress=on_progress, **asked)
    click.echo(str(made))
