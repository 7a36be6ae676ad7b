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

import nibabel as nib
import numpy as np
import pytest

from strokereg.api import read_folder
from strokereg.core.case import CaseFiles
from strokereg.core.cohort import open_cohort
from strokereg.core.errors import InputError
from strokereg.core.grid import Preparation
from strokereg.core.labels import LabelTable
from strokereg.core.nifti import read_volume, write_volume
from strokereg.core.prepare import clear_leftovers, content_keys, fitting_size, prepare_cases, write_prepared
from strokereg.core.ready import make_ready

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
    how = make_ready(cohort, ("dwi",), (6.0,) * 3, 2, tmp_path / "other").preparation
    files = [*cohort.part("train"), *cohort.part("val")]
    for case in prepare_cases(files, how, cohort.table, tmp_path / "other"):
        for part in ("image", "labels"):
            np.testing.assert_array_equal(np.load(Path(folders[case.name]) / f"{part}.npy"), getattr(case, part))


def turned(volume, codes):
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(volume.affine), nib.orientations.axcodes2ornt(tuple(codes))
    )
    data = nib.orientations.apply_orientation(volume.data, turn)
    return data, volume.affine @ nib.orientations.inv_ornt_aff(turn, volume.data.shape)


def oblique(volume, degrees):
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return volume.data, turn @ volume.affine


def thick(volume, times):
    """Only one slice of so many: voxels longer along the last axis."""
    return volume.data[:, :, ::times], volume.affine @ np.diag([1, 1, times, 1.0])


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda v: (v.data, v.affine), "float"),
        (lambda v: turned(v, "RAS"), "float"),
        (lambda v: turned(v, "PSR"), "float"),
        (lambda v: oblique(v, 20), "float"),
        (lambda v: thick(v, 2), "float"),
        (lambda v: (v.data[..., None], v.affine), "float"),
        (lambda v: (v.data, v.affine), "int16"),
    ],
    ids=["as it is", "flipped", "other axes", "oblique", "anisotropic", "4D of one volume", "int16 scaled"],
)
def test_the_real_case_comes_back_voxel_for_voxel(real_data, tmp_path, change, kind):
    files = read_folder(real_data / "isles22").cases[0]
    paths = {}
    for name, path in {"dwi": files.images["dwi"], "mask": files.mask}.items():
        data, affine = change(read_volume(path))
        image = nib.Nifti1Image(data, affine)
        if kind == "int16" and name == "dwi":
            image.set_data_dtype(np.int16)  # nibabel stores slope and intercept beside it
        paths[name] = tmp_path / f"{name}.nii.gz"
        nib.save(image, paths[name])
    mask = read_volume(paths["mask"])
    dseg = tmp_path / "dseg.nii.gz"
    brain = read_volume(paths["dwi"]).data > 0
    write_volume(dseg, np.where(mask.data > 0, 2, brain).astype(np.uint8), mask.affine)
    table = LabelTable(("background", "brain", "lesion"))
    turn = nib.orientations.io_orientation(mask.affine)[:, 0].astype(int)
    spacing = tuple(mask.spacing[list(turn).index(axis)] for axis in range(3))
    case = CaseFiles("sub-1", "sub-1", {"dwi": paths["dwi"]}, paths["mask"], dseg)
    prepared = prepare_cases([case], Preparation(spacing=spacing), table, tmp_path / "cache")[0]

    data, affine = pickle.loads(pickle.dumps(prepared)).give_back(prepared.mask)
    out = read_volume(write_volume(tmp_path / "out.nii.gz", (data > 0.5).astype(np.uint8), affine))
    assert np.array_equal(out.data, mask.data)
    np.testing.assert_array_equal(out.affine, read_volume(paths["dwi"]).affine)
    if mask.data.shape == (112, 112, 73):
        assert out.data.sum() * out.voxel_ml == pytest.approx(4.184, abs=1e-3)


def test_a_case_that_was_made_has_no_way_back(tmp_path):
    made = write_prepared(tmp_path / "a", "a", np.zeros((1, 4, 4, 4)), np.zeros((4, 4, 4)), 2)
    with pytest.raises(InputError, match="no grid to go back to"):
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
