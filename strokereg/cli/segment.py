"""`strokereg segment`: lesion masks of scans, from an exported model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from strokereg.cli.output.findings import Findings
from strokereg.cli.values import Pairs, convention_option
from strokereg.registry.errors import counted

_FILE = click.Path(path_type=Path)


@click.command(
    epilog="Examples: strokereg segment sub-01_dwi.nii.gz --out sub-01_lesion.nii.gz --qc · "
    "strokereg segment cohort/ --model unet.onnx --out masks/ --qc"
)
@click.argument("scans", type=_FILE, nargs=-1, metavar="SCAN...")
@click.option(
    "--model", metavar="BUNDLE", help="Exported segmenter (.onnx), or a name of 'strokereg models --weights'."
)
@click.option("--out", type=_FILE, metavar="FILE|DIR", help="Folder for the masks; for a single scan also a file.")
@click.option(
    "--image",
    "images",
    type=Pairs(),
    multiple=True,
    metavar="CONTRAST=FILE",
    help="An image of a single scan: FLAIR=x.nii.gz.",
)
@click.option("--threshold", type=float, help="Least probability of a lesion voxel.  [default: the model's own]")
@click.option("--qc", is_flag=True, help="Also save a picture of each scan with the lesion outlined.")
@convention_option
@click.option("--probabilities", is_flag=True, help="Also save the lesion probability of each voxel.")
@click.option("--dicom-seg", is_flag=True, help="Also save each mask as DICOM-SEG, for scans from DICOM.")
@click.option("--mask", type=_FILE, help="Brain mask of a single scan, in place of brain extraction.")
@click.option(
    "--no-brain-extraction", "brain_extraction", flag_value=False, default=True, help="Leave a skull in the images."
)
@click.option("--overwrite", is_flag=True, help="Replace files at the output that strokereg did not write, too.")
@click.option("--force", is_flag=True, help="Also segment images that do not look like the model's contrast.")
@click.option("--backend", default="auto", show_default=True, help="auto, onnxruntime or openvino.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@click.pass_context
def segment(
    ctx: click.Context, scans: tuple[Path, ...], model: str | None, out: Path | None, as_json: bool, **settings: Any
) -> None:
    """Segment scans with an exported model.

    Without --model, the built-in sim-dwi-adc is used, which was trained on simulated scans only. It needs an ADC map
    beside each DWI.

    SCANs are files, folders, cohorts and DICOM folders. Further contrasts are found by their BIDS names, or given with
    --image. Each mask has the shape and affine of its scan and a JSON file beside it.
    Without --out the command only prints volumes and numbers of lesions. It does not need torch.

    The command replaces its own earlier masks, but keeps any other file, such as a corrected mask, unless you add
    --overwrite. It never replaces a scan that it reads.

    Scans that cannot be used are listed at the end: exit code 1, or 2 if there was only one. That includes masks and
    images of another contrast, unless you add --force. A scan unlike those of the training gets a warning.

    Not a medical device: for research and engineering only.
    """
    from strokereg.export.runtime.segmenter import SegmentSettings
    from strokereg.export.runtime.segmenter import segment as run

    settings["images"] = dict(settings["images"])
    findings = Findings(as_json, scans or tuple(map(Path, settings["images"].values()))[:1], _sentence)
    run(model, scans, out, SegmentSettings(**settings), findings.callbacks())
    ctx.exit(findings.end())


def _sentence(content: dict[str, Any]) -> str:
    where = f", mask in {content['mask']}" if content["mask"] else ""
    return f"{content['volume_ml']:.2f} ml in {counted(content['lesions'], 'lesion')}{where}"
