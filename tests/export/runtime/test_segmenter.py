"""The torch-free runtime against the training side, scan by scan."""

import json
import os
import subprocess
import sys

import nibabel as nib
import numpy as np
import onnx
import pytest

from strokereg.core.cohort.case import Case
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.scan.postprocess import postprocess
from strokereg.core.train.prepared import prepare_image
from strokereg.core.train.runs import load_model
from strokereg.core.train.validation import predict
from strokereg.export.metadata import KEY
from strokereg.export.run import export
from strokereg.export.runtime.segmenter import load
from strokereg.registry.errors import InputError, OutputFailed


@pytest.fixture(scope="module")
def segmenter(exported):
    return load(exported["onnx"])


@pytest.fixture
def scan(phantom):
    return phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz"


@pytest.fixture(scope="module")
def torch_mask(unet_run):
    """The mask of a scan by the way of the study: prepared, predicted and decided with torch."""
    record, model = load_model(unet_run)

    def mask(path) -> np.ndarray:
        volume = read_volume(path)
        image, frame = prepare_image(Case("scan", {"dwi": volume}, None, None), record.preparation)
        return postprocess(
            frame.back(predict(model, image, record.problem.size)), record.postprocessing, volume.voxel_ml
        )

    return mask


def check_against_torch(segmenter, torch_mask, source, change, tmp_path):
    volume = read_volume(source)
    data, affine = change(volume.data, volume.affine)
    path = write_volume(tmp_path / "scan.nii.gz", np.ascontiguousarray(data), affine)
    found = segmenter.segment(path, out=tmp_path / "mask.nii.gz")
    written, given = nib.load(tmp_path / "mask.nii.gz"), nib.load(path)
    assert written.shape == given.shape
    assert np.array_equal(written.affine, given.affine)
    assert written.get_data_dtype() == np.uint8
    mask = np.asarray(written.dataobj)
    assert np.array_equal(mask > 0, found.mask)
    assert (found.mask == torch_mask(path)).mean() >= 0.9999
    return found


@pytest.mark.parametrize("name", ["same", "flipped", "permuted", "oblique", "anisotropic"])
def test_masks_equal_torch_on_the_scan_grid(segmenter, torch_mask, scan, tmp_path, copies, name):
    found = check_against_torch(segmenter, torch_mask, scan, copies[name], tmp_path)
    assert 0.5 < found.volume_ml < 60.0
    assert found.lesions >= 1
    assert found.probability.shape == found.mask.shape


def test_flipping_the_scan_flips_the_mask(segmenter, scan, tmp_path, copies):
    volume = read_volume(scan)
    path = write_volume(tmp_path / "flipped.nii.gz", *copies["flipped"](volume.data, volume.affine))
    plain, turned = segmenter.segment(scan).mask, segmenter.segment(path).mask
    assert np.array_equal(turned[::-1, :, ::-1], plain)


@pytest.mark.parametrize("name", ["same", "flipped", "oblique", "anisotropic"])
def test_the_real_case_equals_torch(segmenter, torch_mask, real_data, tmp_path, copies, name):
    (source,) = real_data.glob("isles22/rawdata/*/*/*_dwi.nii.gz")
    found = check_against_torch(segmenter, torch_mask, source, copies[name], tmp_path)
    assert found.volume_ml > 0.0


def test_volume_and_lesions_are_those_of_the_mask(segmenter, scan):
    found = segmenter.segment(scan)
    assert found.volume_ml == pytest.approx(found.mask.sum() * 0.027)
    assert found.postprocessing == segmenter.bundle.postprocessing
    assert found.path is None


def test_a_threshold_can_be_given(segmenter, scan):
    low, high = (segmenter.segment(scan, threshold=t) for t in (0.05, 0.95))
    assert low.volume_ml > high.volume_ml
    assert (low.postprocessing.threshold, low.postprocessing.smallest_ml) == (0.05, 0.1)
    with pytest.raises(InputError, match=r"threshold 1\.5: is no probability"):
        segmenter.segment(scan, threshold=1.5)


def test_nothing_imports_torch(exported, scan, tmp_path):
    """With nothing but what docs/how-to/segment-scans.md lists for it, the runtime and the command work."""
    words = list(map(str, ("segment", scan, "--model", exported["onnx"], "--out", tmp_path / "m.nii.gz")))
    code = (
        "import sys\n"
        "absent = 'torch onnx pluggy filelock jinja2 PIL skimage sklearn rich timm monai'\n"
        "sys.modules.update(dict.fromkeys(absent.split()))\n"
        "from strokereg.export.runtime.segmenter import load\n"
        f"print(load({str(exported['onnx'])!r}).segment({str(scan)!r}).lesions)\n"
        "from strokereg.cli.main import main\n"
        f"sys.exit(main({words}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "m.nii.gz").is_file()


def test_the_loaded_api_is_the_runtime(exported, scan):
    import strokereg

    assert strokereg.load(exported["onnx"]).segment(scan).lesions >= 1


@pytest.fixture(scope="module")
def two_channels(make_run, tmp_path_factory):
    run = make_run("unet", channels=("dwi", "adc"), widths=[4, 8])
    return load(export(run, out=tmp_path_factory.mktemp("two"))[0])


def test_two_channels_by_order_or_by_name(two_channels, scan):
    adc = scan.with_name("sub-01_adc.nii.gz")
    by_order = two_channels.segment([scan, adc]).probability
    by_name = two_channels.segment({"adc": adc, "dwi": scan}).probability
    assert np.array_equal(by_order, by_name)
    assert not np.array_equal(by_order, two_channels.segment({"dwi": scan, "adc": scan}).probability)


def test_the_wrong_number_of_images(two_channels, segmenter, scan):
    with pytest.raises(InputError, match=r"unet\.onnx: takes 2 images \(dwi and adc\), got 1; give one file for each"):
        two_channels.segment(scan)
    with pytest.raises(InputError, match=r"unet\.onnx: takes 1 image \(dwi\), got 2"):
        segmenter.segment([scan, scan])
    with pytest.raises(InputError, match=r"unet\.onnx: takes dwi, not adc; leave adc out"):
        segmenter.segment({"dwi": scan, "adc": scan})


def test_channels_on_different_grids(two_channels, scan, tmp_path):
    volume = read_volume(scan)
    other = write_volume(tmp_path / "adc.nii.gz", volume.data[:-1], volume.affine)
    with pytest.raises(InputError, match="lies on another grid"):
        two_channels.segment([scan, other])


def bad_scan(kind, scan, folder):
    volume = read_volume(scan)
    path = folder / f"{kind}.nii.gz"
    if kind == "missing":
        return path
    if kind == "truncated":
        path.write_bytes(scan.read_bytes()[: scan.stat().st_size // 2])
    elif kind == "text":
        path.write_text("not an image")
    else:
        data = np.stack([volume.data] * 3, -1) if kind == "four" else np.zeros_like(volume.data)
        nib.save(nib.Nifti1Image(data, volume.affine), path)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file"),
        ("truncated", "damaged or truncated"),
        ("text", "missing.nii.gz|not a NIfTI|damaged"),
        ("four", "a 3D volume is needed"),
        ("empty", "holds no positive voxels"),
    ],
)
def test_bad_scans_are_refused_and_nothing_is_written(segmenter, scan, tmp_path, kind, message):
    path = bad_scan(kind, scan, tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message) as refused:
        segmenter.segment(path, out=tmp_path / "out.nii.gz")
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("shape", [(5, 4, 1), (9, 40, 2)])
def test_scans_smaller_than_the_network_looks_at(segmenter, scan, tmp_path, shape):
    volume = read_volume(scan)
    start = [(whole - edge) // 2 for whole, edge in zip(volume.data.shape, shape, strict=True)]
    box = tuple(slice(max(low, 0), max(low, 0) + edge) for low, edge in zip(start, shape, strict=True))
    part = np.resize(volume.data[box], shape).astype(np.float32)
    for kind in (np.float32, np.float64, np.uint16):
        nib.save(nib.Nifti1Image(part.astype(kind), volume.affine), tmp_path / "small.nii.gz")
        assert segmenter.segment(tmp_path / "small.nii.gz").mask.shape == shape


def test_outputs_that_cannot_be(segmenter, scan, tmp_path, monkeypatch):
    own = tmp_path / "own.nii.gz"
    own.write_bytes(scan.read_bytes())
    link = tmp_path / "link.nii.gz"
    link.symlink_to(own)
    (tmp_path / "folder.nii.gz").mkdir()
    for out, message in [
        (own, "is an input too and would be overwritten"),
        (link, "is an input too and would be overwritten"),
        (tmp_path / "no" / "mask.nii.gz", "its folder does not exist"),
        (tmp_path / "mask.png", r"must end in \.nii or \.nii\.gz"),
        (tmp_path / "folder.nii.gz", "cannot be written"),
    ]:
        with pytest.raises(InputError, match=message):
            segmenter.segment(own, out=out)
    assert own.read_bytes() == scan.read_bytes()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="cannot be written; choose another folder"):
        segmenter.segment(own, out=tmp_path / "mask.nii.gz")


def test_a_full_disk_leaves_nothing_behind(segmenter, scan, tmp_path, monkeypatch):
    def full(image, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nib, "save", full)
    with pytest.raises(OutputFailed, match="No space left on device"):
        segmenter.segment(scan, out=tmp_path / "mask.nii.gz")
    assert list(tmp_path.iterdir()) == []


def changed(exported, path, change):
    model = onnx.load(exported["onnx"])
    change(model)
    onnx.save(model, path)
    return path


def test_models_that_are_not_ours(exported, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.onnx")
    text = tmp_path / "text.onnx"
    text.write_text("no protobuf")
    with pytest.raises(InputError, match="not an ONNX model, or a truncated one") as refused:
        load(text)
    assert "\n" not in str(refused.value)
    plain = changed(exported, tmp_path / "plain.onnx", lambda model: model.ClearField("metadata_props"))
    with pytest.raises(InputError, match="holds no strokereg metadata"):
        load(plain)


def test_a_model_whose_graph_or_role_does_not_fit(exported, tmp_path):
    def alter(**fields):
        def change(model):
            (entry,) = (entry for entry in model.metadata_props if entry.key == KEY)
            entry.value = json.dumps({**json.loads(entry.value), **fields})

        return change

    with pytest.raises(InputError, match=r"holds a translator \(unet\); give an exported segmenter"):
        load(changed(exported, tmp_path / "role.onnx", alter(role="translator")))
    for fields in ({"channels": ["dwi", "adc"]}, {"dims": 3}):
        with pytest.raises(InputError, match="graph does not fit its strokereg metadata"):
            load(changed(exported, tmp_path / "graph.onnx", alter(**fields)))


def test_a_model_of_a_future_opset(exported, tmp_path):
    def change(model):
        model.opset_import[0].version = 999

    with pytest.raises(InputError, match=r"future\.onnx: is of ONNX opset 999, and onnxruntime \S+ knows up to \d+"):
        load(changed(exported, tmp_path / "future.onnx", change), backend="onnxruntime")
