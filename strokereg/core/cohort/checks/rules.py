"""The rules that a case must meet, one small function each. Rules of the whole cohort are in `check`.

Faults that prevent reading (truncated files, wrong dimensions, NaN, singular affines) are raised by
`core.scan.nifti.read_volume` and reported in the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from strokereg.core.cohort.case import check_labels, check_mask
from strokereg.core.cohort.checks.finding import Finding, finding_of
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.contrasts import ANATOMICAL
from strokereg.core.scan.grid import brain_median, foreground
from strokereg.core.scan.nifti import Volume, check_same_grid
from strokereg.core.scan.units import UNIT, UNITS, unit_of
from strokereg.registry.errors import FileFault

#: Range of voxel edges of brain scans in mm.
EDGES = (0.2, 10.0)
#: Fluid is dark on DWI and bright on ADC: 95th percentile of the brain over its median is about 1.5 and 2.5.
DWI_TAIL, ADC_TAIL = 2.0, 1.8

#: Largest numbers of 10, 12, 14, 15 and 16 bits, and the share of the brain that may have one.
FULL_SCALE, SATURATED = (1023, 4095, 16383, 32767, 65535), 0.001


@dataclass(frozen=True)
class Parts:
    """The readable parts of a case: contrasts, `mask`, `dseg` → volume."""

    case: str
    volumes: dict[str, Volume]
    table: LabelTable | None

    @property
    def images(self) -> dict[str, Volume]:
        """The images, without mask and label map."""
        return {part: volume for part, volume in self.volumes.items() if part not in ("mask", "dseg")}

    @property
    def first(self) -> str | None:
        """The contrast that defines the grid, as far as it is readable."""
        return next(iter(self.images), None)

    def warn(self, rule: str, part: str, fault: str, fix: str) -> Finding:
        """A warning about one part."""
        return finding_of(rule, self.case, part, FileFault(self.volumes[part].path, fault, fix), severe=False)

    def fail(self, rule: str, part: str, check: Callable[..., None], *arguments: object) -> Iterator[Finding]:
        """An error if `check(*arguments)` raises a fault."""
        try:
            check(*arguments)
        except FileFault as error:
            yield finding_of(rule, self.case, part, error)


def same_grid(parts: Parts) -> Iterator[Finding]:
    """Every part lies on the grid of the first image. An anatomical image may not, as long as no training uses it."""
    for part, volume in parts.volumes.items():
        if parts.first is not None and part != parts.first:
            for finding in parts.fail("same_grid", part, check_same_grid, parts.volumes[parts.first], volume):
                own = part not in ANATOMICAL or "--" in finding.fix
                fix = finding.fix if own else f"to use it, import with --channels {parts.first},{part} --resample"
                yield replace(finding, severe=part not in ANATOMICAL, fix=fix)


def notes(parts: Parts) -> Iterator[Finding]:
    """Name, content and header of a file agree."""
    for part, volume in parts.volumes.items():
        for note in volume.notes:
            yield parts.warn(note.rule, part, note.fault, note.fix)


def placed(parts: Parts) -> Iterator[Finding]:
    """A sform or qform defines which side is left."""
    for part, volume in parts.volumes.items():
        if not volume.placed:
            fault = "has neither sform nor qform, so its axes are taken to be left-right, back-front, down-up"
            yield parts.warn("placed", part, fault, "set the qform, or convert the scan again")


def voxel_size(parts: Parts) -> Iterator[Finding]:
    """Voxels have the size of those in brain scans."""
    if parts.first is not None and not all(EDGES[0] <= edge <= EDGES[1] for edge in parts.images[parts.first].spacing):
        edges = " × ".join(f"{edge:.3g}" for edge in parts.images[parts.first].spacing)
        fault = f"its voxels measure {edges} mm, unlike any brain scan"
        yield parts.warn("voxel_size", parts.first, fault, "check that the header is in mm")


def not_constant(parts: Parts) -> Iterator[Finding]:
    """An image is not constant."""
    for part, volume in parts.images.items():
        if _is_constant(volume.data):
            fault = f"every voxel is {volume.data.flat[0]:g}"
            error = FileFault(volume.path, fault, "export the image again, or remove the case")
            yield finding_of("not_constant", parts.case, part, error)


def saturated(parts: Parts) -> Iterator[Finding]:
    """Bright voxels of an image are not cut off at the largest number of the scanner."""
    for part, volume in parts.images.items():
        if part == "adc" or _is_constant(volume.data) or (top := float(volume.data.max())) not in FULL_SCALE:
            continue
        share = float(np.mean(volume.data[foreground(volume.data)] == top))
        if share > SATURATED:
            fault = f"{share:.1%} of the brain has the value {top:g}, so bright voxels are cut off"
            yield parts.warn("saturated", part, fault, "convert the scan again without clipping")


def binary_mask(parts: Parts) -> Iterator[Finding]:
    """A lesion mask holds 0 and 1."""
    if (mask := parts.volumes.get("mask")) is not None:
        yield from parts.fail("binary_mask", "mask", check_mask, mask)


def known_labels(parts: Parts) -> Iterator[Finding]:
    """A label map holds the labels of the table."""
    dseg, table = parts.volumes.get("dseg"), parts.table
    if dseg is not None and table is not None:
        yield from parts.fail("known_labels", "dseg", check_labels, dseg, table)


def lesion_in_brain(parts: Parts) -> Iterator[Finding]:
    """The lesion lies inside the brain. A mask that is stored upside down does not."""
    image, mask = parts.volumes.get(parts.first or ""), parts.volumes.get("mask")
    if image is None or mask is None or image.data.shape != mask.data.shape or not (mask.data > 0).any():
        return
    outside = float(np.mean(~foreground(image.data)[mask.data > 0]))
    if outside > 0.5:
        fault = f"{outside:.0%} of the lesion lies outside the brain"
        yield parts.warn("lesion_in_brain", "mask", fault, "check whether the mask is flipped or of another case")


def adc_unit(parts: Parts) -> Iterator[Finding]:
    """ADC is in 10⁻³ mm²/s."""
    adc = parts.volumes.get("adc")
    if adc is None or _is_constant(adc.data) or _swapped(parts) or (unit := unit_of(brain_median(adc.data))) == UNIT:
        return
    if unit is None:
        known = ", ".join(UNITS)
        yield parts.warn("adc_unit", "adc", f"its values fit none of the units {known}", "check that it is an ADC map")
    else:
        fix = "import it with --convert-adc, into a new --out"
        yield parts.warn("adc_unit", "adc", f"is in {unit}, but cohorts keep ADC in {UNIT}", fix)


def not_swapped(parts: Parts) -> Iterator[Finding]:
    """DWI and ADC are not swapped."""
    if _swapped(parts):
        fault = "looks like an ADC map and the ADC file like a DWI (fluid is bright here and dark there)"
        yield parts.warn("not_swapped", "dwi", fault, "swap the two files")


def _is_constant(image: np.ndarray) -> bool:
    return bool(image.min() == image.max())


def _swapped(parts: Parts) -> bool:
    dwi, adc = parts.volumes.get("dwi"), parts.volumes.get("adc")
    return dwi is not None and adc is not None and _tail(dwi.data) > DWI_TAIL and _tail(adc.data) < ADC_TAIL


def _tail(image: np.ndarray) -> float:
    inside = image[foreground(image)]
    return float(np.percentile(inside, 95) / np.median(inside)) if inside.size else 0.0


RULES: tuple[Callable[[Parts], Iterator[Finding]], ...] = (
    same_grid,
    notes,
    placed,
    voxel_size,
    not_constant,
    saturated,
    binary_mask,
    known_labels,
    lesion_in_brain,
    adc_unit,
    not_swapped,
)
