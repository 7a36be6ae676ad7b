"""SPADE's convolutions over label maps as table look-ups."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from strokereg.export.run import export
from strokereg.export.runtime.session import EngineSettings, open_file
from strokereg.export.write import label_tables
from strokereg.registry.errors import InputError


class Modulated(nn.Module):
    """Two modulations of one label map and one of its halves, with scale and shift as SPADE uses them."""

    def __init__(self, labels: int, hidden: int, bias: bool = True):
        super().__init__()
        self.labels = labels
        self.first = nn.ModuleList(nn.Conv2d(labels, hidden, 3, padding=1) for _ in range(3))
        self.second = nn.ModuleList(nn.Conv2d(hidden, 6, 3, padding=1, bias=bias) for _ in range(3))

    def forward(self, labels):
        maps = F.one_hot(labels, self.labels).movedim(-1, 1).float()
        inputs = (maps, maps, F.max_pool2d(maps, 2))
        pairs = [b(torch.relu(a(x))).chunk(2, 1) for a, b, x in zip(self.first, self.second, inputs, strict=True)]
        (scale, shift), (other, _), (coarse, _) = pairs
        return shift * (1.0 + scale) + other + F.interpolate(coarse, scale_factor=2.0)


def exported(module: nn.Module) -> onnx.ModelProto:
    free = {0: torch.export.Dim("n"), 1: 2 * torch.export.Dim("y", min=2), 2: 2 * torch.export.Dim("x", min=2)}
    example = (torch.randint(0, 2, (2, 8, 12)),)
    return torch.onnx.export(module.eval(), example, dynamic_shapes=(free,), dynamo=True, verbose=False).model_proto


def run(model: onnx.ModelProto, labels: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"labels": labels.numpy()})[0]


# Seven labels fit a code of 63 bits in one go; with twenty each row of three is counted first.
@pytest.mark.parametrize("labels", [7, 20])
def test_the_same_numbers_for_every_label_map(labels):
    torch.manual_seed(0)
    module = Modulated(labels, hidden=8)
    model = exported(module)
    assert label_tables.rewrite(model, hidden=8) == 3
    onnx.checker.check_model(model)
    assert not [node for node in model.graph.node if node.op_type in ("Relu", "Split") and "table" not in node.name]
    noisy = torch.randint(0, labels, (3, 10, 16))
    real = torch.zeros(2, 32, 24, dtype=torch.int64)
    real[:, 8:25, 5:20], real[1, 12:16, 8:12] = 3, labels - 1
    for given in (noisy, real, torch.zeros(1, 4, 4, dtype=torch.int64)):
        with torch.no_grad():
            expected = module(given).numpy()
        assert np.abs(run(model, given) - expected).max() < 1e-5


def test_what_is_no_such_chain_stays():
    few, unbiased = exported(Modulated(7, hidden=8)), exported(Modulated(7, hidden=64, bias=False))
    for model in (few, unbiased):
        before = model.SerializeToString()
        assert label_tables.rewrite(model) == 0
        assert model.SerializeToString() == before


@pytest.fixture(scope="module")
def spade(make_run, tmp_path_factory):
    """A SPADE wide enough for tables, in float32 and int8."""

    run = make_run("spade", ngf=4, ndf=4, hidden=64, noise=8)
    return export(run, out=tmp_path_factory.mktemp("spade"), precisions=("fp32", "int8"))


def test_an_exported_spade_has_tables_in_float32_only(spade):
    kinds = [{node.op_type for node in onnx.load(path).graph.node} for path in spade]
    assert "TopK" in kinds[0]
    assert "TopK" not in kinds[1]
    assert open_file(spade[0])[1].parity.largest_difference < 1e-5


def test_openvino_leaves_tables_to_onnxruntime(spade):
    """It computes whole numbers in 32 bits and would give other images."""
    pytest.importorskip("openvino")
    assert open_file(spade[0], EngineSettings(scans=100))[0].provider == "CPU"
    assert open_file(spade[1], EngineSettings(scans=100))[0].provider == "OpenVINO"
    with pytest.raises(InputError, match="operators that only onnxruntime has; leave --backend openvino out"):
        open_file(spade[0], EngineSettings("openvino"))
