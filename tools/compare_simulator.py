"""Compare simulated with real scans in numbers, as a table for docs/explanation/simulator.md.

Usage: python tools/compare_simulator.py ISLES22_FOLDER... --labels DIR --lesions DIR [--cases 40]

Everything is measured on images and masks alone, in the same way on both sides: tissue is brain with an ADC of 0.4 to
1.1, fluid with one above 2 (10⁻³ mm²/s), 4 mm away from the lesion. Intensities are over the median of the brain.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import ndimage

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.open import read_folder
from strokereg.core.scan.grid import foreground
from strokereg.core.scan.units import UNITS, unit_of
from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.lesions import load_lesion
from strokereg.core.simulate.plan import list_sources
from strokereg.core.simulate.subject import simulate_subject

_PERCENTILES = (5, 25, 75, 95, 99)


def measure(dwi: np.ndarray, adc: np.ndarray, lesion: np.ndarray, spacing: float) -> dict[str, float]:
    """Measure one scan.

    Args:
        dwi, adc: [X, Y, Z], skull-stripped; ADC in 10⁻³ mm²/s.
        lesion: bool [X, Y, Z].
        spacing: in-plane voxel edge in mm.
    """
    brain = ndimage.binary_fill_holes(foreground(dwi))
    image = dwi / np.median(dwi[brain])
    rest = brain & ~ndimage.binary_dilation(lesion, iterations=2)
    tissue, fluid = rest & (adc > 0.4) & (adc < 1.1), rest & (adc > 2.0)
    found = {f"DWI, percentile {p}": float(np.percentile(image[brain], p)) for p in _PERCENTILES}
    found["DWI, tissue: median"] = float(np.median(image[tissue]))
    found["DWI, tissue: spread (robust)"] = _spread(image[tissue])
    found["DWI, fluid: median"] = float(np.median(image[fluid]))
    found["DWI without lesion, percentile 99.9"] = float(np.percentile(image[rest], 99.9))
    found["ADC, tissue: median"] = float(np.median(adc[tissue]))
    found["fluid, share of the brain"] = float((adc[brain] > 2.0).mean())
    found["DWI, lesion over tissue: median"] = float(np.median(image[lesion]) / np.median(image[tissue]))
    found["DWI, lesion: percentile 95 over 5"] = float(np.divide(*np.percentile(image[lesion], (95, 5))))
    found["ADC, lesion over tissue: median"] = float(np.median(adc[lesion]) / np.median(adc[tissue]))
    # What differs from the four neighbours in plane: noise and texture, made comparable with independent noise.
    neighbours = sum(np.roll(image, shift, axis) for axis in (0, 1) for shift in (-1, 1)) / 4.0
    deep = ndimage.binary_erosion(tissue)
    found["DWI, tissue: difference from neighbours"] = _spread((image - neighbours)[deep]) / 1.25**0.5
    for axis, name in ((0, "in plane"), (2, "across slices")):
        found[f"DWI, tissue: correlation of neighbours {name}"] = _correlation(image, deep, axis, spacing)
    smooth = ndimage.gaussian_filter(np.where(tissue, image, 0.0), 20.0 / spacing)
    weight = ndimage.gaussian_filter(tissue.astype(float), 20.0 / spacing)
    found["DWI, tissue: spread over 20 mm (bias)"] = float((smooth / np.maximum(weight, 1e-6))[tissue].std())
    return found


def _spread(values: np.ndarray) -> float:
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _correlation(image: np.ndarray, deep: np.ndarray, axis: int, spacing: float) -> float:
    apart = np.where(deep, image - ndimage.gaussian_filter(image, 8.0 / spacing), 0.0)
    both = deep & np.roll(deep, 1, axis)
    return float((apart * np.roll(apart, 1, axis))[both].mean() / (apart[deep] ** 2).mean())


def real_scans(folders: list[Path]) -> dict[str, dict[str, float]]:
    """Measurements of the cases of cohorts, by name."""
    found = {}
    for folder in folders:
        for files in read_folder(folder).cases:
            case = read_case(files, ("dwi", "adc"))
            dwi, adc = case.images["dwi"].data, case.images["adc"].data
            unit = unit_of(float(np.median(adc[foreground(dwi)])))
            if unit is None or case.mask is None:
                raise SystemExit(f"{files.subject}: has no ADC in a known unit, or no lesion mask")
            found[files.subject] = measure(dwi, adc * UNITS[unit], case.mask, float(case.images["dwi"].spacing[0]))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("real", type=Path, nargs="+", help="folders in the layout of ISLES'22")
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--lesions", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=40)
    given = parser.parse_args()
    real = real_scans(given.real)
    heads, masks = list_sources(given.labels, "--labels"), list_sources(given.lesions, "--lesions")
    masks = [masks[i] for i in np.random.default_rng(0).permutation(len(masks))[: given.cases]]
    simulated = []
    for number, mask in enumerate(masks):
        rng = np.random.default_rng([0, number])
        case = simulate_subject(rng, load_anatomy(heads[number % len(heads)]), load_lesion(mask))
        simulated.append(measure(case.dwi.astype(np.float32), case.adc, case.lesion, 2.0))
    names = [name[-4:] for name in real]
    print(f"| | {' | '.join(f'real {name}' for name in names)} | simulated: median (5 to 95 %) |")
    print(f"|---|{'---|' * (len(names) + 1)}")
    for row in simulated[0]:
        low, middle, high = np.percentile([case[row] for case in simulated], (5, 50, 95))
        cells = " | ".join(f"{case[row]:.2f}" for case in real.values())
        outside = [name for name, case in zip(names, real.values(), strict=True) if not low <= case[row] <= high]
        mark = f"; outside: {', '.join(outside)}" if outside else ""
        print(f"| {row} | {cells} | {middle:.2f} ({low:.2f} to {high:.2f}){mark} |")


if __name__ == "__main__":
    main()
