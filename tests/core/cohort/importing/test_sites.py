"""Two sites in one cohort, and cases that are left out for good."""

from __future__ import annotations

import json
import shutil

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.participants import sites_of
from strokereg.core.cohort.split import Split
from strokereg.registry.errors import InputError


@pytest.fixture
def elsewhere(tmp_path, save):
    """A second site: its Pat_1 is another patient, its Pat_7 is Pat_2 of the first, stored with other numbers."""
    root = tmp_path / "clinic"
    root.mkdir()
    for number, seed in ((1, 11), (7, 2), (8, 18)):
        brain = np.random.default_rng(seed).uniform(80, 120, (12, 14, 6)).astype(np.float32)
        mask = np.zeros((12, 14, 6), np.uint8)
        mask[2 : 4 + number, 1:5, 1:3] = 1
        save(root / f"Pat_{number}_dwi.nii.gz", brain * 3)
        save(root / f"Pat_{number}_adc.nii.gz", brain / 120)
        save(root / f"Pat_{number}_lesion.nii.gz", mask)
    return root


def names(root):
    return [case.name for case in open_cohort(root).cases]


def test_a_second_site_joins_and_each_case_says_where_it_comes_from(bring, source, elsewhere, tmp_path):
    out = tmp_path / "both"
    bring(source, out)
    (out / "participants.tsv").write_text((out / "participants.tsv").read_text().replace("source\n", "source\tage\n"))
    done = bring(elsewhere, out, prefix="B", site="north")
    assert done.imported == ("sub-BPat1", "sub-BPat8")
    [(case, reason)] = done.left_out.items()
    assert case == "Pat_7"
    assert "Pat_7_dwi.nii.gz: has the same image as sub-Pat2 of lab; leave it out with --exclude Pat_7" in reason
    sites = {"sub-Pat1": "lab", "sub-Pat2": "lab", "sub-Pat3": "lab", "sub-BPat1": "north", "sub-BPat8": "north"}
    assert sites_of(out) == sites
    assert names(out) == sorted(sites)
    assert (out / "participants.tsv").read_text().startswith("participant_id\tsite\tsource\tage\n")
    said = json.loads((out / "dataset_description.json").read_text())
    assert [maker["Settings"]["site"] for maker in said["GeneratedBy"]] == ["lab", "north"]
    assert [entry["URL"] for entry in said["SourceDatasets"]] == [p.resolve().as_uri() for p in (source, elsewhere)]
    # both sources can be called again, with their own settings only
    assert bring(source, out).found == ("sub-Pat1", "sub-Pat2", "sub-Pat3")
    assert bring(elsewhere, out, prefix="B").found == ("sub-BPat1", "sub-BPat8")
    with pytest.raises(InputError, match="was made with prefix B instead of C"):
        bring(elsewhere, out, prefix="C")
    assert sites_of(out) == sites


def test_names_that_two_sites_share_are_refused_before_anything_is_written(bring, source, elsewhere, tmp_path):
    out = tmp_path / "both"
    bring(source, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"has sub-Pat1 from lab already; .* tell them apart with --prefix"):
        bring(elsewhere, out)
    with pytest.raises(InputError, match=r"its site would be called lab, as that of file://.*; give another name"):
        bring(elsewhere, out, site="lab", prefix="B")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_split_that_does_not_name_the_new_site_is_reported(bring, source, elsewhere, tmp_path):
    out = tmp_path / "both"
    bring(source, out)
    Split(("sub-Pat1",), ("sub-Pat2",), ("sub-Pat3",)).write(out / "split.tsv")
    done = bring(elsewhere, out, prefix="B", exclude=("Pat_7",))
    [warning] = done.warnings
    assert "split.tsv: does not name sub-BPat1 and 1 more; remove it and write another" in str(warning)
    assert done.left_out == {}
    assert open_cohort(out).split.train == ("sub-Pat1",)


@pytest.mark.parametrize("name", ["Pat_2", "sub-Pat2", "pat2"])
def test_excluded_cases_stay_out_of_later_imports(bring, source, tmp_path, name):
    out = tmp_path / "out"
    done = bring(source, out, exclude=(name,))
    assert (done.excluded, done.left_out) == (("Pat_2",), {})
    assert names(out) == ["sub-Pat1", "sub-Pat3"]
    assert bring(source, out).excluded == ("Pat_2",)
    assert names(out) == ["sub-Pat1", "sub-Pat3"]
    assert bring(source, out, exclude=("Pat_3",)).excluded == ("Pat_2", "Pat_3")
    assert names(out) == ["sub-Pat1"]
    with pytest.raises(InputError, match=r"--exclude Pat_33: the source has no such case.* correct the name"):
        bring(source, out, exclude=("Pat_33",))
    with pytest.raises(InputError, match="--exclude leaves no case; exclude fewer"):
        bring(source, out, exclude=("Pat_1",))
    assert names(out) == ["sub-Pat1"]


def test_a_case_that_was_imported_is_taken_out_and_out_of_the_split(bring, source, tmp_path):
    out = tmp_path / "out"
    bring(source, out)
    Split(("sub-Pat1",), ("sub-Pat2",), ("sub-Pat3",)).write(out / "split.tsv")
    scan = out / "sub-Pat2/dwi/sub-Pat2_dwi.nii.gz"
    content = scan.read_bytes()
    bring(source, out, exclude=("Pat_2",))
    cohort = open_cohort(out)
    assert [case.name for case in cohort.cases] == ["sub-Pat1", "sub-Pat3"]
    assert cohort.split == Split(("sub-Pat1",), (), ("sub-Pat3",))
    assert sorted(sites_of(out)) == ["sub-Pat1", "sub-Pat3"]
    assert (out / ".excluded" / scan.relative_to(out)).read_bytes() == content  # moved, not deleted
    assert (out / ".excluded/derivatives/imported/sub-Pat2/dwi/sub-Pat2_desc-lesion_mask.nii.gz").is_file()


def test_an_interrupted_import_of_a_second_site_goes_on(bring, source, elsewhere, tmp_path):
    out = tmp_path / "both"
    bring(source, out)

    def stop(done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bring(elsewhere, out, stop, prefix="B", exclude=("Pat_7",))
    assert {case.name for case in open_cohort(out).cases} >= {"sub-Pat1", "sub-Pat2", "sub-Pat3"}
    bring(elsewhere, out, prefix="B", exclude=("Pat_7",))
    assert names(out) == ["sub-BPat1", "sub-BPat8", "sub-Pat1", "sub-Pat2", "sub-Pat3"]
    assert sites_of(out)["sub-BPat8"] == "clinic"


def test_label_maps_of_another_table_stay_out(phantom, source, bring, tmp_path):
    from strokereg.core.cohort.importing.run import import_data
    from strokereg.core.cohort.importing.transfer import ImportSettings

    out = tmp_path / "both"
    import_data(phantom, out)
    other = shutil.copytree(phantom, tmp_path / "other")
    labels = "background", "csf", "ventricle", "grey", "deep", "white", "lesion"
    rows = "".join(f"{number}\t{name}\n" for number, name in enumerate(labels))
    (other / "derivatives/truth/dseg.tsv").write_text(f"index\tname\n{rows}")
    for path in other.glob("sub-*/dwi/*.nii.gz"):
        image = nib.load(path)
        nib.save(nib.Nifti1Image(image.get_fdata()[::-1], image.affine), path)
    for path in other.rglob("*_desc-lesion_mask.nii.gz"):
        image = nib.load(path)
        nib.save(nib.Nifti1Image(image.get_fdata()[::-1], image.affine), path)
    done = import_data(other, out, ImportSettings(prefix="B"))
    assert "have other labels than those in" in done.left_out["label maps"]
    with_maps = {case.name for case in open_cohort(out).cases if case.dseg}
    assert with_maps == {"sub-01", "sub-02", "sub-03"}
