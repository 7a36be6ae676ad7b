"""Models that keep weights in other files: there and complete, or refused in one sentence."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from strokereg.export.runtime.external_data import Place, check_external_data, places
from strokereg.export.runtime.session import ON_CPU, open_file
from strokereg.registry.errors import InputError


@pytest.fixture
def moved(exported, tmp_path):
    """A function that writes the U-Net with its weights in another file, and says in the model where they are."""

    def make(location: str):
        model = onnx.load(exported["onnx"])
        path = tmp_path / "deep" / "unet.onnx"
        path.parent.mkdir(exist_ok=True)
        onnx.save(model, path, save_as_external_data=True, location="unet.data", size_threshold=1024)
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                entry.value = location if entry.key == "location" else entry.value
        path.write_bytes(model.SerializeToString())
        return path

    return make


def test_weights_beside_the_model_are_used(moved, exported):
    path = moved("unet.data")
    assert {place.location for place in places(path)} == {"unet.data"}
    session, bundle = open_file(path, ON_CPU)
    assert bundle.architecture == "unet"
    assert session.provider == "CPU"
    assert places(exported["onnx"]) == []


def test_weights_that_were_left_behind(moved):
    path = moved("unet.data")
    (path.parent / "unet.data").rename(path.parent.parent / "unet.data")
    with pytest.raises(InputError, match=r"unet\.onnx: keeps weights in unet\.data, which is not beside it; copy"):
        open_file(path)


def test_weights_that_are_cut_short(moved):
    path = moved("unet.data")
    data = path.parent / "unet.data"
    data.write_bytes(data.read_bytes()[:-100])
    with pytest.raises(InputError, match="which is cut short; copy that file again"):
        open_file(path)


@pytest.mark.parametrize("location", ["../unet.data", "/etc/passwd", "a/../../unet.data"])
def test_weights_outside_the_folder_are_refused(moved, location):
    path = moved(location)
    (path.parent.parent / "unet.data").write_bytes((path.parent / "unet.data").read_bytes())
    with pytest.raises(InputError, match="outside its folder, which is not allowed"):
        open_file(path)


def test_a_link_that_leads_out_of_the_folder_is_refused(moved):
    path = moved("unet.data")
    data = path.parent / "unet.data"
    data.rename(path.parent.parent / "unet.data")
    data.symlink_to(path.parent.parent / "unet.data")
    with pytest.raises(InputError, match="outside its folder"):
        open_file(path)


def test_tensors_of_operators_and_of_inner_graphs_are_found(tmp_path):
    def outside(name):
        tensor = numpy_helper.from_array(np.ones(3, np.float32), name)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", f"{name}.data"), ("offset", "4"), ("length", "12")):
            tensor.external_data.add(key=key, value=value)
        return tensor

    inner = helper.make_graph([helper.make_node("Constant", [], ["y"], value=outside("inner"))], "branch", [], [])
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    constant = helper.make_node("Constant", [], ["z"], value=outside("constant"))
    graph = helper.make_graph([node, constant], "graph", [], [], [outside("weight")])
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    assert set(places(path)) == {Place(f"{name}.data", 4, 12) for name in ("inner", "constant", "weight")}
    with pytest.raises(InputError, match="which is not beside it"):
        check_external_data(path)


def test_a_damaged_graph_is_one_sentence(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"\x3a\x05\x2a\x03\x6a\x01\x07")
    with pytest.raises(InputError, match="its graph is damaged"):
        places(path)
