"""BIDS names: letters and digits of subject and session, each once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.importing.naming import name_visits
from strokereg.registry.errors import InputError


def files(name, subject):
    return CaseFiles(name, subject, {"dwi": Path(f"{name}.nii.gz")})


def test_names_are_letters_and_digits_of_subject_and_session(tmp_path):
    visits, left_out = name_visits([files("Pat_7", "Pat_7"), files("sub-1_ses-b 2", "sub-1"), files("--", "--")])
    assert [visit.name for visit in visits] == ["sub-Pat7", "sub-1_ses-b2"]
    assert [visit.folder for visit in visits] == [Path("sub-Pat7/dwi"), Path("sub-1/ses-b2/dwi")]
    assert left_out == {"--": "its name holds no letter or digit; rename its files"}
    assert not visits[1].is_in(tmp_path)
    (tmp_path / visits[1].folder).mkdir(parents=True)
    (tmp_path / visits[1].folder / "sub-1_ses-b2_dwi.nii").touch()
    assert visits[1].is_in(tmp_path)


def test_names_that_become_one_are_reported(bring, source, tmp_path):
    for kind in ("dwi", "adc", "lesion"):
        shutil.copy(source / f"Pat_1_{kind}.nii.gz", source / f"Pat-1_{kind}.nii.gz")
    done = bring(source, tmp_path / "out")
    assert list(done.left_out.values()) == ["becomes sub-Pat1 in BIDS, as Pat-1 does; rename one of the two"]


@pytest.mark.parametrize("pair", [("P10", "p10"), ("sub-A1", "sub-a1"), ("Jos\u00e9", "Jose\u0301")])
def test_names_that_are_one_folder_on_some_systems_are_refused(pair):
    with pytest.raises(InputError, match=r"\.nii\.gz: the subjects .* differ only in .*; rename one of the two"):
        name_visits([files(name, name) for name in pair])
    visits, left_out = name_visits([files("P10_ses-1", "P10"), files("P10_ses-2", "P10")])
    assert (len(visits), left_out) == (2, {})


def test_nothing_is_written_if_names_clash(bring, source, tmp_path):
    for kind in ("dwi", "adc", "lesion"):
        shutil.copy(source / f"Pat_1_{kind}.nii.gz", source / f"pat_1_{kind}.nii.gz")
    with pytest.raises(InputError, match="the subjects Pat_1 and pat_1 differ only in"):
        bring(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
