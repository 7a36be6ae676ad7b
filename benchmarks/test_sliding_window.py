"""Windows over one volume by the runtime, by MONAI's `SlidingWindowInferer` and by nnU-Net's predictor.

The same U-Net (default widths), the same 48×48 windows that overlap by half with Gaussian weights, the real scan on its
3 mm grid in memory, one thread each, no mirroring; reading, preparing and writing are in `test_segment_command.py`. The
runtime goes through onnxruntime, the peers through TorchScript of the same export. nnU-Net has an environment of its
own: name its interpreter in NNUNET_PYTHON, and it answers from a process that stays. Read the ratios of interleaved
rounds: `NNUNET_PYTHON=… pytest benchmarks/test_sliding_window.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.scan.grid import Preparation, frame_of
from strokereg.core.scan.nifti import read_volume
from strokereg.core.scan.scaling import measure
from strokereg.core.scan.window import slide
from strokereg.export.runtime.session import EngineSettings, OnnxRuntime

_PATCH, _ROUNDS = (48, 48), 7

_NNUNET = """
import sys, time
from types import SimpleNamespace

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

model, image, median, out = sys.argv[1:]
torch.set_num_threads(1)
scripted = torch.jit.load(model).eval()
measured = torch.tensor([[float(median)]])


class Network(torch.nn.Module):
    def forward(self, windows):
        return scripted(windows, measured.expand(len(windows), 1))


predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
# What `manual_initialization` would take from a plan and a description of the data.
predictor.network, predictor.allowed_mirroring_axes = Network(), None
predictor.configuration_manager = SimpleNamespace(patch_size=[48, 48])
predictor.label_manager = SimpleNamespace(num_segmentation_heads=1)
volume = torch.from_numpy(np.load(image))
print("ready", flush=True)
for _ in sys.stdin:
    begun = time.perf_counter()
    found = predictor.predict_sliding_window_return_logits(volume)
    print(time.perf_counter() - begun, flush=True)
    np.save(out, found[0].float().numpy())
"""


def _nnunet_python() -> str:
    named = os.environ.get("NNUNET_PYTHON")
    if named is None and importlib.util.find_spec("nnunetv2") is None:
        pytest.skip("nnunetv2 is not installed here; name an interpreter that has it in NNUNET_PYTHON")
    return named or sys.executable


def _runtime(model: Path, image: np.ndarray, median: np.ndarray) -> Callable[[], np.ndarray]:
    session = OnnxRuntime(model, settings=EngineSettings(device="cpu", threads=1))

    def run(windows: np.ndarray) -> np.ndarray:
        return session.run({"image": windows, "median": np.broadcast_to(median, (len(windows), 1))})

    return lambda: slide(run, image, _PATCH)


def _monai(model: Path, image: np.ndarray, median: np.ndarray) -> Callable[[], np.ndarray]:
    import torch
    from monai.inferers import SlidingWindowInferer

    torch.set_num_threads(1)
    network, measured = torch.jit.load(model).eval(), torch.from_numpy(median.reshape(1, 1))
    windows = SlidingWindowInferer(roi_size=_PATCH, sw_batch_size=16, overlap=0.5, mode="gaussian")
    slices = torch.from_numpy(image.transpose(1, 0, 2, 3).copy())

    def run() -> np.ndarray:
        with torch.inference_mode():
            return windows(slices, lambda part: network(part, measured.expand(len(part), 1)))[:, 0].numpy()

    return run


def test_the_runtime_beside_monai_and_nnunet(files, scan, tmp_path, capsys):
    python = _nnunet_python()
    volume, how = read_volume(scan), Preparation()
    image, median = frame_of(volume, how).image(volume.data)[None], measure(volume, how)
    np.save(tmp_path / "image.npy", image)
    words = [python, "-c", _NNUNET, files["torchscript"], tmp_path / "image.npy", median, tmp_path / "out.npy"]
    here = {"strokereg": _runtime(files["onnx"], image, median), "monai": _monai(files["torchscript"], image, median)}
    seconds: dict[str, list[float]] = {"strokereg": [], "monai": [], "nnunet": []}
    found: dict[str, np.ndarray] = {}
    with subprocess.Popen([*map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
        while (line := peer.stdout.readline()) != "ready\n":  # nnU-Net greets first
            assert line, "nnU-Net's process ended before it was ready"
        for number in range(_ROUNDS + 1):
            for name, run in here.items():
                begun = time.perf_counter()
                found[name] = run()
                seconds[name].append(time.perf_counter() - begun)
            peer.stdin.write("\n")
            peer.stdin.flush()
            seconds["nnunet"].append(float(peer.stdout.readline()))
            if number == 0:  # engines plan and allocate in the first round
                seconds = {name: [] for name in seconds}
    found["nnunet"] = np.load(tmp_path / "out.npy")
    for name in ("monai", "nnunet"):  # their Gaussians end otherwise, and nnU-Net sums in half precision
        assert np.abs(found[name] - found["strokereg"]).mean() < 0.05 * found["strokereg"].std()
    table = {"grid": image.shape, "windows": list(_PATCH), "seconds": {}, "strokereg's time over": {}}
    for name, taken in seconds.items():
        table["seconds"][name] = round(statistics.median(taken), 3)
        ratios = sorted(a / b for a, b in zip(seconds["strokereg"], taken, strict=True))
        table["strokereg's time over"][name] = [round(value, 3) for value in ratios]
    with capsys.disabled():
        print(f"\n{json.dumps(table, indent=2)}")
