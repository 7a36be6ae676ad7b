"""A file is checked against its network's answers, which it carries."""

import json

import numpy as np
import onnx
import pytest

from strokereg.export.check import check_export
from strokereg.export.metadata import KEY
from strokereg.registry.errors import InputError, RunFailed


def alter(source, out, change):
    model = onnx.load(source)
    change(model)
    onnx.save(model, out)
    return out


def metadata(model):
    (entry,) = (entry for entry in model.metadata_props if entry.key == KEY)
    return entry


@pytest.mark.parametrize("name", ["onnx", "torchscript", "pt2"])
def test_without_its_run_a_file_is_compared_with_its_own_answers(exported, name):
    checked = check_export(exported[name])
    parity = checked.parity
    assert parity.largest_difference <= 1e-4
    assert parity.agreeing_voxels == 1.0
    assert checked.gate is None
    assert "its network's answers in the file" in checked.against


def test_another_network_under_the_same_metadata_is_found_out(exported, tmp_path):
    def change(model):
        weight = next(w for w in model.graph.initializer if w.name.endswith("head.bias"))
        weight.raw_data = (np.frombuffer(weight.raw_data, np.float32) + 0.5).tobytes()

    with pytest.raises(RunFailed, match="does not answer as its trained network did: largest difference 0"):
        check_export(alter(exported["onnx"], tmp_path / "other.onnx", change))


def test_a_file_of_an_older_schema_asks_for_its_run(exported, tmp_path):
    def change(model):
        content = json.loads(metadata(model).value)
        metadata(model).value = json.dumps({**content, "probe": None, "schema_version": 2})

    with pytest.raises(InputError, match="carries no answers of its network; give its run too"):
        check_export(alter(exported["onnx"], tmp_path / "old.onnx", change))
