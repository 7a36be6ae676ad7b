"""The default U-Net with fresh weights, as a network and as exported files, and the real scan that it is run on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def record():
    """Of a finished run on slices of 80 × 80 at 3 mm."""
    from strokereg.core.cohort.labels import TISSUES
    from strokereg.core.scan.grid import Preparation
    from strokereg.core.scan.postprocess import Postprocessing
    from strokereg.core.train.record import Record
    from strokereg.registry.problem import Problem

    return Record(
        architecture="unet",
        role="segmenter",
        problem=Problem(size=(80, 80)),
        preparation=Preparation(),
        labels=TISSUES.names,
        postprocessing=Postprocessing(),
        done=True,
    )


@pytest.fixture(scope="session")
def network(record):
    """The network itself."""
    import torch

    from strokereg.registry.catalogue import build

    torch.manual_seed(0)
    return build("unet", record.problem, {}).eval()


@pytest.fixture(scope="session")
def files(network, record, tmp_path_factory) -> dict[str, Path]:
    """The network as ONNX and TorchScript, and the graph of a whole scan around it."""
    from strokereg.export.exporter import ExportSettings, export_model

    formats = ("onnx", "torchscript", "scan")
    out = tmp_path_factory.mktemp("model")
    return dict(zip(formats, export_model(network, record, out, ExportSettings(formats)), strict=True))


@pytest.fixture(scope="session")
def scan() -> Path:
    """The real case, or a skip."""
    folder = Path(os.environ.get("STROKEREG_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    found = list(folder.glob("isles22/rawdata/*/*/*_dwi.nii.gz"))
    if not found:
        pytest.skip(f"the real case was not found in {folder}; set STROKEREG_TEST_DATA to its folder")
    return found[0]
