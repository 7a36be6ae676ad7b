"""The exported file of a whole scan: its metadata, its gate, and who refuses it."""

from __future__ import annotations

import json
import shutil

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from strokereg.cli.main import cli
from strokereg.export.bench import bench
from strokereg.export.check import check_export
from strokereg.export.files import read_bundle
from strokereg.export.metadata import KEY
from strokereg.export.run import export
from strokereg.export.runtime.segmenter import load
from strokereg.export.scan import file
from strokereg.export.verify.probe import probe_inputs
from strokereg.registry.errors import InputError, RunFailed


def test_its_metadata_say_what_goes_in_and_how_close_it_is(exported):
    bundle, network = read_bundle(exported["scan"]), read_bundle(exported["onnx"])
    assert bundle.is_scan_graph
    assert not network.is_scan_graph
    assert (list(bundle.inputs), list(bundle.output)) == (["scan", "affine"], ["probability", "mask"])
    assert bundle.postprocessing == network.postprocessing
    assert bundle.parity.largest_difference < 1e-5
    assert bundle.parity.agreeing_voxels == 1.0
    assert bundle.parity.cases == 2
    assert "onnxscript" in bundle.versions
    assert probe_inputs(bundle)["scan"].shape == (1, *bundle.probe.size)
    assert np.ptp(bundle.probe.values) > 0.1


def test_it_is_measured_again_with_its_run_and_without(exported, unet_run):
    checked = check_export(exported["scan"], unet_run)
    assert (checked.parity.holds, checked.parity.cases, checked.gate) == (True, 2, None)
    assert str(unet_run) in checked.against
    alone = check_export(exported["scan"])
    assert alone.parity.largest_difference < 1e-5
    assert "its network's answers in the file" in alone.against


def test_another_rule_under_the_same_metadata_is_found_out(exported, unet_run, tmp_path):
    model = onnx.load(exported["scan"])
    (spacing,) = (entry for entry in model.graph.initializer if entry.name == "spacing")
    spacing.CopyFrom(onnx.numpy_helper.from_array(np.array([3.0, 3.0, 4.0]), "spacing"))
    onnx.save(model, tmp_path / "other.scan.onnx")
    with pytest.raises(RunFailed, match=r"differs from 'strokereg segment': .* masks agree on 9"):
        check_export(tmp_path / "other.scan.onnx", unet_run)
    with pytest.raises(RunFailed, match="does not answer as its trained network did"):
        check_export(tmp_path / "other.scan.onnx")


def test_a_graph_that_does_otherwise_is_not_written(unet_run, tmp_path, monkeypatch, exported):
    plain = file.write

    def shifted(network, bundle, path):
        rule = bundle.postprocessing.model_copy(update={"threshold": 0.9})
        plain(exported["onnx"], bundle.model_copy(update={"postprocessing": rule}), path)

    monkeypatch.setattr(file, "write", shifted)
    monkeypatch.setattr(
        "strokereg.export.write.onnx_file.write", lambda graph, example, path: shutil.copy(exported["onnx"], path)
    )
    done = CliRunner().invoke(cli, ["export", str(unet_run), "--format", "scan", "--out", str(tmp_path)])
    assert done.exit_code != 0
    assert isinstance(done.exception, RunFailed)
    assert "allowed are 0.0001 and 99.99 % of voxels" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_commands_for_networks_say_which_file_they_want(exported, phantom):
    with pytest.raises(InputError, match=r"unet\.scan\.onnx: takes whole scans.* give the network alone"):
        load(exported["scan"])
    with pytest.raises(InputError, match="takes whole scans, and only networks are timed"):
        bench(exported["scan"])


def test_a_translator_has_no_such_graph(make_run):
    with pytest.raises(InputError, match="--format scan: the whole-scan graph segments scans, and pix2pix is a"):
        export(make_run("pix2pix", ngf=4, ndf=4), formats=("scan",))


def test_a_graph_that_is_not_the_one_of_its_metadata(exported, tmp_path):
    model = onnx.load(exported["onnx"])
    (entry,) = (entry for entry in model.metadata_props if entry.key == KEY)
    content = json.loads(entry.value) | {"inputs": file.INPUTS, "output": file.OUTPUT}
    entry.value = json.dumps(content)
    onnx.save(model, tmp_path / "odd.scan.onnx")
    with pytest.raises(InputError, match="graph does not fit its strokereg metadata"):
        check_export(tmp_path / "odd.scan.onnx")
