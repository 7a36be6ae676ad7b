from __future__ import annotations

import math
from pathlib import Path

import pytest

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.cohort import open_cohort
from strokereg.export.run import export


def calling_a_tenth(files: CaseFiles, channels: tuple[str, ...]):
    """A function that moves a segmenter's last bias, so that it calls a tenth of a case lesion."""

    def fit(model, record) -> None:
        import torch

        from strokereg.core.cohort.case import read_case
        from strokereg.core.train.prepared import prepare_image

        image, _ = prepare_image(read_case(files, channels), record.preparation)
        batch = torch.from_numpy(image)[None] if record.problem.dims == 3 else torch.from_numpy(image).transpose(0, 1)
        with torch.no_grad():
            logits = model.eval()(batch)
            threshold = math.log(record.postprocessing.threshold / (1 - record.postprocessing.threshold))
            list(model.parameters())[-1].sub_(logits.quantile(0.9) - threshold)

    return fit


@pytest.fixture(scope="session")
def flair(make_run, flair_cohort, tmp_path_factory) -> dict[str, Path]:
    """Format → file of a U-Net that takes FLAIR, untrained, to which a tenth of a real slice is lesion."""
    files = open_cohort(flair_cohort).cases[0]
    fit = calling_a_tenth(files, ("FLAIR",))
    run = make_run("unet", fit=fit, channels=("FLAIR",), cohort=flair_cohort, widths=[4, 8])
    formats = ("onnx", "scan")
    return dict(zip(formats, export(run, formats=formats, out=tmp_path_factory.mktemp("flair")), strict=True))


@pytest.fixture(scope="session")
def deep(make_run, phantom, tmp_path_factory) -> dict[str, Path]:
    """Format → file of a 3D U-Net of two channels, untrained, to which a tenth of the phantom is lesion."""

    channels = ("dwi", "adc")
    fit = calling_a_tenth(open_cohort(phantom).cases[1], channels)
    run = make_run("unet", dims=3, fit=fit, channels=channels, widths=[4, 8])
    formats = ("onnx", "torchscript", "scan")
    files = export(run, formats=formats, out=tmp_path_factory.mktemp("deep"))
    return dict(zip(formats, files, strict=True))
