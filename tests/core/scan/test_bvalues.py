"""b-values as scanners and converters write them."""

from __future__ import annotations

import pytest

from strokereg.core.scan.bvalues import highest_shell, read_bvalues, strongest_volume


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0 1000", [0, 1000]),
        ("0\t1000\r\n", [0, 1000]),
        ("0\n1000\n", [0, 1000]),
        ("0,  1000", [0, 1000]),
        ("\ufeff0 1e3", [0, 1000]),
        ("", []),
        ("b0 b1000", []),
    ],
)
def test_separators_of_every_kind(tmp_path, text, values):
    (tmp_path / "sub-1_dwi.bval").write_text(text, encoding="utf-8")
    assert read_bvalues(tmp_path / "sub-1_dwi.nii.gz") == values
    assert read_bvalues(tmp_path / "sub-2_dwi.nii.gz") == []


@pytest.mark.parametrize(
    ("values", "shell", "volume"),
    [
        ([0, 1000], (1,), 1),
        ([1000, 5], (0,), 0),
        ([0, 995, 1000, 1005], (1, 2, 3), None),  # one shell, although each value is unique
        ([0, 500, 1000], (2,), 2),
        ([1000], (0,), None),
        ([0, 0], (), None),
    ],
)
def test_the_highest_shell(tmp_path, values, shell, volume):
    assert highest_shell(values) == shell
    (tmp_path / "a.bval").write_text(" ".join(map(str, values)))
    assert strongest_volume(tmp_path / "a.nii.gz") == volume
