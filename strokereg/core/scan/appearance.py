"""What a scan looks like in numbers: intensities of its brain, voxel size, coverage. No torch here.

The numbers are ratios to the brain's median, so they do not depend on the unit of a scan. An exported model carries the
ranges of its training scans, and the runtime compares each new scan with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from pydantic import BaseModel, ConfigDict

from strokereg.core.scan.grid import foreground
from strokereg.core.scan.nifti import Volume
from strokereg.core.scan.units import unit_of

PERCENTILES = (5.0, 25.0, 75.0, 95.0)
_DARK, _BRIGHT = 0.55, 1.6  # medians; fluid is below on DWI, FLAIR and T1w, and above on ADC, T2w and b = 0
_VOXELS = 4_000_000  # of a larger scan, every second or third … slice is used
_FLAT = 0.6  # share of neighbours with equal values: near 1 in masks and label maps, below 0.1 in scans
_LABELS = 200  # different labels at most; FreeSurfer's parcellations have fewer

Range = tuple[float, float]


@dataclass(frozen=True)
class Appearance:
    """Numbers that describe a scan.

    Attributes:
        median: of the brain, in the scan's own unit.
        percentiles: of the brain's intensities at `PERCENTILES`, in medians.
        dark, bright: shares of the brain below 0.55 and above 1.6 medians.
        bright_sides: share of the bright voxels in the half of the brain that has fewer of them, left or right.
        is_labels: it has few different values, and most neighbouring voxels are equal.
        lowest, highest: values in the brain.
        spacing, extent: voxel edges and size of the brain in mm along R, A, S.
    """

    median: float
    percentiles: tuple[float, ...]
    dark: float
    bright: float
    bright_sides: float
    is_labels: bool
    lowest: float
    highest: float
    spacing: tuple[float, ...]
    extent: tuple[float, ...]

    @property
    def no_scan(self) -> str:
        """Why this cannot be a scan, such as `holds only 0 and 1, as a mask does`; empty if it can be one."""
        if self.lowest == self.highest:
            return f"has no value but {self.highest:g} (and 0), as a mask or an empty image"
        return "consists of areas of equal values, as a label map does" if self.is_labels else ""

    @property
    def fluid_is_bright(self) -> bool:
        """True for ADC maps, T2w and b = 0 images. A lesion may be as bright, but not on both sides alike."""
        return self.dark < 0.05 and self.bright > max(0.05, 4 * self.dark) and self.bright_sides > 0.3

    @property
    def fluid_is_dark(self) -> bool:
        """True for DWI, FLAIR and T1w images of a brain without its skull."""
        return self.dark > 0.05 and self.percentiles[-1] < _BRIGHT

    @property
    def adc_unit(self) -> str | None:
        """The unit that makes the median one of brain tissue on an ADC map; None if there is none."""
        return unit_of(self.median)


def appearance_of(scan: Volume) -> Appearance | None:
    """Measure a scan; None if it holds no positive voxels."""
    orientation = nib.orientations.io_orientation(scan.affine)
    data = nib.orientations.apply_orientation(scan.data, orientation)
    spacing = [scan.spacing[int(np.flatnonzero(orientation[:, 0] == axis)[0])] for axis in range(3)]
    step = -(-data.size // _VOXELS)
    data = data[:, :, ::step]
    brain = foreground(data)
    if not brain.any():
        return None
    inside = data[brain]
    median = float(np.median(inside))
    boxes = [np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis})))[[0, -1]] for axis in range(3)]
    edges = [spacing[0], spacing[1], spacing[2] * step]
    bright = brain & (data > _BRIGHT * median)
    halves = np.array_split(bright[boxes[0][0] : boxes[0][1] + 1].sum(axis=(1, 2)), 2)
    pairs = brain[1:] & brain[:-1]
    flat = bool(pairs.any()) and float(np.mean(data[1:][pairs] == data[:-1][pairs])) > _FLAT
    return Appearance(
        median=median,
        percentiles=tuple(float(value) for value in np.percentile(inside, PERCENTILES) / median),
        dark=float(np.mean(inside < _DARK * median)),
        bright=float(bright.sum() / inside.size),
        bright_sides=float(min(half.sum() for half in halves) / max(int(bright.sum()), 1)),
        # A scan that was enlarged without interpolation has equal neighbours, but many values.
        is_labels=flat and np.unique(inside).size <= _LABELS,
        lowest=float(inside.min()),
        highest=float(inside.max()),
        spacing=tuple(spacing),
        extent=tuple(float(high - low + 1) * edge for (low, high), edge in zip(boxes, edges, strict=True)),
    )


class Ranges(BaseModel):
    """What the training scans of one contrast looked like: the lowest and the highest value of each number.

    Attributes:
        scans: how many were measured.
        percentiles: of the brain's intensities at `PERCENTILES`, in medians.
        spacing, extent: voxel edges and size of the brain in mm along R, A, S.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scans: int
    percentiles: tuple[Range, ...]
    spacing: tuple[Range, Range, Range]
    extent: tuple[Range, Range, Range]

    def intensities_fit(self, found: Appearance) -> bool:
        """True if the percentiles of a scan lie in the ranges, or less than 0.3 medians outside."""
        pairs = zip(self.percentiles, found.percentiles, strict=True)
        return all(low - 0.3 <= value <= high + 0.3 for (low, high), value in pairs)

    def differences(self, found: Appearance) -> Iterator[str]:
        """How a scan differs from all training scans, a phrase each; nothing for a scan like them."""
        if not all(_near(edge, span, 1.6) for edge, span in zip(found.spacing, self.spacing, strict=True)):
            yield f"its voxels measure {_edges(found.spacing)} mm, not {_spans(self.spacing)} mm"
        if not all(_near(edge, span, 1.4) for edge, span in zip(found.extent, self.extent, strict=True)):
            yield f"its content covers {_edges(found.extent)} mm, not {_spans(self.extent)} mm"
        if not self.intensities_fit(found):
            listed = " and ".join(f"{level:g} %" for level in PERCENTILES[1:3])
            yield (
                f"its intensities are spread otherwise (percentiles {listed} at "
                f"{found.percentiles[1]:.2f} and {found.percentiles[2]:.2f} medians, not "
                f"{_span(self.percentiles[1], 2)} and {_span(self.percentiles[2], 2)})"
            )


def ranges_of(found: Iterable[Appearance | None]) -> Ranges | None:
    """The ranges of some scans; None without any."""
    seen = [one for one in found if one is not None]
    if not seen:
        return None

    def spans(name: str) -> tuple[Range, ...]:
        columns = zip(*(getattr(one, name) for one in seen), strict=True)
        return tuple((round(min(column), 4), round(max(column), 4)) for column in columns)

    return Ranges(
        scans=len(seen),
        percentiles=spans("percentiles"),
        spacing=spans("spacing"),  # type: ignore[arg-type]
        extent=spans("extent"),  # type: ignore[arg-type]
    )


def _near(value: float, span: Range, factor: float) -> bool:
    return span[0] / factor <= value <= span[1] * factor


def _edges(values: Iterable[float]) -> str:
    return " × ".join(f"{value:.3g}" for value in values)


def _spans(spans: Iterable[Range]) -> str:
    return " × ".join(_span(span) for span in spans)


def _span(span: Range, digits: int = 0) -> str:
    low, high = (f"{value:.{digits}f}" if digits else f"{value:.3g}" for value in span)
    return low if low == high else f"{low} to {high}"
