"""What a scan looks like: real scans of each contrast, and phantoms whose numbers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.scan.appearance import appearance_of, ranges_of
from strokereg.core.scan.nifti import Volume, read_volume


def volume(data, edges=(2.0, 2.0, 2.0)):
    return Volume(np.asarray(data, np.float32), np.diag([*edges, 1.0]), Path("scan.nii.gz"))


@pytest.fixture(scope="module")
def seen(real_data):
    """File name → appearance of every real scan of ISLES'22, and a FLAIR of SOOP."""
    files = [*real_data.glob("isles22*/rawdata/*/*/*.nii.gz"), *real_data.glob("isles22/derivatives/*/*/*_msk.nii.gz")]
    return {path.name.removesuffix(".nii.gz"): appearance_of(read_volume(path)) for path in files}


def test_real_contrasts_are_told_apart(seen):
    of = {kind: [one for name, one in seen.items() if name.endswith(kind)] for kind in ("dwi", "adc", "flair", "msk")}
    assert [len(found) for found in of.values()] == [3, 3, 1, 1]
    assert [(one.fluid_is_bright, one.fluid_is_dark, one.no_scan) for one in of["dwi"]] == [(False, True, "")] * 3
    assert [(one.fluid_is_bright, one.fluid_is_dark, one.no_scan) for one in of["adc"]] == [(True, False, "")] * 3
    assert [(one.fluid_is_bright, one.fluid_is_dark, one.no_scan) for one in of["flair"]] == [(False, True, "")]
    assert "no value but 1 (and 0), as a mask" in of["msk"][0].no_scan
    assert [seen[f"sub-strokecase000{n}_ses-0001_adc"].adc_unit for n in (9, 2)] == ["10⁻³ mm²/s", "mm²/s"]


def test_an_infarct_of_a_whole_territory_is_not_taken_for_fluid(real_data):
    (path,) = real_data.glob("isles22/rawdata/*/*/*_dwi.nii.gz")
    scan = read_volume(path)
    centre = np.array(scan.data.shape) / 2 + [18, 0, 0]
    distance = np.linalg.norm((np.indices(scan.data.shape).T - centre).T * 2.0, axis=0)
    struck = distance < 40  # 268 ml, all of it infarct
    data = np.where(struck, np.maximum(scan.data, 240) * 2.5, scan.data)
    tissue = data > 160  # fluid pressed out of the brain
    found = appearance_of(replace(scan, data=np.where(tissue, data, 0)))
    assert found.bright > 0.1
    assert found.dark < 0.05
    assert not found.fluid_is_bright


def test_label_maps_are_known_by_areas_of_one_value(phantom):
    for path in phantom.rglob("*_dseg.nii.gz"):
        assert "areas of equal values" in appearance_of(read_volume(path)).no_scan
    for path in phantom.glob("sub-*/dwi/*.nii.gz"):
        assert appearance_of(read_volume(path)).no_scan == ""
    dwi = read_volume(next(phantom.glob("sub-01/dwi/*_dwi.nii.gz")))  # enlarged four times without interpolation
    assert appearance_of(replace(dwi, data=np.repeat(dwi.data, 4, axis=0))).no_scan == ""
    assert "no value but 7" in appearance_of(volume(np.full((4, 4, 4), 7))).no_scan
    assert appearance_of(volume(np.zeros((4, 4, 4)))) is None


def test_numbers_follow_the_patient_and_not_the_array():
    rng = np.random.default_rng(0)
    data = np.zeros((10, 12, 14), np.float32)
    data[2:8, 3:9, 1:5] = rng.uniform(90, 110, (6, 6, 4))
    found = appearance_of(volume(data, (1.0, 2.0, 3.0)))
    assert found.spacing == (1.0, 2.0, 3.0)
    assert found.extent == (6.0, 12.0, 12.0)
    affine = np.diag([1.0, 2.0, 3.0, 1.0])[:, [2, 0, 1, 3]]
    turned = appearance_of(Volume(1000 * data.transpose(2, 0, 1), affine, Path("turned.nii.gz")))
    assert (turned.spacing, turned.extent) == (found.spacing, found.extent)
    assert turned.percentiles == pytest.approx(found.percentiles, rel=1e-4)


def test_ranges_name_each_difference():
    rng = np.random.default_rng(1)

    def scan(spread, edges, slices=20):
        data = np.zeros((20, 20, 24))
        data[2:18, 2:18, 2 : 2 + slices] = 100 * np.exp(spread * rng.standard_normal((16, 16, slices)))
        return appearance_of(volume(data, edges))

    ranges = ranges_of([scan(0.1, (2, 2, 2)), None, scan(0.2, (2, 2, 3))])
    assert ranges.scans == 2
    assert ranges.spacing == ((2.0, 2.0), (2.0, 2.0), (2.0, 3.0))
    assert ranges_of([None]) is None
    assert list(ranges.differences(scan(0.15, (2, 2, 2.5)))) == []
    assert list(ranges.differences(scan(0.15, (2, 2, 5), 12))) == [
        "its voxels measure 2 × 2 × 5 mm, not 2 × 2 × 2 to 3 mm"
    ]
    coarse = ranges_of([scan(0.1, (3, 3, 3))])
    assert not any("voxels" in one for one in coarse.differences(scan(0.15, (1.99, 1.99, 1.99))))
    (few,) = ranges.differences(scan(0.15, (2, 2, 2), 6))
    assert few == "its content covers 32 × 32 × 12 mm, not 32 × 32 × 40 to 60 mm"
    (other,) = ranges.differences(scan(1.5, (2, 2, 2)))
    assert "its intensities are spread otherwise (percentiles 25 % and 75 % at " in other
