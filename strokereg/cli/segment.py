"""`strokereg segment`: an exported model and scans → lesion masks on the scans' own grids."""

from __future__ import annotations

from pathlib import Path

import click

from strokereg.cli.findings import Findings

_FILE = click.Path(path_type=Path)


@click.command(
    epilog="Examples: strokereg segment unet.onnx sub-01_dwi.nii.gz sub-01_lesion.nii.gz · "
    "strokereg segment unet.onnx cohort/ masks/ --qc"
)
@click.argument("model", type=_FILE)
@click.argument("images", type=_FILE, nargs=-1, required=True, metavar="IN... [OUT]")
@click.option("--adc", type=_FILE, help="ADC map on the grid of a single IN; else the file named _adc beside it.")
@click.option("--threshold", type=float, help="Lesion from this probability on.  [default: the model's own]")
@click.option("--qc", is_flag=True, help="Draw a picture of slices with the lesion outlined, beside each mask.")
@click.option("--backend", default="auto", show_default=True, help="auto, onnxruntime or openvino.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@click.pass_context
def segment(
    ctx: click.Context,
    model: Path,
    images: tuple[Path, ...],
    adc: Path | None,
    threshold: float | None,
    qc: bool,
    backend: str,
    as_json: bool,
) -> None:
    """Segment the DWI scans IN with an exported MODEL and write the lesion masks to OUT.

    IN are files, folders and cohorts. OUT is a folder, or for a single scan a file; each mask has the shape and
    affine of its scan and a JSON beside it. With one IN and no OUT only the numbers are printed. Needs no torch.

    A scan that cannot be used is told at the end and the others are done: exit code 1. A single one that cannot be
    used is exit code 2.

    Not a medical device: for research and engineering only.
    """
    from strokereg.export import deploy

    *places, out = images if len(images) > 1 else (*images, None)
    findings = Findings(as_json, alone=len(places) == 1 and not places[0].is_dir())
    deploy.segment(
        model,
        places,
        out,
        adc=adc,
        threshold=threshold,
        qc=qc,
        backend=backend,
        on_start=lambda segmenter: findings.start(segmenter.bundle, segmenter.provider),
        on_done=lambda content: findings.add(content, _sentence(content)),
        on_failure=findings.fail,
    )
    ctx.exit(findings.end())


def _sentence(content: dict) -> str:
    where = f", mask in {content['mask']}" if content["mask"] else ""
    lesions = f"{content['lesions']} lesion{'' if content['lesions'] == 1 else 's'}"
    return f"{content['volume_ml']:.2f} ml in {lesions}{where}"
