"""`strokereg segment`, process start to file written, beside a MONAI script that loads, infers and saves.

The same U-Net (default widths) on the same scan and network grid: MONAI loads the TorchScript file of the same export,
resamples to 3 mm, runs its `SlidingWindowInferer` over axial slices and writes the mask on the scan's own grid. Read
the ratio: `pytest benchmarks/test_segment_command.py`; rounds are interleaved, so a busy machine hits both alike; the
processor's time is told beside the clock's.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.scan.nifti import read_volume, write_volume

_SEGMENT = [sys.executable, "-m", "strokereg", "segment"]

MONAI = """
import sys
import torch
from monai.data import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.transforms import Compose, EnsureChannelFirst, Invert, LoadImage, Orientation, SaveImage, Spacing

model, out, *scans = sys.argv[1:]
network = torch.jit.load(model).eval()
way = Compose([LoadImage(), EnsureChannelFirst(), Orientation("RAS", labels=None), Spacing((3.0, 3.0, 3.0))])
back = Invert(transform=way)
save = SaveImage(output_dir=out, output_postfix="mask", separate_folder=False, resample=False, print_log=False)
windows = SlidingWindowInferer(roi_size=(80, 80, 1), sw_batch_size=16, overlap=(0.5, 0.5, 0), mode="gaussian")
for path in scans:
    image = way(path)
    positive = image[image > 0]
    median = image[image > 0.05 * torch.quantile(positive[:: max(1, positive.numel() // 100_000)], 0.99)].median()

    def run(patches):
        return network(patches[..., 0], median.expand(len(patches), 1).as_tensor())[..., None]

    with torch.inference_mode():
        probability = windows(image[None], run)[0]
    found = MetaTensor(probability.as_tensor(), meta=image.meta, applied_operations=image.applied_operations)
    probability = back(found)
    save((probability > 0.5).to(torch.uint8))
"""


@pytest.mark.parametrize(("count", "rounds"), [(1, 5), (20, 2)], ids=["one scan", "twenty scans"])
def test_segment_beside_monai(files, scan, tmp_path, count, rounds, capsys):
    (tmp_path / "in").mkdir()
    scans = [tmp_path / "in" / f"sub-{number:02}_dwi.nii.gz" for number in range(count)]
    for link in scans:
        link.symlink_to(scan)
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    commands = {
        "strokereg": [*_SEGMENT, tmp_path / "in", "--model", files["onnx"], "--out", ours],
        "monai": [sys.executable, "-c", MONAI, files["torchscript"], theirs, *scans],
    }
    table = {"scans": count, **_compared(commands, rounds)}
    assert len(list(ours.glob("*_mask.nii.gz"))) == len(list(theirs.glob("*_mask.nii.gz"))) == count
    with capsys.disabled():
        print(f"\n{json.dumps(table, indent=2)}")


def test_the_built_in_model(scan, tmp_path, capsys):
    """Process start to mask for the built-in model, DWI and ADC of 112 × 112 × 73 voxels, on one thread."""
    words = [*_SEGMENT, scan, "--out", tmp_path / "mask.nii.gz"]
    runs = [_run(words) for _ in range(5)]
    took, busy, peak = (round(statistics.median(column), 2) for column in zip(*runs, strict=True))
    with capsys.disabled():
        print(f"\n{took} s, {busy} s of the processor, {peak:.0f} MB")


@pytest.mark.parametrize("finer", [1, 2], ids=["as it is", "at half the spacing"])
def test_segment_beside_the_graph_of_a_whole_scan(files, scan, tmp_path, finer, capsys):
    """The documentation's script that needs no strokereg, with the file of `--format scan`."""
    volume = read_volume(scan)
    data, affine = np.kron(volume.data, np.ones((finer,) * 3, np.float32)), volume.affine.copy()
    affine[:3, :3] /= finer
    write_volume(tmp_path / "dwi.nii.gz", data, affine)
    (tmp_path / "unet.scan.onnx").symlink_to(files["scan"])
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "run-without-strokereg.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    commands = {
        "strokereg": [
            *(*_SEGMENT, tmp_path / "dwi.nii.gz", "--model", files["onnx"], "--out", tmp_path / "ours.nii.gz")
        ],
        "script": [sys.executable, "-c", f"import os\nos.chdir({str(tmp_path)!r})\n{script}"],
    }
    table = {"scan": data.shape, **_compared(commands, rounds=5)}
    ours, theirs = (read_volume(tmp_path / name).data for name in ("ours.nii.gz", "lesion.nii.gz"))
    assert np.array_equal(ours, theirs)
    with capsys.disabled():
        print(f"\n{json.dumps(table, indent=2)}")


def _compared(commands: dict[str, list], rounds: int) -> dict:
    """Run commands in turn: ratios of the first one's time to the second one's, and what each took."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    busy: dict[str, list[float]] = {name: [] for name in commands}
    peak: dict[str, float] = {}
    for _ in range(rounds):
        for name, words in commands.items():
            took, computed, peak[name] = _run(words)
            seconds[name].append(took)
            busy[name].append(computed)
    first, second = commands
    ratios, by_processor = (
        [a / b for a, b in zip(taken[first], taken[second], strict=True)] for taken in (seconds, busy)
    )
    return {
        "ratio, median of rounds": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "ratios of processor time": [round(ratio, 3) for ratio in by_processor],
        "seconds": {name: round(statistics.median(values), 2) for name, values in seconds.items()},
        "peak memory, MB": {name: round(value) for name, value in peak.items()},
    }


# A process begins its life with its parent's memory in the books; a parent as small as this one does not show.
_LAUNCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(done.returncode, time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


def _run(words: list) -> tuple[float, float, float]:
    """Run to the end: seconds, seconds of the processor, and peak memory in MB."""
    launch = [sys.executable, "-c", _LAUNCH, *map(str, words)]
    done = subprocess.run(launch, capture_output=True, text=True, check=True)
    code, seconds, busy, peak = done.stdout.split()
    assert code == "0", done.stderr
    return float(seconds), float(busy), float(peak)
