"""Exported files: what they compute, their metadata, and what they do not contain."""

import zipfile

import pytest
from torch import nn

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.train.record import Record
from strokereg.core.train.runs import load_model
from strokereg.export.exporter import ExportData, ExportSettings, export_model
from strokereg.export.files import read_bundle
from strokereg.export.samples import samples_of
from strokereg.export.write import onnx_file
from strokereg.registry.errors import InputError, RunFailed


@pytest.fixture(scope="module")
def trained(unet_run, phantom):
    record, model = load_model(unet_run)
    return record, model, samples_of(record, open_cohort(phantom))


@pytest.mark.parametrize("name", ["onnx", "torchscript", "pt2"])
def test_every_format_carries_the_same_metadata(exported, unet_run, name):
    record, bundle = Record.read(unet_run), read_bundle(exported[name])
    assert (bundle.role, bundle.architecture, bundle.dims) == ("segmenter", "unet", 2)
    assert bundle.channels == ("dwi",)
    assert bundle.labels[-1] == "lesion"
    assert bundle.preparation == record.preparation
    assert bundle.postprocessing == record.postprocessing
    assert bundle.training.cohort == "phantom"
    assert bundle.training.simulated is True
    assert bundle.licence == "Apache-2.0"
    assert bundle.axes == "RAS canonical, arrays [Z, Y, X]"
    assert bundle.parity.largest_difference <= 1e-4
    assert bundle.parity.agreeing_voxels >= 0.9999
    assert bundle.parity.cases == 2


def test_files_contain_nothing_of_the_machine(exported, unet_run, phantom):
    with zipfile.ZipFile(exported["pt2"]) as archive:
        inside = b"".join(archive.read(name) for name in archive.namelist())
    content = exported["onnx"].read_bytes() + inside
    for word in (b"stack_trace", b"site-packages", str(unet_run).encode(), str(phantom).encode(), b".py"):
        assert word not in content


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
    ("network", "message"),
    [(Restless(), "is not the trained network: largest difference 0"), (Branching(), "cannot be exported to onnx")],
)
def test_a_failed_export_says_why_and_leaves_nothing(trained, tmp_path, network, message):
    record, _, samples = trained
    with pytest.raises(RunFailed, match=message) as failed:
        export_model(network, record, tmp_path, data=ExportData(samples))
    assert "\n" not in str(failed.value)
    assert list(tmp_path.iterdir()) == []


def test_one_failing_format_keeps_the_others_back(trained, tmp_path, monkeypatch):
    record, model, samples = trained

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
