"""The graph of a whole scan does what the runtime does, whatever the scan and the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from strokereg.core.scan.nifti import Volume, read_volume
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.export.verify.random_scans import feeds, random_scans


@pytest.fixture
def scan(phantom):
    return [read_volume(phantom / "sub-02" / "dwi" / "sub-02_dwi.nii.gz")]


def check(made, scans, smallest_share=0.02):
    found, probability, mask = made.both(scans)
    np.testing.assert_allclose(probability, found.probability, atol=2e-6)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask.astype(bool), found.mask)
    assert smallest_share < found.mask.mean() < 0.95  # or nothing was compared
    return found


def test_every_grid(make, scan, copies):
    made = make(spacing=(2.5, 3.0, 4.0), postprocessing=Postprocessing(threshold=0.55, smallest_ml=0.3))
    cut = {"cropped": lambda data, affine: (data[9:-8, 6:-5, 4:-3], affine)}  # brain on the edge of the scan
    for name, copy in (copies | cut).items():
        data, affine = copy(scan[0].data, scan[0].affine)
        check(made, [Volume(np.ascontiguousarray(data), affine, Path(name))])


@pytest.mark.parametrize(
    ("scaling", "interpolation"), [("zscore", "linear"), ("percentile", "cubic"), ("median", "cubic")]
)
@pytest.mark.parametrize("spacing", [(4.5, 3.0, 2.0), (2.0, 2.0, 2.0)])
def test_other_scalings_and_splines(make, scan, scaling, interpolation, spacing):
    check(make(spacing=spacing, scaling=scaling, interpolation=interpolation), scan)


@pytest.mark.parametrize("flips", [False, True])
@pytest.mark.parametrize(("dims", "size"), [(2, (16, 24)), (3, (16, 16, 8)), (2, (64, 64)), (3, (8, 64, 64))])
def test_windows_and_mirror_images(make, scan, dims, size, flips):
    made = make(dims=dims, size=size, spacing=(3.0, 2.0, 3.0), postprocessing=Postprocessing(flips=flips))
    check(made, scan)


@pytest.mark.parametrize("dims", [2, 3])
def test_two_channels_with_a_scale_each(make, phantom, dims):
    folder = phantom / "sub-01" / "dwi"
    scans = [read_volume(folder / f"sub-01_{name}.nii.gz") for name in ("dwi", "adc")]
    made = make(
        dims=dims,
        size=(16,) * dims,
        channels=("dwi", "adc"),
        postprocessing=Postprocessing(flips=True, smallest_ml=1.0),
    )
    found = check(made, scans)
    assert not np.array_equal(found.mask, check(made, scans[::-1]).mask)


def test_the_real_case(make, real_data):
    (path,) = real_data.glob("isles22/rawdata/*/*/*_dwi.nii.gz")
    made = make(size=(48, 48), postprocessing=Postprocessing(threshold=0.5, smallest_ml=0.5, flips=True))
    check(made, [read_volume(path)])


def test_drawn_scans_are_askew_and_longer_than_a_window(make):
    made = make(dims=3, size=(16, 24, 16))
    askew, long = random_scans(made.bundle)
    assert np.linalg.matrix_rank(askew[0].affine) == 4
    assert (np.abs(askew[0].affine[:3, :3]) > 0.1).sum() > 3
    assert (long[0].data > 0).any(axis=(0, 2)).sum() > 24
    for scans in (askew, long):
        check(made, scans)


def test_voxels_in_the_order_of_a_file(make, scan, copies):
    """As a program in C++ holds them: x fastest, so along the last axis."""
    made = make(spacing=(2.0, 3.0, 4.0), postprocessing=Postprocessing(smallest_ml=0.3))
    data, affine = copies["oblique"](scan[0].data, scan[0].affine)
    _, mask = made.session.run(None, {"scan": data[None], "affine": affine})
    stored = data.ravel(order="F").reshape(1, *data.shape[::-1])
    _, found = made.session.run(None, {"scan": stored, "affine": affine[:, [2, 1, 0, 3]]})
    assert 0.02 < mask.mean() < 0.95
    assert np.array_equal(found, mask.transpose())


@pytest.mark.parametrize("level", ["ORT_DISABLE_ALL", "ORT_ENABLE_BASIC"])
def test_engines_that_optimise_less(make, scan, level):
    made = make(postprocessing=Postprocessing(smallest_ml=0.3))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    session = onnxruntime.InferenceSession(made.path, options, providers=["CPUExecutionProvider"])
    assert np.array_equal(session.run(["mask"], feeds(scan))[0], made.both(scan)[2])


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda data, affine: (np.minimum(data, 0.0), affine), "dwi_holds_no_positive_voxels"),
        (lambda data, affine: (np.where(data > 0, data, np.inf), affine), "the_scan_holds_NaN_or_infinite_voxels"),
        (lambda data, affine: (np.where(data > 0, data, np.nan), affine), "the_scan_holds_NaN_or_infinite_voxels"),
        (lambda data, affine: (data, np.zeros((4, 4))), "the_affine_cannot_be_inverted"),
        (lambda data, affine: (1.0 * (data > 0), affine), "dwi_has_one_intensity_almost_everywhere"),
    ],
)
def test_what_the_runtime_refuses_stops_with_its_name(make, scan, change, name):
    made = make(scaling="zscore")
    data, affine = change(scan[0].data, scan[0].affine)
    with pytest.raises(Exception, match=f"Name:'{name}'"):
        made.session.run(None, {"scan": data.astype(np.float32)[None], "affine": affine})


def test_the_graph_is_plain_onnx_with_its_rule_in_sight(make):
    made = make(postprocessing=Postprocessing(threshold=0.35, smallest_ml=0.2))
    model = onnx.load(made.path)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 20)]
    assert not model.functions
    named = {entry.name: onnx.numpy_helper.to_array(entry) for entry in model.graph.initializer}
    assert named["threshold"] == np.float32(0.35)
    assert named["smallest_ml"] == pytest.approx(0.2, rel=1e-5)
    assert named["spacing"].tolist() == [3.0, 3.0, 3.0]
