"""Exported files: what they compute, what they say, what they do not tell."""

import zipfile

import numpy as np
import onnx
import pytest
import torch

from strokereg.core.train.record import Record
from strokereg.export.check import check_export
from strokereg.export.files import read_bundle
from strokereg.export.run import export
from strokereg.export.write import onnx_file, torchscript_file
from strokereg.registry.errors import InputError, RunFailed


@pytest.mark.parametrize("name", ["onnx", "torchscript", "pt2"])
def test_every_format_carries_the_same_story(exported, unet_run, name):
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


def test_onnx_is_one_valid_file_with_free_batch_and_size(exported):
    model = onnx.load(exported["onnx"], load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    shapes = {i.name: [d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in model.graph.input}
    assert shapes == {"image": ["batch", 1, "16*height", "16*width"], "median": ["batch", 1]}
    assert model.opset_import[0].version == 20
    written = sorted(path.name for path in exported["onnx"].parent.iterdir())
    assert written == ["unet.onnx", "unet.pt", "unet.pt2", "unet.scan.onnx"]


def test_files_tell_nothing_of_the_machine(exported, unet_run, phantom):
    with zipfile.ZipFile(exported["pt2"]) as archive:
        inside = b"".join(archive.read(name) for name in archive.namelist())
    content = exported["onnx"].read_bytes() + inside
    for word in (b"stack_trace", b"site-packages", str(unet_run).encode(), str(phantom).encode(), b".py"):
        assert word not in content


def test_torchscript_and_onnx_agree_on_other_sizes(exported):
    first, second = onnx_file.opened(exported["onnx"]), torchscript_file.opened(exported["torchscript"])
    rng = np.random.default_rng(0)
    for batch, size in ((1, (16, 64)), (5, (48, 32))):
        image = rng.gamma(2.0, 50.0, (batch, 1, *size)).astype(np.float32)
        inputs = {"image": image, "median": np.full((batch, 1), 100.0, np.float32)}
        np.testing.assert_allclose(first(inputs), second(inputs), atol=1e-4)


def test_an_item_does_not_depend_on_its_batch(exported):
    run = onnx_file.opened(exported["onnx"])
    rng = np.random.default_rng(3)
    image = rng.gamma(2.0, 50.0, (4, 1, 32, 32)).astype(np.float32)
    median = rng.uniform(50.0, 200.0, (4, 1)).astype(np.float32)
    together = run({"image": image, "median": median})
    alone = run({"image": image[2:3], "median": median[2:3]})
    np.testing.assert_allclose(together[2:3], alone, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dims", "options"),
    [
        ("dynunet", 3, {"filters": 4, "residual": True}),
        ("timm-unet", 2, {"filters": 4, "encoder": "test_convnext"}),
        ("spade", 2, {"ngf": 4, "ndf": 4, "hidden": 8, "levels": 2}),
        ("mask-gan", 2, {}),
        ("mask-gan", 3, {}),
    ],
)
def test_every_role_exports_with_cases_of_its_cohort(make_run, tmp_path, name, dims, options):
    torch.manual_seed(0)
    files = export(make_run(name, dims=dims, **options), formats=("onnx", "torchscript", "pt2"), out=tmp_path)
    for file in files:
        bundle = read_bundle(file)
        assert bundle.dims == dims
        assert bundle.parity.largest_difference <= 1e-4
        assert bundle.parity.cases == (0 if name == "mask-gan" else 2)
        assert (bundle.postprocessing is None) == (bundle.role != "segmenter")


def test_a_file_can_be_measured_again(exported, unet_run):
    for file in exported.values():
        again, written = check_export(file, unet_run).parity, read_bundle(file).parity
        # Another number of threads rounds differently; the last digits are noise of noise.
        # The scan's file was written beside onnxruntime's network, and is measured again beside torch's.
        assert again.largest_difference == pytest.approx(written.largest_difference, abs=5e-6)
        assert again.model_copy(update={"largest_difference": written.largest_difference}) == written


def test_measuring_against_another_run_or_a_broken_file(exported, make_run, unet_run, tmp_path):
    other = make_run("unet", widths=[8, 16, 16])
    with pytest.raises(RunFailed, match="is not the trained network"):
        check_export(exported["onnx"], other)
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"broken\.pt: cannot be opened"):
        check_export(broken, unet_run)


def test_a_cohort_that_moved_is_asked_for(unet_run, tmp_path):
    record = Record.read(unet_run)
    for item in unet_run.iterdir():
        (tmp_path / item.name).write_bytes(item.read_bytes())
    record.model_copy(update={"cohort": {**record.cohort, "path": "/nowhere/cohort"}}).write(tmp_path)
    with pytest.raises(InputError, match=r"cohort is not where it was \(/nowhere/cohort\); give one with --data DIR"):
        export(tmp_path)
    assert not (tmp_path / "export").exists()
