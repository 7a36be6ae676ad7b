"""Files are copied or linked as they are, and rewritten only if that is needed and asked for."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.core.scan.nifti import read_volume
from strokereg.registry.errors import InputError


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
    fault = f"is in {unit}, but cohorts keep ADC in 10⁻³ mm²/s; import it with --convert-adc, into a new --out"
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
        "prefer": "sform",
        "trust_shape": False,
        "average_directions": False,
        "extract_brain": False,
        "site": None,
        "prefix": "",
        "exclude": (),
    }
    with pytest.raises(InputError, match=r"--prefix site-: BIDS names hold letters and digits only"):
        ImportSettings(prefix="site-")
    with pytest.raises(InputError, match=r"--site .*: give a name that can be printed"):
        ImportSettings(site="a\tb")
    assert ImportSettings(channels=("DWI", "flair")).plain()["channels"] == ("dwi", "FLAIR")


def test_the_form_that_is_preferred_is_the_only_one_in_the_cohort(bring, save, source, tmp_path):
    data = np.asarray(nib.load(source / "Pat_1_dwi.nii.gz").dataobj)
    right, wrong = nib.load(source / "Pat_1_dwi.nii.gz").affine, np.diag([2.0, 2, 3, 1])
    image = nib.Nifti1Image(data, right)
    image.set_sform(wrong, 1)
    image.set_qform(right, 1)
    nib.save(image, source / "Pat_1_dwi.nii.gz")
    assert "another grid" in bring(source, tmp_path / "as-it-is").left_out["Pat_1"]
    done = bring(source, tmp_path / "out", prefer="qform")
    assert (done.left_out, done.warnings) == ({}, ())
    case = open_cohort(tmp_path / "out").cases[0]
    volume = read_volume(case.images["dwi"])
    np.testing.assert_allclose(volume.affine, right)
    assert volume.notes == ()


def test_a_mask_that_lost_its_header_is_placed_only_on_request(bring, save, source, tmp_path):
    mask = np.asarray(nib.load(source / "Pat_1_lesion.nii.gz").dataobj)
    save(source / "Pat_1_lesion.nii.gz", mask, np.eye(4))
    for number, settings in enumerate(({}, {"resample": True})):  # resampled, it would be empty
        left_out = bring(source, tmp_path / f"no-{number}", **settings).left_out["Pat_1"]
        assert "no affine of its own, so its header may be lost; import it with --trust-shape" in left_out
    assert bring(source, tmp_path / "out", trust_shape=True).left_out == {}
    case = open_cohort(tmp_path / "out").cases[0]
    volume = read_volume(case.mask)
    np.testing.assert_array_equal(volume.data, mask)
    np.testing.assert_allclose(volume.affine, read_volume(case.images["dwi"]).affine)


@pytest.mark.parametrize("part", ["adc", "lesion"])
def test_a_conversion_does_not_hide_another_grid(bring, save, source, tmp_path, part):
    """A part that is rewritten keeps its own affine: the DWI's would put it where it never was."""
    path = source / f"Pat_1_{part}.nii.gz"
    image = nib.load(path)
    data = np.asarray(image.dataobj)
    moved = image.affine.copy()
    moved[0, 3] += 10
    save(path, data * (np.float32(1e3) if part == "adc" else np.uint8(1)), moved)
    done = bring(source, tmp_path / "out", convert_adc=True, lesion_label=1)
    assert "lies on another grid" in done.left_out["Pat_1"]


def series(source, values, directions):
    """A diffusion series as Pat_1: the attenuation of its directions multiplies to that of its trace."""
    image = nib.load(source / "Pat_1_dwi.nii.gz")
    trace = np.asarray(image.dataobj)
    factors = [2.0, 0.5, 1.0][:directions] if directions == 3 else [1.0] * directions
    data = np.stack([trace * 3, *(trace * factor for factor in factors)], -1).astype(np.float32)
    nib.save(nib.Nifti1Image(data, image.affine), source / "Pat_1_dwi.nii.gz")
    (source / "Pat_1_dwi.bval").write_text(values)
    return trace


def test_directions_become_their_trace_only_on_request(bring, source, tmp_path):
    trace = series(source, "0 995 1000 1005", 3)
    left_out = bring(source, tmp_path / "as-it-is").left_out["Pat_1"]
    assert "holds 3 directions of b = 1005 s/mm²; import with --average-directions" in left_out
    assert bring(source, tmp_path / "out", average_directions=True).left_out == {}
    case = open_cohort(tmp_path / "out").cases[0]
    np.testing.assert_allclose(read_volume(case.images["dwi"]).data, trace, rtol=1e-4)
    assert not list((tmp_path / "out").rglob("*.bval"))


def test_b_values_of_another_number_of_volumes_are_refused(bring, source, tmp_path):
    series(source, "0 1000 1000 1000 1000", 3)
    left_out = bring(source, tmp_path / "out", average_directions=True).left_out["Pat_1"]
    assert "its .bval file has 5 values, but its shape is (12, 14, 6, 4)" in left_out


def test_other_formats_become_nifti(save, source, tmp_path):
    mask = np.asarray(nib.load(source / "Pat_1_lesion.nii.gz").dataobj)
    affine = nib.load(source / "Pat_1_lesion.nii.gz").affine
    for number in (1, 2):
        (source / f"Pat_{number}_lesion.nii.gz").unlink()
    nib.save(nib.MGHImage(mask.astype(np.int32), affine), source / "Pat_1_lesion.mgz")
    nib.save(nib.Nifti1Pair(mask, affine), source / "Pat_2_lesion.hdr")
    patterns = {"images": "*_dwi.*", "masks": "*_lesion.*"}
    done = import_data(source, tmp_path / "out", ImportSettings("folder", patterns))
    assert (done.left_out, done.warnings) == ({}, ())
    for case in open_cohort(tmp_path / "out").cases[:2]:
        assert case.mask.name.endswith("_mask.nii.gz")
        assert nib.load(case.mask).get_data_dtype() == np.uint8
        np.testing.assert_array_equal(read_volume(case.mask).data, mask)


def test_resampling_does_not_make_a_mask_of_a_label_map(bring, save, source, tmp_path):
    mask = np.asarray(nib.load(source / "Pat_1_lesion.nii.gz").dataobj).copy()
    mask[0, 0, 0], mask[0, 0, 1] = 2, 3
    affine = nib.load(source / "Pat_1_lesion.nii.gz").affine
    save(source / "Pat_1_lesion.nii.gz", np.pad(mask, 1), affine @ nib.affines.from_matvec(np.eye(3), [-1, -1, -1]))
    assert "holds 0 and 1 only" in bring(source, tmp_path / "out", resample=True).left_out["Pat_1"]


def test_the_skull_is_taken_away_only_on_request(bring, save, source, tmp_path):
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (46, 50, 42)), indexing="ij")
    radius, affine = x**2 + y**2 + z**2, np.diag([-4.0, 4.0, 4.0, 1.0])
    brain = radius < 0.5
    scalp = (radius > 0.7) & (radius < 0.9)
    stripped = np.where(brain, 100.0, 0.0).astype(np.float32)
    save(source / "Pat_1_dwi.nii.gz", stripped + np.where(scalp, 25.0, 0.0).astype(np.float32), affine)
    save(source / "Pat_2_dwi.nii.gz", stripped, affine)
    for name in ("Pat_1", "Pat_2"):
        save(source / f"{name}_adc.nii.gz", np.where(brain | scalp, 0.8, 0.0).astype(np.float32), affine)
        save(source / f"{name}_lesion.nii.gz", (radius < 0.02).astype(np.uint8), affine)
    bring(source, tmp_path / "as-it-is")
    kept = open_cohort(tmp_path / "as-it-is").cases[0]
    assert kept.images["dwi"].read_bytes() == (source / "Pat_1_dwi.nii.gz").read_bytes()
    bring(source, tmp_path / "out", extract_brain=True)
    first, second = open_cohort(tmp_path / "out").cases[:2]
    dwi = read_volume(first.images["dwi"]).data
    assert not dwi[~brain].any()
    assert (dwi[brain] == 100.0).mean() > 0.98
    assert not read_volume(first.images["adc"]).data[~brain].any()
    assert second.images["dwi"].read_bytes() == (source / "Pat_2_dwi.nii.gz").read_bytes()


@pytest.fixture
def anatomical(tmp_path, source):
    """BIDS with a FLAIR as .mgz, a T1w as 4D file on another grid, and a mask without affine; header says MNI."""
    image = nib.load(source / "Pat_1_dwi.nii.gz")
    data, root = np.asarray(image.dataobj), tmp_path / "bids"
    (root / "sub-1" / "anat").mkdir(parents=True)
    (root / "derivatives" / "m" / "sub-1" / "anat").mkdir(parents=True)
    (root / "dataset_description.json").write_text("{}")
    nib.save(nib.MGHImage(data.astype(np.float32), image.affine), root / "sub-1" / "anat" / "sub-1_FLAIR.mgz")
    moved = image.affine @ nib.affines.from_matvec(np.eye(3), [-1, -1, -1])
    t1w = nib.Nifti1Image(np.pad(data, 1)[..., None], moved)
    t1w.set_sform(moved, 4)
    nib.save(t1w, root / "sub-1" / "anat" / "sub-1_T1w.nii.gz")
    mask = nib.Nifti1Image(np.asarray(nib.load(source / "Pat_1_lesion.nii.gz").dataobj), np.eye(4))
    nib.save(mask, root / "derivatives" / "m" / "sub-1" / "anat" / "sub-1_desc-lesion_mask.nii.gz")
    return root


def test_anatomical_images_are_read_and_placed_as_diffusion_images_are(anatomical, tmp_path):
    def bring(out, **settings):
        return import_data(anatomical, tmp_path / out, ImportSettings(**settings))

    assert "import it with --trust-shape" in bring("a", channels=("FLAIR",)).left_out["sub-1"]
    assert "import with --resample" in bring("b", trust_shape=True).left_out["sub-1"]
    assert bring("c", trust_shape=True, resample=True).left_out == {}
    case = open_cohort(tmp_path / "c").cases[0]
    flair, t1w, mask = (read_volume(path) for path in (*case.images.values(), case.mask))
    assert case.first == "FLAIR"
    np.testing.assert_allclose(t1w.data, flair.data, rtol=1e-5)
    np.testing.assert_allclose(mask.affine, flair.affine, atol=1e-5)


def test_a_rewritten_image_stays_in_mni_space(anatomical, tmp_path):
    (anatomical / "derivatives" / "m" / "sub-1" / "anat" / "sub-1_desc-lesion_mask.nii.gz").unlink()
    assert import_data(anatomical, tmp_path / "out", ImportSettings(channels=("T1w",))).left_out == {}
    volume = read_volume(open_cohort(tmp_path / "out").cases[0].images["T1w"])
    assert (volume.in_mni, volume.data.ndim) == (True, 3)
