"""BIDS names: letters and digits of subject and session, each once."""

from __future__ import annotations

import shutil
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.importing.naming import name_visits


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
