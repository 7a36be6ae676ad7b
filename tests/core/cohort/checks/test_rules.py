"""Every fault, planted in the real case, is reported in one sentence with case, file, fault and fix."""

from __future__ import annotations

import re

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.checks.check import check_data


def halve(real):
    path = real.path("dwi")
    path.write_bytes(path.read_bytes()[:-2000])


def with_voxel(part, value):
    def change(real):
        data = real.volumes[part].astype(np.float32)
        data[30, 40, 4] = value
        real.save(part, data)

    return change


def without_place(real):
    image = nib.load(real.path("dwi"))
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    data, header = np.asarray(image.dataobj), image.header
    for part in ("dwi", "adc", "mask", "dseg"):
        nib.save(nib.Nifti1Image(data if part == "dwi" else real.volumes[part], None, header), real.path(part))


def flat(real):
    """A sform with an empty column, which nibabel would not make of an affine: written into the file's own header."""
    path = real.root / "flat.nii"
    nib.save(nib.load(real.path("dwi")), path)
    raw = bytearray(path.read_bytes())
    header = np.frombuffer(raw, dtype=nib.Nifti1Header().template_dtype, count=1)
    header["sform_code"] = 1
    for row in ("srow_x", "srow_y", "srow_z"):
        header[row][0, 2] = 0
    path.unlink()
    real.path("dwi").unlink()
    real.path("dwi").with_name("sub-01_dwi.nii").write_bytes(bytes(raw))


def all_parts(change):
    def apply(real):
        for part in ("dwi", "adc", "mask", "dseg"):
            change(real, part)

    return apply


def swap(real):
    real.save("dwi", real.volumes["adc"])
    real.save("adc", real.volumes["dwi"])


def large_voxels(real, part):
    real.save(part, affine=real.affine @ np.diag([20, 20, 20, 1]))


def upside_down(real):
    """A lesion at the border of the field, where there is no brain."""
    mask = np.zeros_like(real.volumes["mask"])
    mask[:3, :3] = 1
    real.save("mask", mask)
    real.save("dseg", np.where(real.volumes["dseg"] == 6, 5, real.volumes["dseg"]).astype(np.uint8))


def stray_label(real):
    real.save("dseg", np.where(real.volumes["dseg"] == 1, 41, real.volumes["dseg"]).astype(np.uint8))


# rule: what breaks the case, error or warning, file at fault, fault, fix
FAULTS = {
    "readable: text": (lambda r: r.path("dwi").write_text("no image"), True, "dwi", "not a NIfTI image", "give a"),
    "readable: truncated": (halve, True, "dwi", "damaged or truncated", "copy the file again"),
    "readable: dimensions": (
        lambda r: r.save("dwi", np.stack([r.volumes["dwi"]] * 2, -1)), True, "dwi", "its shape is .* 2", "extract one",
    ),
    "readable: NaN": (with_voxel("dwi", np.nan), True, "dwi", "holds NaN or infinite", "replace them"),
    "readable: Inf": (with_voxel("adc", np.inf), True, "adc", "holds NaN or infinite", "replace them"),
    "readable: affine": (flat, True, "dwi", "affine cannot be inverted", "repair the sform"),
    "placed": (without_place, False, "dwi", "neither sform nor qform", "set the qform"),
    "voxel_size": (all_parts(large_voxels), False, "dwi", "voxels measure 40 × 40 × 40 mm", "in mm"),
    "not_constant": (
        lambda r: r.save("adc", np.full_like(r.volumes["adc"], 7)), True, "adc", "every voxel is 7", "export",
    ),
    "same_grid: shape": (
        lambda r: r.save("mask", r.volumes["mask"][:-1]), True, "mask", "another grid than .*shape", "resample",
    ),
    "same_grid: affine": (
        lambda r: r.save("dseg", affine=r.affine + 0.01), True, "dseg", r"another grid .*by up to 0\.01 mm", "resample",
    ),
    "binary_mask": (with_voxel("mask", 0.5), True, "mask", r"0 and 1 only, this one 0, 0\.5, 1", "threshold"),
    "known_labels: outside": (stray_label, True, "dseg", "value 41, but the label table ends at 6", "add the label"),
    "known_labels: fractions": (with_voxel("dseg", 2.5), True, "dseg", "whole numbers only", "nearest"),
    "lesion_in_brain": (upside_down, False, "mask", "100% of the lesion lies outside", "flipped"),
    "adc_unit: 10⁻⁶": (lambda r: r.save("adc", r.volumes["adc"] * 1e3), False, "adc", "is in 10⁻⁶ mm²/s", "--convert"),
    "adc_unit: mm²/s": (lambda r: r.save("adc", r.volumes["adc"] * 1e-3), False, "adc", "is in mm²/s", "--convert"),
    "adc_unit: none": (lambda r: r.save("adc", r.volumes["adc"] * 30), False, "adc", "none of the units", "ADC map"),
    "not_swapped": (swap, False, "dwi", "looks like an ADC map", "swap"),
}  # fmt: skip


def about_case(checked):
    return [finding for finding in checked.findings if finding.case]


def test_the_real_case_is_sound(real):
    checked = check_data(real.root)
    assert about_case(checked) == []
    assert [finding.fault for finding in checked.findings] == ["has no split.tsv"]


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_a_case_is_reported(real, name):
    breaks, severe, part, fault, fix = FAULTS[name]
    breaks(real)
    found = about_case(check_data(real.root))
    assert [finding.severe for finding in found if finding.rule == name.split(":")[0]].count(severe) >= 1
    finding = next(finding for finding in found if finding.rule == name.split(":")[0] and finding.part == part)
    assert re.match(rf"sub-01: {re.escape(str(real.root))}.*/sub-01_.*: .*{fault}.*; .*{fix}", str(finding))
    assert "\n" not in str(finding)
    # and nothing else is made of it
    assert {finding.rule for finding in found} == {name.split(":")[0]}
