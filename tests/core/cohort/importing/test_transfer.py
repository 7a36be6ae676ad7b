"""Files are copied or linked as they are, and rewritten only if that is needed and asked for."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.core.scan.nifti import read_volume


def test_links_share_the_source_and_new_files_do_not(bring, save, source, tmp_path):
    save(source / "Pat_2_dwi.nii.gz", np.asarray(nib.load(source / "Pat_2_dwi.nii.gz").dataobj)[..., None])
    bring(source, tmp_path / "out", link=True)
    linked, anew, _ = open_cohort(tmp_path / "out").cases
    assert linked.images["dwi"].samefile(source / "Pat_1_dwi.nii.gz")
    assert not anew.images["dwi"].samefile(source / "Pat_2_dwi.nii.gz")
    assert nib.load(anew.images["dwi"]).shape == (12, 14, 6)


@pytest.mark.parametrize(("factor", "unit"), [(1e3, "10⁻⁶ mm²/s"), (1e-3, "mm²/s")])
def test_adc_is_converted_only_on_request(bring, save, source, tmp_path, factor, unit):
    adc = np.asarray(nib.load(source / "Pat_1_adc.nii.gz").dataobj)
    save(source / "Pat_1_adc.nii.gz", (adc * factor).astype(np.float32))
    done = bring(source, tmp_path / "as-it-is")
    [warning] = done.warnings
    fault = f"is in {unit}, but cohorts keep ADC in 10⁻³ mm²/s; import it with --convert-adc"
    assert str(warning).endswith(f"Pat_1_adc.nii.gz: {fault}")
    assert bring(source, tmp_path / "out", convert_adc=True).warnings == ()
    first, second, _ = open_cohort(tmp_path / "out").cases
    np.testing.assert_allclose(read_volume(first.images["adc"]).data, adc, rtol=1e-6)
    assert second.images["adc"].read_bytes() == (source / "Pat_2_adc.nii.gz").read_bytes()


def test_another_grid_is_resampled_only_on_request(bring, save, source, tmp_path):
    mask = np.asarray(nib.load(source / "Pat_1_lesion.nii.gz").dataobj)
    fine = np.diag([0.5, 0.5, 0.5, 1.0])
    fine[:3, 3] = -0.25  # eight small voxels fill one
    save(
        source / "Pat_1_lesion.nii.gz",
        mask.repeat(2, 0).repeat(2, 1).repeat(2, 2),
        np.diag([-2.0, 2.0, 3.0, 1.0]) @ fine,
    )
    done = bring(source, tmp_path / "as-it-is")
    assert "lies on another grid than" in done.left_out["Pat_1"]
    assert "import with --resample" in done.left_out["Pat_1"]
    assert bring(source, tmp_path / "out", resample=True).left_out == {}
    case = open_cohort(tmp_path / "out").cases[0]
    np.testing.assert_array_equal(read_volume(case.mask).data, mask)


def test_masks_of_other_values(bring, save, source, tmp_path):
    for number in range(1, 4):
        mask = np.asarray(nib.load(source / f"Pat_{number}_lesion.nii.gz").dataobj)
        save(source / f"Pat_{number}_lesion.nii.gz", mask * np.uint8(255) + (mask == 0) * np.uint8(number == 3))
    done = bring(source, tmp_path / "as-it-is")
    assert (
        "Pat_1_lesion.nii.gz: holds 0 and 255; give --lesion-label 255 if that is the lesion" in done.left_out["Pat_1"]
    )
    assert "a lesion mask holds 0 and 1 only, this one 1, 255" in done.left_out["Pat_3"]
    assert bring(source, tmp_path / "out", lesion_label=255).left_out == {}
    assert [read_volume(case.mask).data.sum() for case in open_cohort(tmp_path / "out").cases] == [12, 18, 24]


def test_settings_that_decide_the_content_are_plain():
    settings = ImportSettings("folder", {"dwi": 0}, link=True, lesion_label=2)
    assert settings.plain() == {
        "reader": "folder",
        "options": {"dwi": "0"},
        "convert_adc": False,
        "resample": False,
        "lesion_label": 2,
        "channels": None,
    }
    assert ImportSettings(channels=("DWI", "flair")).plain()["channels"] == ("dwi", "FLAIR")
