"""Prepared cases: made once, found again, never half there."""

from __future__ import annotations

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from strokereg.core.cohort import open_cohort
from strokereg.core.grid import Preparation
from strokereg.core.nifti import read_volume, write_volume
from strokereg.core.prepare import content_keys, fitting_size, prepare_cases

PREPARATION = Preparation(spacing=(6.0, 6.0, 6.0))


@pytest.fixture
def copied(phantom, tmp_path):
    return open_cohort(shutil.copytree(phantom, tmp_path / "cohort"))


def entries(cache):
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}


def test_arrays_fit_together_and_a_second_call_does_nothing(copied, tmp_path):
    first = prepare_cases(copied.cases, PREPARATION, copied.table, tmp_path / "cache")
    made = entries(tmp_path / "cache")
    assert len(made) == 6
    for case in first:
        assert case.image.shape == (1, *case.labels.shape)
        assert case.image.dtype == np.float32
        assert -1 <= case.image.min() < case.image.max() <= 1
        assert case.image[0][case.mask].mean() > case.image[0][(case.labels > 0) & ~case.mask].mean()
    again = prepare_cases(copied.cases, PREPARATION, copied.table, tmp_path / "cache")
    assert entries(tmp_path / "cache") == made
    assert [case.folder for case in again] == [case.folder for case in first]


def test_content_and_settings_make_another_entry(copied, tmp_path):
    def folders(preparation):
        return [case.folder for case in prepare_cases(copied.cases, preparation, copied.table, tmp_path / "cache")]

    before, keys = folders(PREPARATION), content_keys(copied.cases)
    assert set(folders(Preparation(spacing=(5.0,) * 3))).isdisjoint(before)
    path = copied.cases[1].images["dwi"]
    volume = read_volume(path)
    write_volume(path, volume.data + (volume.data > 0), volume.affine)
    assert [a == b for a, b in zip(folders(PREPARATION), before, strict=True)] == [True, False, True]
    assert [keys[name] == key for name, key in content_keys(copied.cases).items()] == [True, False, True]


def test_many_at_once_do_no_harm(copied, tmp_path):
    def prepare(_):
        return prepare_cases(copied.cases, PREPARATION, copied.table, tmp_path / "cache")

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(prepare, range(4)))
    assert len({case.folder for cases in results for case in cases}) == 3
    assert not list((tmp_path / "cache").rglob(".building-*"))


def test_a_prepared_case_travels_without_its_voxels(copied, tmp_path):
    case = prepare_cases(copied.cases[:1], PREPARATION, copied.table, tmp_path / "cache")[0]
    assert case.image.size > 0
    sent = pickle.dumps(case)
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent).labels, case.labels)


def test_the_fitting_size_holds_every_brain(copied):
    size = fitting_size(copied.cases, PREPARATION)
    assert size[0] % 16 == size[1] % 16 == 0
    assert all(edge * 6.0 >= 0.8 * n * 3.0 for edge, n in zip(size, (30, 34, 22), strict=True))
