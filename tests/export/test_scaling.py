"""A network that was trained on another scaling or interpolation runs so wherever its file runs."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.train.record import Record
from strokereg.core.train.runs import load_model
from strokereg.core.train.validation import predict_case
from strokereg.export.run import export
from strokereg.export.runtime.segmenter import load


@pytest.mark.parametrize(("scaling", "interpolation"), [("zscore", "cubic"), ("percentile", "linear")])
def test_the_file_scales_as_training_did(unet_run, phantom, tmp_path, scaling, interpolation):
    run = shutil.copytree(unet_run, tmp_path / "run")
    record = Record.read(run)
    how = {"scaling": scaling, "interpolation": interpolation, "spacing": (4.0, 4.0, 4.0)}
    record.model_copy(update={"preparation": record.preparation.model_copy(update=how)}).write(run)
    onnx, _ = export(run, formats=("onnx", "torchscript"))

    segmenter = load(onnx, "onnxruntime")
    assert list(segmenter.bundle.inputs) == ["image", "limits"]
    assert segmenter.bundle.preparation.scaling == scaling
    record, model = load_model(run)
    for files in open_cohort(phantom).cases:
        found = segmenter.segment(files.images["dwi"])
        evaluated = predict_case(model, files, record.preparation, record.problem.size)
        assert found.probability.max() > 0.1
        np.testing.assert_allclose(found.probability, evaluated.probability, atol=1e-4)
