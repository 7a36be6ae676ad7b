"""Several trainings as one file that averages their probabilities."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.split import Split, split_file
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.train.record import Record
from strokereg.core.train.validation import THRESHOLDS, best_postprocessing, predict_case
from strokereg.export.ensemble import Ensemble, check_members
from strokereg.export.files import read_bundle
from strokereg.export.run import TrainedRun, export
from strokereg.export.runtime.segmenter import load
from strokereg.registry.errors import InputError


def test_the_mean_is_one_of_probabilities():
    class Constant(nn.Module):
        def __init__(self, logit):
            super().__init__()
            self.logit = logit

        def forward(self, image):
            return torch.full_like(image, self.logit)

    image = torch.zeros(1, 1, 2, 2)
    mean = torch.sigmoid(Ensemble([Constant(-2.0), Constant(3.0)])(image))
    expected = (torch.sigmoid(torch.tensor(-2.0)) + torch.sigmoid(torch.tensor(3.0))) / 2
    assert mean.numpy() == pytest.approx(float(expected), abs=1e-6)
    assert torch.isfinite(Ensemble([Constant(200.0), Constant(200.0)])(image)).all()


def test_the_exported_file_gives_the_mean_of_the_runs(make_run, phantom, tmp_path):
    def shake(model, record):
        generator = torch.Generator().manual_seed(len(shaken))
        shaken.append(record)
        for weights in model.parameters():
            weights.data += torch.randn(weights.shape, generator=generator)

    shaken = []
    runs = [make_run("unet", fit=shake, widths=[4, 8]) for _ in range(2)]
    singles = [load(export(run, out=tmp_path / str(number))[0]) for number, run in enumerate(runs)]
    [file] = export(runs, out=tmp_path / "both")
    assert "mean of 2 trainings" in read_bundle(file).training.cohort
    scan = open_cohort(phantom).cases[0].images["dwi"]
    found, each = load(file).segment(scan), [one.segment(scan).probability for one in singles]
    assert np.abs(each[0] - each[1]).max() > 0.05
    assert found.probability == pytest.approx(np.mean(each, axis=0), abs=1e-4)
    assert found.postprocessing.threshold in THRESHOLDS
    with pytest.raises(InputError, match="--out: an ensemble belongs to several runs; name a folder"):
        export(runs)


def test_runs_of_other_recipes_are_no_ensemble(unet_run):
    record = Record.read(unet_run)

    def refused(*others) -> str:
        with pytest.raises(InputError) as error:
            check_members([record, *others], ["a", *"bcd"[: len(others)]])
        return str(error.value)

    assert "an ensemble takes at least two" in refused()
    assert "b: is a translator, and" in refused(record.model_copy(update={"role": "translator"}))
    other = record.preparation.model_copy(update={"spacing": (2.0, 2.0, 2.0)})
    assert "b: was trained with another network grid" in refused(record.model_copy(update={"preparation": other}))
    assert "b: was trained with other validation cases than a" in refused(
        record.model_copy(update={"validation": ("x",)})
    )
    flipped = record.model_copy(update={"postprocessing": Postprocessing(flips=True)})
    assert "b: was trained with another use of --flips than a" in refused(flipped)
    check_members([record, record], ["a", "b"])


def test_folds_are_averaged_on_the_largest_grid_and_scored_on_cases_that_each_has_not_seen(make_run, phantom, tmp_path):
    """The grid follows from the training cases, so folds were refused: other grid, other validation cases."""
    cohort = shutil.copytree(phantom, tmp_path / "cohort")
    a, b, c = (case.subject for case in open_cohort(phantom).cases)
    Split((a,), (b,), (c,)).write(cohort / split_file(1))
    Split((b,), (c,), (a,)).write(cohort / split_file(2))

    def shake(model, record):
        generator = torch.Generator().manual_seed(1 + len(runs))
        for weights in model.parameters():
            weights.data += torch.randn(weights.shape, generator=generator)

    runs, own = [], []
    for fold, edge in ((1, 32), (2, 48)):
        runs.append(make_run("unet", fit=shake, widths=[4, 8]))
        record = Record.read(runs[-1])
        own.append(open_cohort(cohort, fold).part("val"))
        facts = {"name": f"cohort, fold {fold}", "path": str(cohort), "key": "k", "fold": fold, "simulated": True}
        found = {"cohort": facts, "validation": tuple(case.name for case in own[-1])}
        found["preparation"] = record.preparation.model_copy(update={"size": (edge, edge, 1)})
        found["problem"] = record.problem.model_copy(update={"size": (edge, edge)})
        record.model_copy(update=found).write(runs[-1])
    ensemble = TrainedRun.ensemble(runs)
    assert ensemble.record.preparation.size == (48, 48, 1)
    assert ensemble.record.problem.size == (48, 48)
    assert ensemble.record.cohort["name"] == "cohort, mean of 2 folds"
    alone = [TrainedRun.read(run) for run in runs]
    predicted = [
        predict_case(one.model, case, one.record.preparation, one.record.problem.size)
        for one, cases in zip(alone, own, strict=True)
        for case in cases
    ]
    assert best_postprocessing(predicted) == (ensemble.record.postprocessing, ensemble.record.validation_dice)

    bundle = read_bundle(export(runs, formats=["torchscript"], out=tmp_path / "out")[0])
    assert (bundle.training.cohort, bundle.size) == ("cohort, mean of 2 folds", (48, 48))
