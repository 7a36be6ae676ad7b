from __future__ import annotations

import math
from pathlib import Path

import pytest

from strokereg.export.run import export


@pytest.fixture(scope="session")
def deep(make_run, phantom, tmp_path_factory) -> dict[str, Path]:
    """Format → file of a 3D U-Net of two channels, untrained, to which a tenth of the phantom is lesion."""

    def fit(model, record) -> None:
        import torch

        from strokereg.core.cohort.case import read_case
        from strokereg.core.cohort.cohort import open_cohort
        from strokereg.core.train.prepared import prepare_image

        case = read_case(open_cohort(phantom).cases[1], ("dwi", "adc"))
        image, _ = prepare_image(case, record.preparation)
        with torch.no_grad():
            logits = model.eval()(torch.from_numpy(image)[None])
            threshold = math.log(record.postprocessing.threshold / (1 - record.postprocessing.threshold))
            list(model.parameters())[-1].sub_(logits.quantile(0.9) - threshold)

    run = make_run("unet", dims=3, fit=fit, channels=("dwi", "adc"), widths=[4, 8])
    formats = ("onnx", "torchscript", "scan")
    files = export(run, formats=formats, out=tmp_path_factory.mktemp("deep"))
    return dict(zip(formats, files, strict=True))
