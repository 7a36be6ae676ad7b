"""The page of a model file: written without its run, served to this computer, with the runtime's mask."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request

import nibabel as nib
import numpy as np
import onnx
import pytest
from onnx import TensorProto

from strokereg.export.files import read_bundle
from strokereg.export.formats import Precision
from strokereg.export.runtime.bundles import model_file
from strokereg.export.runtime.segmenter import load
from strokereg.export.runtime.session import ON_CPU, OnnxRuntime
from strokereg.export.targets import web
from strokereg.export.targets.libraries import LIBRARIES, libraries
from strokereg.export.targets.serve import PageServer, in_float32, write_page
from strokereg.registry.errors import InputError


@pytest.fixture
def no_npm(tmp_path, monkeypatch):
    folder = tmp_path / "libraries"
    folder.mkdir()
    for library in LIBRARIES:
        for name in library.files:
            (folder / name).write_text("stands in")
    monkeypatch.setattr(web, "libraries", lambda: folder)


def test_a_page_is_written_from_a_file_and_replaced_but_nothing_else_is(no_npm, exported, tmp_path):
    out = tmp_path / "site" / "page"
    assert write_page(out, exported["onnx"]) == out
    bundle = read_bundle(out / "model.onnx")
    assert list(bundle.inputs) == ["scan", "affine"]
    assert bundle.parity.holds
    (out / "stale").write_text("of an older page")
    write_page(out, exported["onnx"])
    assert not (out / "stale").exists()
    assert [path.name for path in out.parent.iterdir()] == ["page"]
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is in the way and no export of this kind"):
        write_page(other, exported["onnx"])
    for wrong in ("scan", "torchscript"):
        with pytest.raises(InputError, match=r"made from a segmenter's \.onnx file; give one of --format onnx"):
            write_page(tmp_path / "new", exported[wrong])
    assert not (tmp_path / "new").exists()


def test_half_precision_is_computed_in_float32():
    source = model_file("sim-dwi-adc")
    assert read_bundle(source).precision is Precision.FP16
    model = in_float32(onnx.load(source))
    assert all(weight.data_type != TensorProto.FLOAT16 for weight in model.graph.initializer)
    rng = np.random.default_rng(0)
    given = {
        "image": rng.uniform(100, 400, (1, 2, 32, 32)).astype(np.float32),
        "median": np.full((1, 2), 200, np.float32),
    }
    found = OnnxRuntime(model.SerializeToString(), settings=ON_CPU).run(given)
    assert np.abs(found - OnnxRuntime(source, settings=ON_CPU).run(given)).max() < 0.02


def test_a_server_answers_this_computer_with_headers_that_allow_threads(tmp_path):
    (tmp_path / "index.html").write_text("the page")
    with PageServer(tmp_path, 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(server.address) as answer:
            assert answer.read() == b"the page"
            assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
            assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{server.address}nothing")
        with pytest.raises(InputError, match=r"cannot be used .*; choose another"):
            PageServer(tmp_path, server.server_address[1])
        server.shutdown()


@pytest.mark.browser
@pytest.mark.slow
def test_the_built_in_model_in_a_browser_gives_the_runtimes_mask(page, real_data, tmp_path):
    try:
        libraries()
    except InputError as error:
        pytest.skip(str(error))
    (dwi,) = real_data.glob("isles22/rawdata/*/*/*_dwi.nii.gz")
    adc = dwi.with_name(dwi.name.replace("_dwi", "_adc"))
    with PageServer(write_page(tmp_path / "page"), 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.open(server.address)
        assert page.run("crossOriginIsolated")
        assert page.run("document.getElementById('training').textContent").startswith("The network was trained on sim")
        assert " ml in " in page.segment(dwi, adc)
        (tmp_path / "saved").mkdir()
        written = np.asarray(nib.load(page.save(tmp_path / "saved")).dataobj).astype(bool)
        elsewhere = [one for one in page.asked if not one.startswith((server.address, "blob:", "data:"))]
        assert elsewhere == []
        server.shutdown()
    found = load("sim-dwi-adc", "onnxruntime").segment({"dwi": dwi, "adc": adc})
    assert found.mask.any()
    assert 2 * (written & found.mask).sum() / (written.sum() + found.mask.sum()) > 0.98
