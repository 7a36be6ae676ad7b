"""Splits by subject: every part, every subject once, all lesion sizes."""

from __future__ import annotations

import pytest

from strokereg.core.cohort.split import Split, folds_of, make_split, split_file
from strokereg.registry.errors import InputError


@pytest.mark.parametrize("count", [3, 5, 10, 37, 60])
def test_a_split_has_every_part_every_subject_once_and_all_sizes(count):
    names = [f"sub-{i:02}" for i in range(count)]
    split = make_split(names, list(range(count)), seed=1)
    assert sorted([*split.train, *split.val, *split.test]) == names
    assert all(split.part(part) for part in ("train", "val", "test"))
    assert split == make_split(names, list(range(count)), seed=1)
    if count == 60:
        assert [len(split.part(p)) for p in ("train", "val", "test")] == [36, 6, 18]
        small = [sum(int(name[-2:]) < 30 for name in split.part(p)) for p in ("train", "val", "test")]
        assert small == [18, 3, 9]


def test_parts_are_what_was_asked_for_with_all_sizes_in_each():
    split = make_split([f"sub-{i:03}" for i in range(160)], list(range(160)), seed=0, parts=(110, 10, 40))
    assert [len(split.part(part)) for part in ("train", "val", "test")] == [110, 10, 40]
    for part, half in (("train", 55), ("val", 5), ("test", 20)):
        assert sum(int(name[-3:]) < 80 for name in split.part(part)) == half
    short = make_split([str(i) for i in range(15)], [0] * 15, parts=(110, 10, 40))
    assert [len(short.part(part)) for part in ("train", "val", "test")] == [10, 1, 4]
    assert [len(make_split("abc", [0] * 3, parts=(9, 1, 1)).part(part)) for part in ("train", "val", "test")] == [1] * 3
    with pytest.raises(InputError, match="--parts 5,0,5: each part needs at least 1"):
        make_split("abcd", [0] * 4, parts=(5, 0, 5))


def test_a_split_of_two_is_refused():
    with pytest.raises(InputError, match="at least 3 subjects"):
        make_split(["a", "b"], [1, 2])


def test_a_split_is_written_and_read_again(tmp_path):
    split = Split(("sub-2", "sub-1"), ("sub-3",), ("sub-4",))
    split.write(tmp_path / split_file(2))
    assert Split.read(tmp_path / "split_fold-2.tsv") == split
    (tmp_path / "split_fold-0.tsv").touch()
    (tmp_path / "split.tsv").touch()
    assert folds_of(tmp_path) == [2]
    with pytest.raises(InputError, match="cannot be read"):
        Split.read(tmp_path / "absent.tsv")
