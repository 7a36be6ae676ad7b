"""`strokereg segment`: an exported model and a scan → a lesion mask on the scan's own grid."""

from __future__ import annotations

import json
from pathlib import Path

import click

_FILE = click.Path(path_type=Path)


@click.command(epilog="Example: strokereg segment unet.onnx sub-01_dwi.nii.gz sub-01_lesion.nii.gz")
@click.argument("model", type=_FILE)
@click.argument("image", type=_FILE)
@click.argument("out", type=_FILE, required=False)
@click.option("--adc", type=_FILE, help="ADC map on the grid of IMAGE, for a model that takes one.")
@click.option("--threshold", type=float, help="Lesion from this probability on.  [default: the model's own]")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def segment(
    model: Path, image: Path, out: Path | None, adc: Path | None, threshold: float | None, as_json: bool
) -> None:
    """Segment the DWI scan IMAGE with an exported MODEL and write the lesion mask to OUT.

    OUT has the shape and affine of IMAGE. Without OUT only the numbers are printed. Needs no torch.
    Not a medical device: for research and engineering only.
    """
    from strokereg import api

    segmenter = api.load(model)
    click.echo(_about(segmenter), err=True)
    found = segmenter.segment({"dwi": image} | ({"adc": adc} if adc else {}), out=out, threshold=threshold)
    if as_json:
        content = {
            "model": str(model),
            "image": str(image),
            "mask": str(out) if out else None,
            "volume_ml": round(found.volume_ml, 6),
            "lesions": found.lesions,
            "threshold": found.decision.threshold,
            "smallest_ml": found.decision.smallest_ml,
            "provider": segmenter.provider,
        }
        click.echo(json.dumps(content, indent=2))
    else:
        where = f", mask in {out}" if out else ""
        click.echo(f"{found.volume_ml:.2f} ml in {found.lesions} lesion{'' if found.lesions == 1 else 's'}{where}")


def _about(segmenter) -> str:
    bundle = segmenter.bundle
    simulated = ", trained on simulated images" if bundle.training.simulated else ""
    return f"{bundle.architecture} on {segmenter.provider}{simulated}; not a medical device"
