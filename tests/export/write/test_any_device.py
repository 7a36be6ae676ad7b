"""Exported torch files run on another device than that of the exporting machine."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.core.train.runs import load_model
from strokereg.export.graph import graph_of, run
from strokereg.export.write import pt2_file, torchscript_file


class Positions(nn.Module):
    """What a plugin may write: constants made in forward, on the device of an input."""

    noise = 3

    def forward(self, labels, z):
        ramp = torch.arange(labels.shape[-1], device=labels.device) + torch.full((1,), 2.0, device=labels.device)
        turned = z @ torch.eye(3, device=z.device)
        return (labels[:, None] * ramp + turned.sum(1)[:, None, None, None]).float().tanh()


@pytest.fixture(params=["flow", "random-contrast", "positions"])
def graph(request, make_run):
    """Translators that make positions of the size of their input."""
    name = request.param
    small = {} if name == "random-contrast" else {"ngf": 4, "levels": 1, "sampling_steps": 2}
    record, model = load_model(make_run("flow" if name == "positions" else name, **small))
    return graph_of(Positions() if name == "positions" else model, record)


@pytest.fixture
def example(graph):
    return graph.random(2, (64, 48), np.random.RandomState(0))


def on_meta(module, inputs):
    """Runs it where no tensor of the CPU may be mixed in."""
    with torch.inference_mode():
        return module(*(torch.from_numpy(value).to("meta") for value in inputs.values()))


def moved(script):
    """The module on meta; `.to` cannot do it for parameters of TorchScript."""
    for part in script.modules():
        for name, value in (*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)):
            part._c.setattr(name, value.detach().to("meta"))
    return script


def test_torchscript(graph, example, tmp_path):
    torchscript_file.write(graph, example, tmp_path / "net.pt")
    assert on_meta(moved(torch.jit.load(tmp_path / "net.pt")), example).shape == (2, 1, 64, 48)
    other = graph.random(3, (32, 80), np.random.RandomState(1))
    np.testing.assert_allclose(torchscript_file.opened(tmp_path / "net.pt")(other), run(graph, other), atol=1e-5)


def test_pt2(graph, example, tmp_path):
    pt2_file.write(graph, example, tmp_path / "net.pt2")
    assert on_meta(torch.export.load(tmp_path / "net.pt2").module().to("meta"), example).shape == (2, 1, 64, 48)
    other = graph.random(3, (32, 80), np.random.RandomState(1))
    np.testing.assert_allclose(pt2_file.opened(tmp_path / "net.pt2")(other), run(graph, other), atol=1e-5)
    # The program that the ONNX file is made from stays as it was.
    assert not any(node.target is torch.ops.aten.to.other for node in graph.program.graph.nodes)


def test_a_generator_of_warped_masks(make_run, tmp_path):
    record, model = load_model(make_run("mask-warp", bank=4))
    graph = graph_of(model, record)
    example = graph.random(2, (), np.random.RandomState(0))
    torchscript_file.write(graph, example, tmp_path / "net.pt")
    assert on_meta(moved(torch.jit.load(tmp_path / "net.pt")), example).shape == (2, 1, 32, 32)
    pt2_file.write(graph, example, tmp_path / "net.pt2")
    assert on_meta(torch.export.load(tmp_path / "net.pt2").module().to("meta"), example).shape == (2, 1, 32, 32)
