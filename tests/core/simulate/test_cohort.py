import hashlib
import json

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import open_cohort, require_trainable
from strokereg.core.simulate import Simulation, simulate_cohort
from strokereg.core.simulate import cohort as module
from strokereg.core.simulate.folder import summarise
from strokereg.registry.errors import InputError


def digest(root):
    """Of the voxels of every image of a cohort."""
    found = {}
    for path in sorted(root.rglob("*.nii.gz")):
        found[str(path.relative_to(root))] = hashlib.sha256(np.asarray(nib.load(path).dataobj).tobytes()).hexdigest()
    return found


def test_it_is_a_cohort_that_a_study_can_train_on(cohort):
    opened = open_cohort(cohort)
    require_trainable(opened)
    assert opened.simulated
    assert len(opened.cases) == 10
    case = read_case(opened.cases[0], ("dwi", "adc"), opened.table)
    assert case.mask.any()
    assert (case.labels == opened.table.lesion).sum() == case.mask.sum()
    sidecar = json.loads((cohort / "sub-0001/dwi/sub-0001_dwi.json").read_text())
    assert 0.08 <= sidecar["EchoTime"] <= 0.1
    assert (cohort / "sub-0001/dwi/sub-0001_dwi.bval").read_text() == "1000\n"
    assert not list(cohort.glob(".unfinished*"))


def test_the_description_says_simulated_and_shared(cohort):
    made_by = json.loads((cohort / "dataset_description.json").read_text())["GeneratedBy"][0]
    assert made_by["Description"].startswith("Simulated, not clinical.")
    assert "share heads" in made_by["Description"]
    assert made_by["Settings"]["seed"] == 3


@pytest.mark.slow
def test_workers_change_no_voxel(cohort, tmp_path, grid):
    again = simulate_cohort(tmp_path / "again", Simulation(10, seed=3, **grid), workers=2)
    assert digest(again) == digest(cohort)
    assert (again / "split.tsv").read_text() == (cohort / "split.tsv").read_text()


def test_another_seed_gives_other_voxels(cohort, tmp_path, grid):
    other = simulate_cohort(tmp_path / "other", Simulation(5, seed=4, **grid), workers=1)
    assert not set(digest(other).values()) & set(digest(cohort).values())


def test_it_goes_on_where_it_stopped(tmp_path, grid, monkeypatch):
    out, whole = tmp_path / "out", tmp_path / "whole"

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate_cohort(out, Simulation(5, seed=1, **grid), workers=1, on_progress=stop)
    with pytest.raises(InputError, match="not a cohort folder"):
        open_cohort(out)
    made = []
    real = module.simulate_subject
    monkeypatch.setattr(module, "simulate_subject", lambda *args: made.append(1) or real(*args))
    told = []
    simulate_cohort(out, Simulation(5, seed=1, **grid), workers=1, on_progress=lambda *now: told.append(now))
    assert len(made) == 3
    assert told == [(2, 5), (3, 5), (4, 5), (5, 5)]
    simulate_cohort(whole, Simulation(5, seed=1, **grid), workers=1)
    assert digest(out) == digest(whole)


def test_a_finished_cohort_is_left_alone(cohort, grid):
    before = {path: path.stat().st_mtime_ns for path in cohort.rglob("*")}
    simulate_cohort(cohort, Simulation(10, seed=3, **grid), workers=1)
    assert {path: path.stat().st_mtime_ns for path in cohort.rglob("*")} == before


def test_folders_with_something_else_are_refused(cohort, tmp_path, grid):
    with pytest.raises(InputError, match="made with seed 3 instead of 4"):
        simulate_cohort(cohort, Simulation(10, seed=4, **grid))
    with pytest.raises(InputError, match=r"made with parts None instead of \[8, 1, 1\]"):
        simulate_cohort(cohort, Simulation(10, seed=3, parts=(8, 1, 1), **grid))
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(InputError, match="not empty and 'strokereg data simulate' did not begin it"):
        simulate_cohort(tmp_path, Simulation(5, **grid))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "dataset_description.json").write_text('{"Name": "clinic"}')
    with pytest.raises(InputError, match="did not make"):
        simulate_cohort(foreign, Simulation(5, **grid))
    assert [p.name for p in foreign.iterdir()] == ["dataset_description.json"]


def test_own_heads_and_lesions(sources, tmp_path, grid):
    heads, masks = sources
    out = simulate_cohort(tmp_path / "out", Simulation(6, labels=heads, lesions=masks, **grid), workers=1)
    rows = (out / "participants.tsv").read_text().splitlines()
    assert len(rows) == 7
    assert "head" in rows[1]
    assert "lesion" in rows[1]
    text = (out / "dataset_description.json").read_text()
    assert "No anatomy serves two parts" in text
    assert str(tmp_path) not in text  # no path of this machine


def test_masks_of_a_single_slice_are_refused(sources, tmp_path, grid):
    heads, masks = sources
    for path in masks.iterdir():
        image = nib.load(path)
        z = int(np.argwhere(image.dataobj)[:, 2].mean())
        nib.save(image.slicer[:, :, z : z + 1], path)
    with pytest.raises(InputError, match="is a single slice; give lesion masks of the whole brain"):
        simulate_cohort(tmp_path / "out", Simulation(6, labels=heads, lesions=masks, **grid), workers=1)
    assert not (tmp_path / "out").exists()


def test_an_unusable_head_leaves_nothing_behind(sources, tmp_path, grid):
    heads, masks = sources
    for path in sorted(heads.iterdir())[:4]:
        nib.save(nib.Nifti1Image(np.full((4, 4, 4), 515, np.int16), np.eye(4)), path)
    with pytest.raises(InputError, match="ml of brain tissue"):
        simulate_cohort(tmp_path / "out", Simulation(6, labels=heads, lesions=masks, **grid), workers=1)
    assert not (tmp_path / "out").exists()


def test_one_unusable_head_among_good_ones_leaves_only_foreign_files(sources, tmp_path, grid):
    heads, masks = sources
    first = module.draw_plan(6, sorted(heads.iterdir()), sorted(masks.iterdir()), 0).cases[0].anatomy
    for path in heads.iterdir():
        if path != first:
            nib.save(nib.Nifti1Image(np.full((4, 4, 4), 515, np.int16), np.eye(4)), path)
    out = tmp_path / "out"

    def put_a_file_there(done, total):
        (out / "notes.txt").write_text("mine")

    with pytest.raises(InputError, match="ml of brain tissue"):
        simulate_cohort(out, Simulation(6, labels=heads, lesions=masks, **grid), 1, put_a_file_there)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]  # the whole folder was removed once


@pytest.mark.parametrize(("seed", "workers", "fault"), [(-1, None, "--seed -1"), (0, 0, "--workers 0")])
def test_numbers_out_of_range_are_refused(tmp_path, seed, workers, fault):
    with pytest.raises(InputError, match=fault):
        simulate_cohort(tmp_path / "out", Simulation(5, seed=seed), workers)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_real_sources(real_data, tmp_path, grid):
    out = simulate_cohort(
        tmp_path / "out",
        Simulation(5, labels=real_data / "synthseg" / "label_maps", lesions=real_data / "soop" / "lesions_mni", **grid),
        workers=1,
    )
    require_trainable(open_cohort(out))
    summary = summarise(out)
    assert 1.2 < summary["median_dwi_ratio"] < 2.4
    assert summary["median_adc_ratio"] < 0.75
