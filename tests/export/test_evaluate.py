"""Segmenters of every kind, scored on the same cases."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.split import SPLIT_FILE, Split, split_file
from strokereg.core.evaluate.metrics import score
from strokereg.core.scan.nifti import write_volume
from strokereg.core.train.record import Record
from strokereg.export.evaluate import EvaluationSettings, evaluate_segmenters
from strokereg.export.runtime.segmenter import load
from strokereg.registry.errors import InputError


@pytest.fixture(scope="module")
def masks(phantom, exported, tmp_path_factory):
    """What the exported U-Net finds in the phantom, as another tool would write it."""
    folder = tmp_path_factory.mktemp("masks") / "nnunet"
    folder.mkdir()
    segmenter = load(exported["onnx"])
    for case in open_cohort(phantom).cases:
        found = segmenter.segment({"dwi": case.images["dwi"]})
        write_volume(folder / f"{case.name}.nii.gz", found.mask.astype(np.uint8), found.affine)
    return folder


def test_a_run_its_bundles_and_its_masks_score_alike(unet_run, exported, masks, phantom, tmp_path):
    places = [unet_run, exported["onnx"], exported["torchscript"], masks]
    said, counted = [], []
    out = tmp_path / "scores"
    evaluated = evaluate_segmenters(
        places, phantom, out, on_progress=lambda *numbers: counted.append(numbers), on_warning=said.append
    )
    assert [one.kind for one in evaluated.segmenters] == ["run", "bundle", "bundle", "masks"]
    assert [one.name for one in evaluated.segmenters] == [unet_run.name, "unet.onnx", "unet.pt", "nnunet"]
    assert (evaluated.part, counted[-1]) == ("all", (3, 3))
    assert said == [f"{unet_run.name}: it was trained on these cases, so the scores are too good"]
    segmenter = load(exported["onnx"])
    for case in open_cohort(phantom).cases:
        truth = read_case(case).mask
        expected = score(segmenter.segment({"dwi": case.images["dwi"]}).mask, truth, (3.0, 3.0, 3.0))
        assert expected.dice > 0.5
        for one in evaluated.segmenters:
            assert one.cases[case.name].model_dump() == pytest.approx(expected.model_dump(), abs=0.01)
    assert evaluated.segmenters[3].cases == evaluated.segmenters[1].cases
    assert evaluated.differences[2].metrics["dice"].difference == pytest.approx(0, abs=0.01)
    assert json.loads((out / "evaluation.json").read_text())["segmenters"][3]["kind"] == "masks"
    assert len((out / "evaluation.csv").read_text().splitlines()) == 1 + 4 * 3
    with Image.open(out / "worst.png") as picture:
        assert picture.width > 6 * 30 * 3  # scan, truth and four segmenters


@pytest.fixture
def divided(phantom, unet_run, tmp_path):
    """The phantom with a split and two folds, and a run that was trained on its first fold."""
    cohort = shutil.copytree(phantom, tmp_path / "cohort")
    names = ("sub-01", "sub-02", "sub-03")
    Split(names[:1], names[1:2], names[2:]).write(cohort / SPLIT_FILE)
    Split(names[1:2], names[2:], names[:1]).write(cohort / split_file(1))
    Split(names[2:], names[:1], names[1:2]).write(cohort / split_file(2))
    run = shutil.copytree(unet_run, tmp_path / "run")
    record = Record.read(run)
    about = {**record.cohort, "path": str(cohort.resolve()), "fold": 1}
    record.model_copy(update={"cohort": about}).write(run)
    return cohort, run


def test_test_cases_are_the_default_and_a_run_brings_its_fold(divided, masks, tmp_path):
    cohort, run = divided
    assert list(evaluate_segmenters([masks], cohort, tmp_path / "a").segmenters[0].cases) == ["sub-03"]
    evaluated = evaluate_segmenters([run], cohort, tmp_path / "b")
    assert (evaluated.fold, list(evaluated.segmenters[0].cases)) == (1, ["sub-01"])
    said = []
    evaluate_segmenters([run], cohort, tmp_path / "b", EvaluationSettings("val"), on_warning=said.append)
    assert said == ["run: its weights and threshold were chosen on these cases, so the scores are too good"]
    with pytest.raises(InputError, match="was trained on fold 1 of this cohort, so it may have seen cases of fold 2"):
        evaluate_segmenters([run], cohort, tmp_path / "c", EvaluationSettings(fold=2))
    two = evaluate_segmenters([masks], cohort, tmp_path / "d", EvaluationSettings("all", cases=2))
    assert list(two.segmenters[0].cases) == ["sub-01", "sub-02"]


def test_wrong_input_is_refused_and_nothing_is_written(divided, exported, masks, make_run, phantom, tmp_path):
    cohort, _ = divided
    out = tmp_path / "out"

    def refused(*places, data=cohort, **settings) -> str:
        with pytest.raises(InputError) as error:
            evaluate_segmenters(places, data, out, EvaluationSettings(**settings))
        assert not out.exists()
        return str(error.value)

    assert "no segmenter is given" in refused()
    assert "no such file or folder; give a run, an exported file or a folder" in refused(tmp_path / "none")
    assert "is a single image; give the folder" in refused(masks / "sub-01.nii.gz")
    assert "is given twice" in refused(masks, masks)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "tasks.json").touch()
    assert "is a study; give runs of it" in refused(tmp_path / "study")
    assert "is a run of the generator mask-gan; give a segmenter" in refused(make_run("mask-gan"))
    assert "holds a whole-scan graph" in refused(exported["scan"])
    assert "--split tset: no such part (did you mean test?)" in refused(masks, part="tset")
    assert "--split test: " in refused(masks, data=phantom, part="test")
    assert "--cases 4: there are 1 cases" in refused(masks, cases=4)
    assert "no such folder" in refused(masks, data=tmp_path / "nowhere")
    (cohort / "derivatives/truth/sub-03/dwi/sub-03_desc-lesion_mask.nii.gz").unlink()
    assert "sub-03 has no lesion mask to evaluate against" in refused(masks)


def test_files_of_something_else_are_kept(masks, phantom, tmp_path):
    (tmp_path / "evaluation.csv").write_text("mine")
    said = "evaluation.csv: exists and is not an unchanged output of strokereg; move it, or choose another --out"
    with pytest.raises(InputError, match=re.escape(said)):
        evaluate_segmenters([masks], phantom, tmp_path)
    assert (tmp_path / "evaluation.csv").read_text() == "mine"
