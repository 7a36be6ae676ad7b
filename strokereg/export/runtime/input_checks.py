"""Check what goes into a segmenter: a scan, of the contrast that the model takes, and like those it was trained on.

A network answers to any array. An ADC map in place of a DWI gives a mask too, and nothing in it shows the mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from strokereg.core.scan.appearance import Appearance, Ranges, appearance_of
from strokereg.core.scan.nifti import Volume
from strokereg.export.metadata import Bundle
from strokereg.registry.errors import InputError

_FLUID_IS_DARK = ("dwi", "trace", "FLAIR", "T1w")


def check_scans(scans: Sequence[Volume], bundle: Bundle, model: Path | str, force: bool = False) -> tuple[str, ...]:
    """Look at the voxels of a case before the network does.

    Args:
        scans: one for each channel of the bundle; a scan without positive voxels is left to the scaling.
        model: name of the model, for the messages.
        force: turn a refusal into a warning.

    Returns:
        Warnings: what is unusual for an ADC map, and how scans differ from those of the training, a sentence each.

    Raises:
        InputError: a mask, a label map, a constant image, or an image of another contrast than the channel.
    """
    warnings = []
    for scan, channel in zip(scans, bundle.channels, strict=True):
        if (found := appearance_of(scan)) is None:
            continue
        trained = bundle.training.images.get(channel)
        if fault := _fault(found, channel, trained):
            sentence = f"{scan.path}: {fault}"
            if not force:
                raise InputError(f"{sentence}, but {model} takes {channel}; give that image, or add --force")
            warnings.append(f"{sentence}; segmented nevertheless")
        warnings += [f"{scan.path}: {note}" for note in _notes(found, channel, trained)]
    return tuple(warnings)


def _fault(found: Appearance, channel: str, trained: Ranges | None) -> str:
    """Why a scan cannot be what the channel takes; empty if it can be."""
    if found.no_scan:
        return found.no_scan
    if trained is not None and trained.intensities_fit(found):
        return ""
    if channel in _FLUID_IS_DARK and found.fluid_is_bright:
        unit = f" in {found.adc_unit}" if found.adc_unit else ""
        return f"shows bright fluid, as an ADC map{unit}, a T2w or a b = 0 image does"
    if channel == "adc" and found.fluid_is_dark:
        return "shows dark fluid, as a DWI or FLAIR does"
    return ""


def _notes(found: Appearance, channel: str, trained: Ranges | None) -> Iterator[str]:
    if channel == "adc" and found.adc_unit is None:
        yield f"its median is {found.median:.3g}, which is brain tissue in no unit of ADC; check the map"
    differences = list(trained.differences(found)) if trained else []
    if trained and differences:
        yield (
            f"is unlike the {trained.scans} scans that were measured of the model's training data: "
            f"{', '.join(differences)}; check the mask with care"
        )
