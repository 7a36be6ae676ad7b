"""The gate: what is not the trained network does not get out."""

import math

import numpy as np
import pytest
from torch import nn

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.train.runs import load_model
from strokereg.export.exporter import ExportData, ExportSettings, export_model
from strokereg.export.graph import graph_of, run
from strokereg.export.metadata import Parity
from strokereg.export.samples import samples_of
from strokereg.export.verify.parity import measure
from strokereg.registry.errors import InputError, RunFailed


@pytest.fixture(scope="module")
def trained(unet_run, phantom):
    record, model = load_model(unet_run)
    return record, model, samples_of(record, open_cohort(phantom))


def test_the_graph_itself_holds(trained):
    record, model, samples = trained
    graph = graph_of(model, record)
    parity = measure(lambda inputs: run(graph, inputs), graph, model, samples, 0.4)
    assert parity.holds
    assert parity.cases == 2
    assert len(parity.shapes) >= 4
    assert {shape[0] for shape in parity.shapes} >= {1, 3}


@pytest.mark.parametrize(("shift", "held"), [(2e-5, True), (2e-4, False), (math.nan, False)])
def test_a_shifted_output_is_measured(trained, shift, held):
    record, model, samples = trained
    graph = graph_of(model, record)
    parity = measure(lambda inputs: run(graph, inputs) + np.float32(shift), graph, model, samples, 0.4)
    assert parity.holds is held
    if not math.isnan(shift):
        assert parity.largest_difference == pytest.approx(shift, rel=0.1)


def test_flipped_masks_are_counted():
    numbers = {"largest_difference": 1e-6, "cases": 1, "shapes": ()}
    assert Parity(agreeing_voxels=0.99991, **numbers).holds
    assert not Parity(agreeing_voxels=0.99989, **numbers).holds
    assert Parity(agreeing_voxels=None, **numbers).holds


class Restless(nn.Module):
    """A network with randomness that eval mode does not switch off, as in public pix2pix exports."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image):
        return self.conv(nn.functional.dropout(image, 0.3, training=True))


class Branching(nn.Module):
    """A network whose way depends on what it sees: no exporter can follow."""

    def forward(self, image):
        return image if image.sum() > 0 else -image


@pytest.mark.parametrize(
    ("network", "said"),
    [(Restless(), "is not the trained network: largest difference 0"), (Branching(), "cannot be exported to onnx")],
)
def test_a_failed_export_says_why_and_leaves_nothing(trained, tmp_path, network, said):
    record, _, samples = trained
    with pytest.raises(RunFailed, match=said) as failed:
        export_model(network, record, tmp_path, data=ExportData(samples))
    assert "\n" not in str(failed.value)
    assert list(tmp_path.iterdir()) == []


def test_one_failing_format_keeps_the_others_back(trained, tmp_path, monkeypatch):
    record, model, samples = trained
    from strokereg.export.write import onnx_file

    def broken(*_):
        raise RuntimeError("the exporter\ngave up")

    monkeypatch.setattr(onnx_file, "write", broken)
    with pytest.raises(RunFailed, match=r"unet: cannot be exported to onnx \(the exporter\)"):
        export_model(model, record, tmp_path, ExportSettings(("torchscript", "onnx")), ExportData(samples))
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_run_and_an_unwritable_folder(trained, tmp_path):
    record, model, _ = trained
    with pytest.raises(InputError, match="training is not finished"):
        export_model(model, record.model_copy(update={"done": False}), tmp_path)
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(InputError, match="file: cannot be written"):
        export_model(model, record, blocked)
