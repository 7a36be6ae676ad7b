"""Every translator leaves as TorchScript, ONNX and .pt2 and stays the network that it was."""

from __future__ import annotations

import pytest
import torch

from strokereg import api
from strokereg.export.check import read_file
from strokereg.registry.catalogue import find


def lively(model, record):
    """Weights away from their start: fresh ones may be zero where it counts."""
    for p in model.parameters():
        p.data += 0.05 * torch.randn_like(p)


@pytest.mark.slow
def test_a_translator_exports(translator, dims, make_run, phantom, tmp_path):
    spec = find(translator.name).spec
    formats = [name for name in ("onnx", "torchscript") if getattr(spec, name)]
    formats += ["pt2"] if spec.onnx else []  # both go through torch.export
    run = make_run(translator.name, dims=dims, fit=lively, **translator.options)
    files = api.export(run, formats=tuple(formats), out=tmp_path)
    assert len(files) == len(formats)
    for path in files:
        parity = read_file(path).parity
        assert parity.largest_difference <= 1e-4
        assert len(parity.shapes) >= 3
