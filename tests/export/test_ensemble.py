"""Several trainings as one file that averages their probabilities."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.train.record import Record
from strokereg.core.train.validation import THRESHOLDS
from strokereg.export.ensemble import Ensemble, check_members
from strokereg.export.files import read_bundle
from strokereg.export.run import export
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
    check_members([record, record], ["a", "b"])
