"""The range of shapes that TensorRT is built for covers what the runtime feeds."""

from __future__ import annotations

from strokereg.export.files import read_bundle
from strokereg.export.runtime.segmenter import load
from strokereg.export.runtime.window_shapes import window_shapes


def test_every_window_of_a_scan_lies_in_the_range(exported, phantom):
    segmenter = load(exported["onnx"], device="cpu")
    ranges = window_shapes(segmenter.bundle)
    assert ranges["image"][1] == (16, 1, 32, 32)
    fed, session = [], segmenter._session
    run = session.run
    session.run = lambda feeds: fed.append({name: array.shape for name, array in feeds.items()}) or run(feeds)
    segmenter.segment(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    assert fed
    for shapes in fed:
        assert shapes.keys() == ranges.keys()
        for name, shape in shapes.items():
            least, _, most = ranges[name]
            assert all(low <= edge <= high for low, edge, high in zip(least, shape, most, strict=True))


def test_the_random_inputs_of_a_check_and_larger_measurements_lie_in_it_too(exported):
    bundle = read_bundle(exported["onnx"])
    probe = (bundle.probe.batch, 1, *bundle.probe.size)
    least, _, most = window_shapes(bundle)["image"]
    assert all(low <= edge <= high for low, edge, high in zip(least, probe, most, strict=True))
    assert window_shapes(bundle, (64, 96, 128))["image"][2] == (64, 1, 96, 128)


def test_no_range_where_sizes_are_free(exported):
    assert window_shapes(read_bundle(exported["scan"])) == {}
    assert window_shapes(read_bundle(exported["onnx"]).model_copy(update={"size": ()})) == {}


def test_each_input_has_the_shape_of_its_kind(exported):
    bundle = read_bundle(exported["onnx"]).model_copy(update={"channels": ("dwi", "adc"), "noise": 8, "probe": None})
    named = bundle.model_copy(update={"inputs": dict.fromkeys(("image", "limits", "labels", "noise"), "")})
    assert {name: most for name, (_, _, most) in window_shapes(named).items()} == {
        "image": (16, 2, 32, 32),
        "limits": (16, 2, 2),
        "labels": (16, 32, 32),
        "noise": (16, 8),
    }
