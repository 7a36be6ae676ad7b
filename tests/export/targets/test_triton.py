"""The Triton repository: parsed by Triton's own message definitions, run by onnxruntime, used over HTTP."""

from __future__ import annotations

import contextlib
import http.server
import importlib.metadata
import importlib.util
import json
import subprocess
import sys
import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import onnxruntime
import pytest
from google.protobuf import json_format, text_format

from strokereg.core.cohort.cohort import open_cohort
from strokereg.export.files import read_bundle
from strokereg.export.formats import Format, model_in
from strokereg.export.metadata import KEY, parse_bundle
from strokereg.export.run import export
from strokereg.export.runtime.segmenter import load
from strokereg.export.targets import build
from strokereg.export.verify.probe import probe_inputs


@pytest.fixture(scope="module")
def messages():
    """Triton's `model_config_pb2`, without the gRPC client around it."""
    try:
        path = importlib.metadata.distribution("tritonclient").locate_file("tritonclient/grpc/model_config_pb2.py")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("tritonclient is not installed")
    spec = importlib.util.spec_from_file_location("model_config_pb2", str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def repository(model: Path, folder: Path) -> Path:
    return build(Format.TRITON, model, read_bundle(model), folder)


def config_of(place: Path, messages):
    (path,) = place.glob("*/config.pbtxt")
    return text_format.Parse(path.read_text(encoding="utf-8"), messages.ModelConfig())


def test_the_configuration_is_tritons_and_fits_the_graph(exported, tmp_path, messages):
    place = repository(exported["onnx"], tmp_path)
    config = config_of(place, messages)
    assert (place.name, config.name, config.backend) == ("unet-triton", "unet", "onnxruntime")
    session = onnxruntime.InferenceSession(place / "unet" / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    for described, tensors in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        assert [entry.name for entry in described] == [tensor.name for tensor in tensors]
        for entry, tensor in zip(described, tensors, strict=True):
            assert entry.data_type == messages.TYPE_FP32
            assert list(entry.dims) == [edge if isinstance(edge, int) else -1 for edge in tensor.shape[1:]]
            assert not isinstance(tensor.shape[0], int)  # or the server could not batch
    assert config.max_batch_size == 64
    assert config.dynamic_batching.max_queue_delay_microseconds == 500
    assert (place / "unet" / config.output[0].label_filename).read_text() == "lesion\n"
    bundle = parse_bundle(config.parameters[KEY].string_value, place)
    assert bundle == read_bundle(exported["onnx"]) == read_bundle(place)
    inputs = probe_inputs(bundle)
    assert session.run(None, inputs)[0].shape == inputs["image"].shape


def test_text_of_any_kind_survives(exported, tmp_path, messages):
    bundle = read_bundle(exported["onnx"])
    cohort = 'Bücher "quoted" \\ back\nslash → 5 µm \t\x7f'
    strange = bundle.model_copy(update={"training": bundle.training.model_copy(update={"cohort": cohort})})
    config = config_of(build(Format.TRITON, exported["onnx"], strange, tmp_path), messages)
    assert parse_bundle(config.parameters[KEY].string_value, "here").training.cohort == cohort


@pytest.mark.slow
def test_a_translator_in_3d(make_run, tmp_path, messages):
    run = make_run("pix2pix", dims=3, ngf=4, ndf=4)
    (place,) = export(run, formats=("triton",), out=tmp_path)
    config = config_of(place, messages)
    assert [(entry.name, entry.data_type, list(entry.dims)) for entry in config.input] == [
        ("labels", messages.TYPE_INT64, [-1, -1, -1])
    ]
    assert list(config.output[0].dims) == [1, -1, -1, -1]
    assert config.max_batch_size == 4
    assert model_in(place) == place / "pix2pix" / "1" / "model.onnx"
    assert json.loads(config.parameters[KEY].string_value)["role"] == "translator"
    session = onnxruntime.InferenceSession(model_in(place), providers=["CPUExecutionProvider"])
    inputs = probe_inputs(read_bundle(place))
    assert np.isfinite(session.run(None, inputs)[0]).all()


@contextlib.contextmanager
def served(place: Path, messages):
    """Speaks as much of Triton's HTTP protocol as a client needs, from the repository's own files."""
    config = json_format.MessageToDict(config_of(place, messages), preserving_proto_field_name=True)
    session = onnxruntime.InferenceSession(model_in(place), providers=["CPUExecutionProvider"])
    header = "Inference-Header-Content-Length"

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *words) -> None:
            pass

        def answer(self, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(200)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            assert self.path == "/v2/models/unet/config"
            self.answer(json.dumps(config).encode(), {"Content-Type": "application/json"})

        def do_POST(self) -> None:
            assert self.path == "/v2/models/unet/infer"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked, raw = json.loads(body[: int(self.headers[header])]), body[int(self.headers[header]) :]
            feeds = {}
            for entry in asked["inputs"]:
                assert entry["datatype"] == "FP32"
                assert entry["shape"][0] <= config["max_batch_size"]
                size = entry["parameters"]["binary_data_size"]
                feeds[entry["name"]] = np.frombuffer(raw[:size], np.float32).reshape(entry["shape"])
                raw = raw[size:]
            assert raw == b""
            (found,) = session.run([entry["name"] for entry in asked["outputs"]], feeds)
            described = {"name": "probability", "datatype": "FP32", "shape": found.shape}
            described["parameters"] = {"binary_data_size": found.nbytes}
            head = json.dumps({"model_name": "unet", "model_version": "1", "outputs": [described]}).encode()
            self.answer(head + found.tobytes(), {header: str(len(head))})

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}/v2/models/unet"
    finally:
        running.shutdown()
        running.server_close()


@pytest.mark.parametrize("contrast", ["dwi", "FLAIR"])
def test_the_client_in_the_examples_gives_the_runtimes_mask(
    contrast, exported, flair, phantom, flair_cohort, tmp_path, messages
):
    model = {"dwi": exported, "FLAIR": flair}[contrast]["onnx"]
    scan = open_cohort({"dwi": phantom, "FLAIR": flair_cohort}[contrast]).cases[0].images[contrast]
    client = (Path(__file__).parents[3] / "examples" / "triton_client.py").read_text(encoding="utf-8")
    mask, place = tmp_path / "mask.nii.gz", repository(model, tmp_path)
    assert read_bundle(place).channels == (contrast,)
    with served(place, messages) as address:
        words = [sys.executable, "-c", f"import sys\nsys.modules['torch'] = None\n{client}", address, scan, mask]
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = load(model, "onnxruntime").segment(scan)
    assert found.mask.any()
    assert np.array_equal(np.asarray(nib.load(mask).dataobj).astype(bool), found.mask)
    assert done.stdout == f"{found.volume_ml:.2f} ml in {found.lesions} lesions\n"
