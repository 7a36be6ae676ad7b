"""Lower precisions: what is in the files, what they cost, and when they are refused."""

import numpy as np
import onnx
import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.train.runs import load_model
from strokereg.export.check import check_export
from strokereg.export.exporter import ExportData, ExportSettings, _Export
from strokereg.export.files import read_bundle
from strokereg.export.formats import Precision
from strokereg.export.run import export
from strokereg.export.runtime.segmenter import load
from strokereg.export.samples import cases_of
from strokereg.export.verify import gate as gates
from strokereg.export.write import precision
from strokereg.registry.errors import InputError, RunFailed


@pytest.fixture(scope="module")
def reduced(unet_run, tmp_path_factory):
    files = export(unet_run, out=tmp_path_factory.mktemp("reduced"), precisions=("fp32", "fp16", "int8"), force=True)
    return dict(zip(("fp32", "fp16", "int8"), files, strict=True))


def test_each_precision_is_a_file_with_its_loss(reduced):
    assert [path.name for path in reduced.values()] == ["unet.onnx", "unet.fp16.onnx", "unet.int8.onnx"]
    for name in ("fp16", "int8"):
        bundle = read_bundle(reduced[name])
        assert bundle.precision == name
        assert bundle.gate.measure == "mean Dice"
        assert bundle.gate.cases == 3
        assert bundle.gate.loss == pytest.approx(bundle.gate.full - bundle.gate.reduced)
        assert bundle.gate.full > 0.5  # the network has learnt something, so there is something to lose
        assert bundle.gate.forced == (bundle.gate.loss > 0.005)
    assert read_bundle(reduced["fp32"]).gate is None
    assert read_bundle(reduced["fp16"]).gate.loss <= 0.005
    assert read_bundle(reduced["int8"]).gate.calibrated_on == 3


def test_the_weights_are_what_the_name_says(reduced):
    kinds = {
        name: {weight.data_type for weight in onnx.load(path).graph.initializer if len(weight.dims) == 4}
        for name, path in reduced.items()
    }
    assert kinds["fp16"] == {onnx.TensorProto.FLOAT16}
    assert onnx.TensorProto.INT8 in kinds["int8"]
    assert onnx.TensorProto.FLOAT in kinds["fp32"]
    assert reduced["fp16"].stat().st_size < 0.8 * reduced["fp32"].stat().st_size


def test_they_run_like_any_other_file(reduced, phantom):
    scan = phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz"
    full = load(reduced["fp32"]).segment(scan).probability
    for name in ("fp16", "int8"):
        difference = np.abs(load(reduced[name]).segment(scan).probability - full)
        assert 0.0 < difference.mean() < 0.02


def test_check_measures_a_lower_precision_again(reduced, unet_run):
    checked = check_export(reduced["fp16"], unet_run)
    assert checked.gate.reduced == pytest.approx(read_bundle(reduced["fp16"]).gate.reduced)
    assert checked.against.startswith("its run")
    assert check_export(reduced["int8"]).parity.largest_difference > 0.0


@pytest.fixture
def work(unet_run, phantom, reduced, tmp_path):
    """A function that reduces the file in float32, as `export` would, and the export that does it."""
    record, model = load_model(unet_run)
    full = tmp_path / "unet.onnx"
    full.write_bytes(reduced["fp32"].read_bytes())

    def reduce(precision, force=False):
        data = ExportData(validation=cases_of(open_cohort(phantom), count=1))
        work = _Export(model, record, ExportSettings(force=force), data)
        work.graph.onnx = full.read_bytes()  # what `write` leaves there, near enough
        return work.reduce(full, Precision(precision))

    return reduce


def test_a_loss_above_the_gate_is_refused_with_its_numbers(work, monkeypatch):
    monkeypatch.setattr(gates, "ALLOWED_DICE", -1.0)  # no file can be that much better
    with pytest.raises(RunFailed, match=r"unet in fp16 loses 0\.\d+ \(mean Dice .* on 1 case\), allowed is -1"):
        work("fp16")


def test_what_cannot_be(unet_run, make_run, tmp_path):
    with pytest.raises(InputError, match=r"--precision int4: unknown \(did you mean int8\?\)"):
        export(unet_run, precisions=("int4",))
    with pytest.raises(InputError, match="below fp32 only ONNX is written; add --format onnx"):
        export(unet_run, formats=("pt2",), precisions=("int8",))
    with pytest.raises(InputError, match="needs training cases to find its ranges on"):
        precision.convert(tmp_path / "a.onnx", tmp_path / "b.onnx", "int8", [])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "measure"), [("pix2pix", "mean shift"), ("mask-gan", "mean Dice with the masks")])
def test_translators_and_generators_have_a_gate_too(make_run, tmp_path, name, measure):
    options = {"ngf": 4, "ndf": 4, "levels": 2} if name == "pix2pix" else {"ngf": 4, "ndf": 4}
    (file,) = export(make_run(name, **options), out=tmp_path, precisions=("int8",), force=True)
    bundle = read_bundle(file)
    assert file.name == f"{name}.int8.onnx"
    assert bundle.gate.measure.startswith(measure)


def test_bf16_is_the_same_graph_for_openvino_and_a_forced_file_says_so(work, monkeypatch):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(RunFailed, match="has no bf16"):
            work("bf16")
        return
    monkeypatch.setattr(gates, "ALLOWED_DICE", -1.0)
    file = work("bf16", force=True)
    assert load(file).provider == "OpenVINO"
    gate = read_bundle(file).gate
    assert gate.forced
    assert gate.loss <= 0.005
