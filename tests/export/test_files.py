"""Exported files of every format are read and run by their ending."""

import numpy as np
import pytest

from strokereg.export.files import open_best, open_on_cpu, read_bundle
from strokereg.export.verify.probe import probe_inputs
from strokereg.registry.errors import InputError


@pytest.mark.parametrize("name", ["onnx", "torchscript", "pt2", "scan"])
def test_a_file_is_read_and_run(exported, name):
    bundle = read_bundle(exported[name])
    assert bundle.is_scan_graph == (name == "scan")
    inputs = probe_inputs(bundle)
    expected = open_on_cpu(exported[name])(inputs)
    run, engine = open_best(exported[name], bundle)
    np.testing.assert_allclose(run(inputs), expected, atol=1e-4)
    assert engine == ("torch on CPU" if name in ("torchscript", "pt2") else engine)


@pytest.mark.parametrize("name", ["x.onnx", "x.pt", "x.pt2", "x.scan.onnx"])
def test_what_cannot_be_opened(tmp_path, name):
    with pytest.raises(InputError, match=rf"{name}: no such file; give a (file|model) that 'strokereg export' wrote"):
        read_bundle(tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(InputError, match=rf"{name}: (cannot be opened|not an ONNX model)") as refused:
        read_bundle(tmp_path / name)
    assert "\n" not in str(refused.value)


def test_an_ending_of_no_format(tmp_path):
    with pytest.raises(InputError, match=r"x\.h5: not an exported model; give a file that ends in"):
        read_bundle(tmp_path / "x.h5")
