"""`strokereg synthesize`: an exported translator and label maps → synthetic images on the label maps' own grids."""

from __future__ import annotations

from pathlib import Path

import click

from strokereg.cli.findings import Findings

_FILE = click.Path(path_type=Path)


@click.command(
    epilog="Examples: strokereg synthesize --model pix2pix.onnx --labels sub-01_dseg.nii.gz --out synthetic · "
    "strokereg synthesize --model spade.onnx --labels cohort/ --out synthetic --seed 7 --qc"
)
@click.option("--model", type=_FILE, required=True, help="An exported translator (.onnx).")
@click.option(
    "--labels", type=_FILE, multiple=True, required=True, help="Label maps: files, folders, cohorts; may be repeated."
)
@click.option("--out", type=_FILE, required=True, help="Folder for the images.")
@click.argument("more", type=_FILE, nargs=-1, metavar="[MORE LABELS]...")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first map's noise vector.")
@click.option("--qc", is_flag=True, help="Draw a picture of labels and image, beside each image.")
@click.option("--backend", default="auto", show_default=True, help="auto, onnxruntime or openvino.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@click.pass_context
def synthesize(
    ctx: click.Context,
    model: Path,
    labels: tuple[Path, ...],
    more: tuple[Path, ...],
    out: Path,
    seed: int,
    qc: bool,
    backend: str,
    as_json: bool,
) -> None:
    """Make synthetic images of label maps with an exported translator. Needs no torch.

    Each image lies on its label map's own grid; 0 is no signal, 100 the brain's median. A JSON beside it says that it
    is synthetic, and of what and by what it was made. The label maps hold the labels of the model's own table.

    A map that cannot be used is told at the end and the others are done: exit code 1. A single one that cannot be
    used is exit code 2.
    """
    from strokereg import api

    places = [*labels, *more]
    findings = Findings(as_json, alone=len(places) == 1 and not places[0].is_dir())
    api.synthesize(
        model,
        places,
        out,
        seed=seed,
        qc=qc,
        backend=backend,
        on_start=lambda painter: findings.start(painter.bundle, painter.provider),
        on_done=lambda content: findings.add(content, ", ".join(content["images"].values())),
        on_failure=findings.fail,
    )
    ctx.exit(findings.end())
