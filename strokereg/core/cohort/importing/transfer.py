"""Transfer one case into a cohort: copy or link its files, or rewrite them where that is needed and asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from strokereg.core.brain.extraction import extract_brain, shows_skull, within
from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.importing.naming import Visit
from strokereg.core.scan.content import open_image
from strokereg.core.scan.contrasts import canonical_channels, folder_of
from strokereg.core.scan.grid import brain_median
from strokereg.core.scan.nifti import Volume, check_same_grid, ending_of, lost_header, read_volume, write_volume
from strokereg.core.scan.placement import Form
from strokereg.core.scan.series import read_image
from strokereg.core.scan.units import UNIT, UNITS, unit_of
from strokereg.core.storage.files import copy_or_link
from strokereg.registry.errors import FileFault, InputError


@dataclass(frozen=True)
class ImportSettings:
    """How an import reads and converts files. The cohort's description keeps them, for later calls.

    Attributes:
        reader: name of the reader; None for the one that recognises the folder.
        options: options of the reader.
        link: link the files that can stay as they are (hard links, or symbolic ones to another file system).
        convert_adc: convert ADC maps of another known unit to 10⁻³ mm²/s.
        resample: resample images, masks and label maps onto the grid of the first image where they lie on another one.
        lesion_label: the value that means lesion in the masks; None if they hold 0 and 1.
        channels: contrasts to import, the one that defines the grid first; None for the diffusion images, or for all
            images of a case that has no DWI.
        prefer: the form of the header that is right where sform and qform contradict.
        trust_shape: give images, masks and label maps without an affine of their own that of a first image of the same
            shape.
        average_directions: import a diffusion series of several directions as their geometric mean.
        extract_brain: set the images of a case to 0 outside the brain, where its DWI shows a skull.
        site: name of the source among those of the cohort; None for the name of its folder.
        prefix: letters and digits before the name of each subject, to tell subjects of two sites apart.
        exclude: names of cases or subjects to leave out. Later imports of the source leave them out too.
    """

    reader: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    link: bool = False
    convert_adc: bool = False
    resample: bool = False
    lesion_label: int | None = None
    channels: tuple[str, ...] | None = None
    prefer: Form = "sform"
    trust_shape: bool = False
    average_directions: bool = False
    extract_brain: bool = False
    site: str | None = None
    prefix: str = ""
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.channels is not None:
            object.__setattr__(self, "channels", canonical_channels(self.channels))
        if self.prefix and not re.fullmatch("[A-Za-z0-9]+", self.prefix):
            raise InputError(f"--prefix {self.prefix}: BIDS names hold letters and digits only; leave out the rest")
        if self.site is not None and (not self.site.strip() or not self.site.isprintable()):
            raise InputError(f"--site {self.site!r}: give a name that can be printed")

    def plain(self) -> dict[str, Any]:
        """The settings that decide what is in the cohort: all but `link`."""
        options = {key: str(value) for key, value in self.options.items()}
        return {key: value for key, value in asdict(self).items() if key != "link"} | {"options": options}


def transfer(visit: Visit, raw: Path, derived: Path, settings: ImportSettings, labels: bool) -> CaseFiles:
    """Put the files of a visit into two existing folders: images into `raw/dwi` or `raw/anat`, mask and label
    map into `derived`.

    A file is copied or linked byte for byte. It is rewritten if it is one volume of a 4D file or no NIfTI file, or if a
    conversion that `settings` asks for is needed. Rewritten masks are uint8.

    Args:
        labels: transfer the label map too.

    Raises:
        FileFault: a file that cannot be read, or that needs a conversion that was not asked for.
    """
    files, images = visit.files, {}
    grid = _read_image(files.first, visit, settings)
    brain = _brain(grid) if settings.extract_brain and files.first in ("dwi", "trace") else None
    for part, path in files.images.items():
        volume = grid if part == files.first else _read_image(part, visit, settings)
        rewritten = _convert_image(part, volume, grid, settings) or _renew(volume, settings)
        if brain is not None:
            check_same_grid(grid, rewritten or volume)
            (rewritten,) = within([rewritten or volume], brain)
        folder = raw / folder_of(part)
        folder.mkdir(exist_ok=True)
        images[part] = _put(path, folder / f"{visit.stem}_{part}", rewritten, settings)
    mask = dseg = None
    if files.mask is not None:
        volume = read_volume(files.mask, prefer=settings.prefer)
        rewritten = _convert_mask(volume, grid, settings) or _renew(volume, settings, np.uint8)
        mask = _put(files.mask, derived / f"{visit.stem}_desc-lesion_mask", rewritten, settings)
    if files.dseg is not None and labels:
        volume = read_volume(files.dseg, prefer=settings.prefer)
        moved = _onto_grid(volume, grid, 0, settings)
        rewritten = _typed(moved, np.uint16) if moved else _renew(volume, settings, np.uint16)
        dseg = _put(files.dseg, derived / f"{visit.stem}_dseg", rewritten, settings)
    return CaseFiles(visit.name, visit.subject, images, mask, dseg)


def onto(volume: Volume, grid: Volume, order: int) -> np.ndarray:
    """Resample a volume onto the grid of another, zero outside; `order` is 0 for nearest, 1 for linear.

    Returns:
        float32 of the grid's shape.
    """
    matrix = np.linalg.inv(volume.affine) @ grid.affine
    return ndimage.affine_transform(
        volume.data, matrix[:3, :3], matrix[:3, 3], output_shape=grid.data.shape, order=order
    )


def _read_image(part: str, visit: Visit, settings: ImportSettings) -> Volume:
    files = visit.files
    return read_image(files.images[part], part, files.volumes.get(part), settings.prefer, settings.average_directions)


def _brain(scan: Volume) -> np.ndarray | None:
    """The brain of a scan that shows a skull; None for one that was extracted before."""
    brain = extract_brain(scan)
    return brain if shows_skull(scan, brain) else None


def _convert_image(part: str, volume: Volume, grid: Volume, settings: ImportSettings) -> Volume | None:
    """The converted image; None if no conversion is needed."""
    moved = None if volume is grid else _onto_grid(volume, grid, 1, settings)
    if part == "adc" and settings.convert_adc and (unit := unit_of(brain_median(volume.data))) != UNIT:
        if unit is None:
            known = ", ".join(UNITS)
            raise FileFault(volume.path, f"its values fit none of the ADC units {known}", "leave --convert-adc out")
        source = moved or volume
        return replace(source, data=source.data * np.float32(UNITS[unit]))
    return moved


def _convert_mask(volume: Volume, grid: Volume, settings: ImportSettings) -> Volume | None:
    """The converted mask, resampled linearly and cut at 0.5 to keep its volume; None if no conversion is needed."""
    label = settings.lesion_label
    if label is not None:
        volume = replace(volume, data=(volume.data == label).astype(np.float32))
    elif volume.data.max() not in (0, 1) and np.unique(volume.data).size == 2 and volume.data.min() == 0:
        high = volume.data.max()
        raise FileFault(volume.path, f"holds 0 and {high:g}", f"give --lesion-label {high:g} if that is the lesion")
    moved = _onto_grid(volume, grid, 1, settings)
    if moved is not None:
        # Only values between 0 and 1 are cut: others are a fault, which the checks report.
        binary = np.isin(volume.data, (0, 1)).all()
        return replace(moved, data=(moved.data >= 0.5).astype(np.uint8)) if binary else moved
    return _typed(volume, np.uint8) if label is not None else None


def _onto_grid(volume: Volume, grid: Volume, order: int, settings: ImportSettings) -> Volume | None:
    """The volume on the grid of the first image, if it lies on another one and the settings allow to bring it there."""
    if settings.trust_shape and lost_header(grid, volume):
        return replace(volume, affine=grid.affine, in_mni=grid.in_mni)
    if not settings.resample or not _off_grid(volume, grid):
        return None
    if lost_header(grid, volume):  # resampled from a place where it never was, it would be empty
        check_same_grid(grid, volume)
    return replace(volume, data=onto(volume, grid, order), affine=grid.affine)


def _renew(volume: Volume, settings: ImportSettings, kind: type = np.float32) -> Volume | None:
    """The volume if its file cannot stay: 4D, of another format, or with the form of the header that is wrong."""
    if volume.path.suffix.lower() not in (".gz", ".nii") or len(open_image(volume.path).image.shape) > 3:
        return _typed(volume, kind)
    wrong = settings.prefer == "qform" and any(note.rule == "forms" for note in volume.notes)
    return _typed(volume, kind) if wrong else None


def _typed(volume: Volume, kind: type) -> Volume:
    """The volume in another type, unless that would change its values, so that the checks still see them."""
    data: np.ndarray = volume.data.astype(kind)
    return replace(volume, data=data if np.array_equal(data, volume.data) else volume.data)


def _off_grid(volume: Volume, grid: Volume) -> bool:
    try:
        check_same_grid(grid, volume)
    except FileFault:
        return True
    return False


def _put(source: Path, stem: Path, rewritten: Volume | None, settings: ImportSettings) -> Path:
    """Put a file under its new name: with its own ending, or `.nii.gz` if it is rewritten."""
    if rewritten is not None:
        return write_volume(stem.with_name(f"{stem.name}.nii.gz"), rewritten.data, rewritten.affine, rewritten.in_mni)
    target = stem.with_name(stem.name + (ending_of(source) or ".nii"))
    copy_or_link(source.resolve(), target, settings.link)
    return target
