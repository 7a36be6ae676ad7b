"""Imports: what is copied, linked, converted or left out, and what happens when one is cut short."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.importing import run
from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.core.cohort.split import Split
from strokereg.core.scan.nifti import read_volume
from strokereg.registry.errors import InputError

PATTERNS = {"images": "*_dwi.nii.gz", "masks": "*_lesion.nii.gz", "adc": "*_adc.nii.gz"}
FOLDER = ImportSettings("folder", PATTERNS)
AFFINE = np.diag([-2.0, 2.0, 3.0, 1.0])


def save(path, data, affine=AFFINE):
    nib.save(nib.Nifti1Image(data, affine), path)


@pytest.fixture
def source(tmp_path):
    """Three patients of a few voxels, named as a lab would."""
    root = tmp_path / "lab"
    root.mkdir()
    for number in range(1, 4):
        rng = np.random.default_rng(number)
        brain = rng.uniform(80, 120, (12, 14, 6)).astype(np.float32)
        mask = np.zeros((12, 14, 6), np.uint8)
        mask[4 : 5 + number, 5:8, 2:4] = 1
        save(root / f"Pat_{number}_dwi.nii.gz", brain)
        save(root / f"Pat_{number}_adc.nii.gz", brain / 120)
        save(root / f"Pat_{number}_lesion.nii.gz", mask)
    (root / "Pat_1_dwi.json").write_text('{"EchoTime": 0.09}')
    return root


def bring(source, out, **settings):
    return import_data(source, out, ImportSettings("folder", PATTERNS, **settings))


def listing(root):
    return {path.relative_to(root): path.stat().st_mtime_ns for path in root.rglob("*")}


def test_files_are_copied_byte_for_byte_and_described(source, tmp_path):
    before = listing(source)
    told = []
    done = import_data(source, tmp_path / "out", FOLDER, on_case=lambda *counts: told.append(counts))
    assert listing(source) == before
    assert done.imported == ("sub-Pat1", "sub-Pat2", "sub-Pat3")
    assert (done.left_out, done.warnings) == ({}, ())
    assert told[0] == (0, 3)
    assert told[-1] == (3, 3)
    cohort = open_cohort(tmp_path / "out")
    case = cohort.cases[0]
    assert case.images["dwi"].read_bytes() == (source / "Pat_1_dwi.nii.gz").read_bytes()
    assert case.mask.read_bytes() == (source / "Pat_1_lesion.nii.gz").read_bytes()
    assert case.images["dwi"].with_name("sub-Pat1_dwi.json").is_file()
    rows = (tmp_path / "out" / "participants.tsv").read_text().splitlines()
    assert rows[:2] == ["participant_id\tsource", "sub-Pat1\tPat_1_dwi.nii.gz"]
    said = json.loads((tmp_path / "out" / "dataset_description.json").read_text())
    assert said["GeneratedBy"][0]["Settings"]["reader"] == "folder"
    assert said["SourceDatasets"] == [{"URL": source.resolve().as_uri()}]
    assert not cohort.simulated
    assert not list((tmp_path / "out").glob(".importing*"))


def test_links_share_the_source_and_new_files_do_not(source, tmp_path):
    save(source / "Pat_2_dwi.nii.gz", np.asarray(nib.load(source / "Pat_2_dwi.nii.gz").dataobj)[..., None])
    bring(source, tmp_path / "out", link=True)
    linked, anew, _ = open_cohort(tmp_path / "out").cases
    assert linked.images["dwi"].samefile(source / "Pat_1_dwi.nii.gz")
    assert not anew.images["dwi"].samefile(source / "Pat_2_dwi.nii.gz")
    assert nib.load(anew.images["dwi"]).shape == (12, 14, 6)


def test_a_case_at_fault_is_left_out_and_imported_once_it_is_fixed(source, tmp_path):
    whole = (source / "Pat_2_dwi.nii.gz").read_bytes()
    (source / "Pat_2_dwi.nii.gz").write_bytes(whole[:600])
    done = bring(source, tmp_path / "out")
    assert done.imported == ("sub-Pat1", "sub-Pat3")
    [(case, reason)] = done.left_out.items()
    assert case == "Pat_2"
    assert f"{source / 'Pat_2_dwi.nii.gz'}: damaged or truncated" in reason
    assert [case.name for case in open_cohort(tmp_path / "out").cases] == ["sub-Pat1", "sub-Pat3"]
    (source / "Pat_2_dwi.nii.gz").write_bytes(whole)
    before = listing(tmp_path / "out" / "sub-Pat1")
    again = bring(source, tmp_path / "out")
    assert (again.imported, again.found, again.left_out) == (("sub-Pat2",), ("sub-Pat1", "sub-Pat3"), {})
    assert listing(tmp_path / "out" / "sub-Pat1") == before


def test_cut_short_it_is_no_cohort_and_goes_on(source, tmp_path, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "close_folder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bring(source, tmp_path / "out")
    with pytest.raises(InputError, match="not a cohort folder"):
        open_cohort(tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "sub-Pat3")  # as if the images had not been moved yet
    done = bring(source, tmp_path / "out")
    assert (done.imported, done.found) == (("sub-Pat3",), ("sub-Pat1", "sub-Pat2"))
    assert len(open_cohort(tmp_path / "out").cases) == 3


@pytest.mark.parametrize(("factor", "unit"), [(1e3, "10⁻⁶ mm²/s"), (1e-3, "mm²/s")])
def test_adc_is_converted_only_on_request(source, tmp_path, factor, unit):
    adc = np.asarray(nib.load(source / "Pat_1_adc.nii.gz").dataobj)
    save(source / "Pat_1_adc.nii.gz", (adc * factor).astype(np.float32))
    done = bring(source, tmp_path / "as-it-is")
    [warning] = done.warnings
    assert f"Pat_1_adc.nii.gz: is in {unit}, but cohorts keep ADC in 10⁻³ mm²/s; import it with --convert-adc" in str(
        warning
    )
    assert bring(source, tmp_path / "out", convert_adc=True).warnings == ()
    first, second, _ = open_cohort(tmp_path / "out").cases
    np.testing.assert_allclose(read_volume(first.images["adc"]).data, adc, rtol=1e-6)
    assert second.images["adc"].read_bytes() == (source / "Pat_2_adc.nii.gz").read_bytes()


def test_another_grid_is_resampled_only_on_request(source, tmp_path):
    mask = np.asarray(nib.load(source / "Pat_1_lesion.nii.gz").dataobj)
    fine = np.diag([0.5, 0.5, 0.5, 1.0])
    fine[:3, 3] = -0.25  # eight small voxels fill one
    save(source / "Pat_1_lesion.nii.gz", mask.repeat(2, 0).repeat(2, 1).repeat(2, 2), AFFINE @ fine)
    done = bring(source, tmp_path / "as-it-is")
    assert "lies on another grid than" in done.left_out["Pat_1"]
    assert "import with --resample" in done.left_out["Pat_1"]
    assert bring(source, tmp_path / "out", resample=True).left_out == {}
    case = open_cohort(tmp_path / "out").cases[0]
    np.testing.assert_array_equal(read_volume(case.mask).data, mask)


def test_masks_of_other_values(source, tmp_path):
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


def test_names_that_become_one_are_told(source, tmp_path):
    for kind in ("dwi", "adc", "lesion"):
        shutil.copy(source / f"Pat_1_{kind}.nii.gz", source / f"Pat-1_{kind}.nii.gz")
    done = bring(source, tmp_path / "out")
    assert list(done.left_out.values()) == ["becomes sub-Pat1 in BIDS, as Pat-1 does; rename one of the two"]


def test_label_maps_come_with_their_table_or_not_at_all(phantom, tmp_path):
    done = import_data(phantom, tmp_path / "out")
    cohort = open_cohort(tmp_path / "out")
    assert done.left_out == {}
    assert cohort.table.lesion == 6
    assert all(case.dseg for case in cohort.cases)
    other = shutil.copytree(phantom, tmp_path / "aseg")
    (other / "derivatives" / "truth" / "dseg.tsv").write_text("index\tname\n0\tbackground\n41\twhite\n")
    done = import_data(other, tmp_path / "unlabelled")
    assert "number the labels 0, 1, 2" in done.left_out["label maps"]
    assert "data label" in done.left_out["label maps"]
    assert [case.dseg for case in open_cohort(tmp_path / "unlabelled").cases] == [None] * 3


def test_a_second_import_at_the_same_time_is_refused_and_no_case_is_no_cohort(source, tmp_path):
    out = tmp_path / "out"

    def meanwhile(done, total):
        if done == 0:
            with pytest.raises(InputError, match="another import into it is running"):
                bring(source, out)

    assert len(import_data(source, out, FOLDER, on_case=meanwhile).imported) == 3
    assert not list(out.glob(".importing*"))
    for path in source.glob("*_dwi.nii.gz"):
        path.write_bytes(b"")
    assert bring(source, tmp_path / "none").imported == ()
    with pytest.raises(InputError, match="not a cohort folder"):
        open_cohort(tmp_path / "none")


def test_a_simulated_cohort_stays_one_and_keeps_its_split(phantom, tmp_path):
    root = shutil.copytree(phantom, tmp_path / "simulated")
    (root / "dataset_description.json").write_text('{"GeneratedBy": [{"Name": "strokereg data simulate"}]}')
    Split(("sub-02",), ("sub-01",), ("sub-03",)).write(root / "split.tsv")
    assert import_data(root, tmp_path / "out").left_out == {}
    cohort = open_cohort(tmp_path / "out")
    assert cohort.simulated
    assert cohort.split == Split(("sub-02",), ("sub-01",), ("sub-03",))
    (root / "sub-02" / "dwi" / "sub-02_dwi.nii.gz").write_bytes(b"")
    done = import_data(root, tmp_path / "fewer")
    assert done.left_out["split.tsv"] == "names sub-02, which was not imported; import it, or write a new split"
    assert open_cohort(tmp_path / "fewer").split is None


@pytest.mark.parametrize(
    ("out", "settings", "fault"),
    [
        ("lab/cohort", {}, "lies in the source"),
        ("full", {}, "is not empty and 'strokereg data import' did not begin it"),
        ("made", {"resample": True}, "made with resample False instead of True"),
        ("lab/Pat_1_dwi.nii.gz/out", {}, "cannot be written|lies in the source"),
    ],
)
def test_a_wrong_place_is_refused(source, tmp_path, out, settings, fault):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    if out == "made":
        bring(source, tmp_path / out)
    with pytest.raises(InputError, match=fault):
        bring(source, tmp_path / out, **settings)
