"""Segmenting a whole scan: the exported file on onnxruntime beside the same network in eager torch.

Read the ratio, not the milliseconds: `pytest benchmarks/test_export.py --benchmark-group-by=group`.
The scan has the grid of ISLES'22 (112 × 112 × 73 voxels of 2 mm), the U-Net its default widths; weights are untrained,
which changes no time.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from strokereg.core.cohort.case import Case
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.scan.postprocess import postprocess
from strokereg.core.train.prepared import prepare_image
from strokereg.core.train.validation import predict
from strokereg.export.exporter import export_model
from strokereg.export.runtime.segmenter import load

pytestmark = pytest.mark.benchmark(group="segment a 112x112x73 scan")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (112, 112, 73)), indexing="ij")
    brain = (x / 0.6) ** 2 + (y / 0.75) ** 2 + (z / 0.9) ** 2 < 1
    noise = np.random.default_rng(0).normal(0, 10, brain.shape)
    data = np.where(brain, 100 + noise, 0).astype(np.float32)
    return write_volume(tmp_path_factory.mktemp("scan") / "dwi.nii.gz", data, np.diag([2.0, 2.0, 2.0, 1.0]))


@pytest.fixture(scope="module")
def file(network, record, tmp_path_factory):
    return export_model(network, record, tmp_path_factory.mktemp("model"))[0]


def test_eager_torch(benchmark, network, record, scan):
    def segment():
        volume = read_volume(scan)
        image, frame = prepare_image(Case("scan", {"dwi": volume}, None, None), record.preparation)
        return postprocess(
            frame.back(predict(network, image, record.problem.size)), record.postprocessing, volume.voxel_ml
        )

    assert benchmark(segment).shape == (112, 112, 73)


def test_onnxruntime(benchmark, file, scan):
    segmenter = load(file)
    assert benchmark(lambda: segmenter.segment(scan).mask).shape == (112, 112, 73)


def test_command_from_process_start_to_written_file(benchmark, file, scan, tmp_path):
    words = [sys.executable, "-m", "strokereg", "segment", scan, "--model", file, "--out", tmp_path / "mask.nii.gz"]
    benchmark.pedantic(lambda: subprocess.run(words, check=True, capture_output=True), rounds=5)
    assert (tmp_path / "mask.nii.gz").is_file()
