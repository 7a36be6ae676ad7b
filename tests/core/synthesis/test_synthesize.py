"""A synthetic cohort: made by the runs of a study, whole, resumable, and good for another study."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort, require_trainable
from strokereg.core.scan.nifti import read_volume
from strokereg.core.synthesis import synthesize
from strokereg.registry.errors import InputError


@pytest.fixture(scope="module")
def runs(small_study):
    """Role → run folder of the small study."""
    store = small_study.json.parent / "runs"
    return {role: next(store.glob(f"{role}-*")) for role in ("generator", "translator")}


@pytest.fixture(scope="module")
def made(runs, small_cohort, tmp_path_factory):
    return synthesize.synthesize(
        **runs, cohort=small_cohort, out=tmp_path_factory.mktemp("made") / "synthetic", count=8
    )


def voxels(root):
    return {path.relative_to(root): read_volume(path).data for path in sorted(root.rglob("*.nii.gz"))}


def test_another_study_can_be_run_on_it(made, small_cohort, run_small, tmp_path):
    cohort, ours = open_cohort(made), open_cohort(small_cohort)
    require_trainable(cohort)
    assert cohort.simulated  # no patient was scanned
    assert len(cohort.cases) == 8
    rows = [line.split("\t") for line in (made / "participants.tsv").read_text().splitlines()[1:]]
    train = {case.name for case in ours.part("train")}
    assert {row[3] for row in rows} == train  # no validation or test case gave an anatomy
    anatomy = {row[0]: row[3] for row in rows}
    parts = [{anatomy[case.subject] for case in cohort.part(part)} for part in ("train", "val", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts))  # none serves two
    finished, _ = run_small(made, tmp_path / "out", models=("carvemix",), cases=(2,), quality=False)
    assert all(arm.seeds for arm in finished.results.arms)
    assert finished.results.study.cohort.simulated


def test_every_case_says_where_it_comes_from(made, runs):
    case = open_cohort(made).cases[3]
    said = json.loads((made / case.name / "dwi" / f"{case.name}_dwi.json").read_text())["Synthesis"]
    assert said["seed"] == [0, 3]
    assert said["translator"]["run"] == runs["translator"].name
    assert len(said["generator"]["weights"]) == 16
    mask, dseg, dwi = (read_volume(path) for path in (case.mask, case.dseg, case.images["dwi"]))
    assert said["lesion_ml"] == pytest.approx(mask.data.sum() * mask.voxel_ml, abs=1e-3)
    assert ((dseg.data == 6) == (mask.data > 0)).all()
    assert (dwi.data[dseg.data == 0] == 0).all()
    assert dwi.spacing == (6.0, 6.0, 6.0)


def test_interrupted_it_goes_on_to_the_same(made, runs, small_cohort, tmp_path):
    out = tmp_path / "out"

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize.synthesize(**runs, cohort=small_cohort, out=out, count=8, on_progress=stop)
    with pytest.raises(InputError, match="not a cohort folder"):
        open_cohort(out)  # half a cohort is none
    first = next(out.rglob("sub-0001_dwi.nii.gz")).stat().st_mtime_ns
    synthesize.synthesize(**runs, cohort=small_cohort, out=out, count=8)
    assert next(out.rglob("sub-0001_dwi.nii.gz")).stat().st_mtime_ns == first
    ours, theirs = voxels(out), voxels(made)
    assert list(ours) == list(theirs)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_the_description_states_the_source_of_anatomies(made):
    (maker,) = json.loads((made / "dataset_description.json").read_text())["GeneratedBy"]
    assert maker["Settings"]["anatomies"] is maker["Settings"]["heads"] is None  # compared when called again


def test_an_edited_cohort_keeps_the_anatomies_images(made, runs, small_cohort, tmp_path):
    """Beside the translated cohort of the same seed: the same lesions, more like the scans."""
    out = synthesize.synthesize(**runs, cohort=small_cohort, out=tmp_path / "out", count=8, compose="both")
    theirs, ours = voxels(made), voxels(out)
    kinds = [line.split("\t")[5] for line in (out / "participants.tsv").read_text().splitlines()[1:]]
    assert kinds == ["translated", "edited"] * 3 + ["edited", "translated"]
    for number, kind in enumerate(kinds, 1):
        name = f"sub-{number:04d}"
        for path, data in ours.items():
            if name in path.name:
                edited = kind == "edited" and path.name.endswith("_dwi.nii.gz")
                assert np.array_equal(data, theirs[path]) != edited, path
    [maker] = json.loads((out / "dataset_description.json").read_text())["GeneratedBy"]
    assert maker["Settings"]["compose"] == "both"


def test_what_does_not_fit_is_one_sentence(made, runs, small_cohort, unet_run, phantom, tmp_path):
    def error(out=tmp_path / "out", **changes):
        with pytest.raises(InputError) as caught:
            synthesize.synthesize(**{**runs, "cohort": small_cohort, "out": out, "count": 2, **changes})
        return str(caught.value)

    swapped = {"translator": runs["generator"], "generator": runs["translator"]}
    assert "is a generator's run, not a translator's" in error(**swapped)
    assert "is a segmenter's run" in error(translator=unet_run)
    assert "--compose painted: is none of translated, edited, both" in error(compose="painted")
    assert "the label maps of --anatomies heads have none" in error(compose="edited", anatomies="heads")
    assert "not a run folder" in error(translator=tmp_path)
    assert "no split.tsv" in error(cohort=phantom)
    record = shutil.copytree(runs["generator"], tmp_path / "other") / "run.json"
    content = json.loads(record.read_text())
    content["preparation"]["spacing"] = [5.0, 5.0, 5.0]
    record.write_text(json.dumps(content))
    fault = error(generator=record.parent)
    assert f"{record.parent}: was trained with another grid" in fault
    assert fault.endswith("train both on the same cohort with the same settings")
    assert not (tmp_path / "out").exists()
    assert "was made with cases 8 instead of 2" in error(out=made)
    assert "is not empty" in error(out=phantom.parent)
