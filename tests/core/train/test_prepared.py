"""Prepared cases: made once, found again, never half there."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.train.dataset import DatasetSettings, prepare_dataset
from strokereg.core.train.prepared import clear_leftovers, fitting_size, prepare_cases, write_prepared
from strokereg.registry.errors import InputError

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

    cache = tmp_path / "cache"
    before, keys = folders(PREPARATION), content_keys(copied.cases, cache)
    assert set(folders(Preparation(spacing=(5.0,) * 3))).isdisjoint(before)
    path = copied.cases[1].images["dwi"]
    volume = read_volume(path)
    write_volume(path, volume.data + (volume.data > 0), volume.affine)
    assert [a == b for a, b in zip(folders(PREPARATION), before, strict=True)] == [True, False, True]
    assert [keys[name] == key for name, key in content_keys(copied.cases, cache).items()] == [True, False, True]


def test_many_at_once_do_no_harm(copied, tmp_path):
    def prepare(_):
        return prepare_cases(copied.cases, PREPARATION, copied.table, tmp_path / "cache")

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(prepare, range(4)))
    assert len({case.folder for cases in results for case in cases}) == 3
    assert not list((tmp_path / "cache").rglob(".building-*"))


def test_what_a_killed_process_left_goes_and_what_a_live_one_builds_stays(copied, tmp_path):
    shelf = tmp_path / "cache" / "ab"
    dead, live = shelf / ".building-dead", shelf / ".building-live"
    for folder in (dead, live):
        folder.mkdir(parents=True)
        (folder / "image.npy").write_bytes(b"half")
    held = "import sys, time; from filelock import FileLock; lock = FileLock(sys.argv[1]); lock.acquire(); "
    with subprocess.Popen(
        [sys.executable, "-c", held + "print(flush=True); time.sleep(60)", f"{live}.lock"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline()
        prepare_cases(copied.cases[:1], PREPARATION, copied.table, tmp_path / "cache")
        assert live.is_dir()
        assert not dead.exists()
        process.kill()
    assert clear_leftovers(shelf) == 1
    assert not [path for path in shelf.iterdir() if path.name.startswith(".building")]


HALTS = """
import sys, time
import numpy as np
from strokereg.cli.main import main
save, begun = np.save, []
def half(path, array):
    if path.name == "labels.npy":
        begun.append(path)
        if len(begun) == 3:
            path.write_bytes(bytes(100))
            print(path.parent, flush=True)
            time.sleep(600)
    save(path, array)
np.save = half
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_process_killed_in_the_middle_harms_no_other(small_cohort, tmp_path):
    """Two commands prepare one cohort; one is halted while it writes and killed, the other and the next one finish."""
    cache = tmp_path / "cache"
    words = ["data", "prepare", str(small_cohort), "--spacing", "6", "--json"]
    environment = {**os.environ, "STROKEREG_CACHE": str(cache), "OMP_NUM_THREADS": "1"}

    def prepare() -> dict[str, str]:
        run = [sys.executable, "-m", "strokereg", *words]
        done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["folders"]

    halts = [sys.executable, "-c", HALTS, *words]
    with subprocess.Popen(halts, env=environment, stdout=subprocess.PIPE, text=True) as killed:
        half = Path(killed.stdout.readline().strip())
        folders = prepare()
        assert half.is_dir()  # of a live process, so it stays
        made = entries(cache)
        killed.send_signal(signal.SIGKILL)
    assert half.is_dir()
    assert prepare() == folders
    # The half one is gone; nothing was made again but what had to be, and it all holds what it should.
    assert not list(cache.rglob(".building-*"))
    assert entries(cache) == {path: time for path, time in made.items() if path.parent != half}
    cohort = open_cohort(small_cohort)
    how = prepare_dataset(cohort, DatasetSettings(spacing=(6.0,) * 3), tmp_path / "other").preparation
    files = [*cohort.part("train"), *cohort.part("val")]
    for case in prepare_cases(files, how, cohort.table, tmp_path / "other"):
        for part in ("image", "labels"):
            np.testing.assert_array_equal(np.load(Path(folders[case.name]) / f"{part}.npy"), getattr(case, part))


def test_a_case_that_was_made_has_no_way_back(tmp_path):
    made = write_prepared(tmp_path / "a", "a", np.zeros((1, 4, 4, 4)), np.zeros((4, 4, 4)), 2)
    with pytest.raises(InputError, match="no scan grid to go back to"):
        made.give_back(made.mask)


def test_a_prepared_case_travels_without_its_voxels(copied, tmp_path):
    case = prepare_cases(copied.cases[:1], PREPARATION, copied.table, tmp_path / "cache")[0]
    assert case.image.size > 0
    sent = pickle.dumps(case)
    assert len(sent) < 1000
    assert np.array_equal(pickle.loads(sent).labels, case.labels)


def test_the_fitting_size_holds_every_brain(copied, tmp_path):
    size = fitting_size(copied.cases, PREPARATION, tmp_path)
    assert size[0] % 16 == size[1] % 16 == 0
    assert all(edge * 6.0 >= 0.8 * n * 3.0 for edge, n in zip(size, (30, 34, 22), strict=True))


def test_planes_of_a_scan_in_mni_space_know_their_height(phantom, tmp_path):
    """On a grid of the network that is coarser than the scan's; in another space nobody knows."""
    cohort = open_cohort(phantom)
    [other] = prepare_cases(cohort.cases[:1], PREPARATION, cohort.table, tmp_path / "cache")
    assert other.mni_heights is None
    root = shutil.copytree(phantom, tmp_path / "cohort")
    for path in open_cohort(root).cases[0].parts.values():
        volume = read_volume(path)
        write_volume(path, volume.data, volume.affine, in_mni=True)
    [case] = prepare_cases(open_cohort(root).cases[:1], PREPARATION, cohort.table, tmp_path / "cache")
    heights = case.mni_heights
    assert len(heights) == case.labels.shape[0]
    assert np.diff(heights) == pytest.approx(6.0)
    lesion = read_volume(open_cohort(root).cases[0].mask)
    middle = lesion.affine @ [*np.argwhere(lesion.data > 0).mean(axis=0), 1.0]
    assert np.average(heights, weights=case.mask.sum((1, 2))) == pytest.approx(middle[2], abs=3.0)
    back, affine = case.give_back(case.mask.astype(np.float32))
    assert back.shape == lesion.data.shape
    assert np.allclose(affine, lesion.affine)
