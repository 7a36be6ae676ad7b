"""The default U-Net as exported files, and the real scan that it is run on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> dict[str, Path]:
    """The network as ONNX and TorchScript, and the graph of a whole scan around it."""
    import torch

    from strokereg.core.grid import Preparation
    from strokereg.core.labels import TISSUES
    from strokereg.core.problem import Problem
    from strokereg.core.record import Decision, Record
    from strokereg.export.bundle import export_model
    from strokereg.registry.catalogue import build

    record = Record(
        architecture="unet",
        role="segmenter",
        problem=Problem(size=(80, 80)),
        preparation=Preparation(),
        labels=TISSUES.names,
        decision=Decision(),
        done=True,
    )
    torch.manual_seed(0)
    network = build("unet", record.problem, {}).eval()
    out = tmp_path_factory.mktemp("model")
    formats = ("onnx", "torchscript", "scan")
    return dict(zip(formats, export_model(network, record, [], out, formats), strict=True))


@pytest.fixture(scope="session")
def scan() -> Path:
    folder = Path(os.environ.get("STROKEREG_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    found = list(folder.glob("isles22/rawdata/*/*/*_dwi.nii.gz"))
    if not found:
        pytest.skip(f"the real case was not found in {folder}; set STROKEREG_TEST_DATA to its folder")
    return found[0]
