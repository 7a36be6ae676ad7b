"""Read an image of a case from a file that may hold several volumes, as a diffusion series does."""

from __future__ import annotations

from pathlib import Path

from strokereg.core.scan.bvalues import DIRECTIONS, highest_shell, read_bvalues, strongest_volume
from strokereg.core.scan.content import open_image
from strokereg.core.scan.contrasts import WEIGHTED
from strokereg.core.scan.nifti import Volume, read_volume
from strokereg.core.scan.placement import Form
from strokereg.registry.errors import FileFault


def read_image(
    path: Path, contrast: str, volume: int | None = None, prefer: Form = "sform", average: bool = False
) -> Volume:
    """Read an image: the volume that is asked for, the one of the highest b-value, or the mean of its directions.

    Args:
        path: the image.
        contrast: `dwi`, `adc`, `FLAIR` and so on; only a diffusion-weighted image is looked for in a series.
        volume: index of the volume, from 0; None to find it by the `.bval` file.
        prefer: the form of the header to use where sform and qform contradict.
        average: use the geometric mean if several directions have the highest b-value.

    Raises:
        FileFault: see `read_volume`; also several directions and not `average`, or b-values that do not fit the image.
    """
    if contrast not in WEIGHTED or volume is not None:
        return read_volume(path, volume, prefer)
    values = read_bvalues(path)
    highest = highest_shell(values)
    if len(highest) < DIRECTIONS:
        return read_volume(path, strongest_volume(path), prefer)
    if not average:
        fault = f"holds {len(highest)} directions of b = {max(values):g} s/mm²"
        raise FileFault(path, fault, "import with --average-directions to use their geometric mean as the trace image")
    shape = open_image(path).image.shape
    if len(shape) < 4 or shape[3] != len(values):
        fault = f"its .bval file has {len(values)} values, but its shape is {tuple(shape)}"
        raise FileFault(path, fault, "convert the series again")
    return read_volume(path, highest, prefer)
