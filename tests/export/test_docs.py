"""The Python of the guides on segmenting runs as it stands, where torch cannot be imported."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.export.runtime.segmenter import load

GUIDES = Path(__file__).parents[2] / "docs" / "how-to"


def python_of(name: str) -> str:
    (code,) = re.findall(r"```python\n(.*?)```", (GUIDES / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    return code


OURS, ALONE = python_of("segment-scans.md"), python_of("run-without-strokereg.md")


def run(code: str, folder: Path, *without: str) -> str:
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in without)
    words = [sys.executable, "-c", f"import sys\n{blocked}{code}"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_strokereg_in_python(exported, phantom, tmp_path):
    shutil.copy(exported["onnx"], tmp_path / "unet.onnx")
    shutil.copy(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz", tmp_path / "dwi.nii.gz")
    assert re.search(r"ml in \d+ lesions, on ", run(OURS, tmp_path, "torch"))


def test_the_script_without_strokereg_has_ten_statements_of_ordinary_length():
    assert sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(ALONE))) <= 10
    assert max(map(len, ALONE.splitlines())) <= 100
    assert {alias.name for node in ast.parse(ALONE).body if isinstance(node, ast.Import) for alias in node.names} == {
        "nibabel",
        "numpy",
        "onnxruntime",
    }


@pytest.mark.parametrize("name", ["same", "flipped", "permuted", "oblique", "anisotropic"])
def test_the_script_without_strokereg_gives_the_same_mask_of_the_real_case(exported, real_data, tmp_path, copies, name):
    (source,) = real_data.glob("isles22/rawdata/*/*/*_dwi.nii.gz")
    volume = read_volume(source)
    data, affine = copies[name](volume.data, volume.affine)
    scan = write_volume(tmp_path / "dwi.nii.gz", np.ascontiguousarray(data), affine)
    shutil.copy(exported["scan"], tmp_path / "unet.scan.onnx")
    printed = run(ALONE, tmp_path, "torch", "scipy", "strokereg")
    written = nib.load(tmp_path / "lesion.nii.gz")
    found = load(exported["onnx"], "onnxruntime").segment(scan)
    assert found.mask.any()
    assert np.array_equal(np.asarray(written.dataobj), found.mask.astype(np.uint8))
    assert np.array_equal(written.affine, found.affine)
    assert printed == f"{found.volume_ml:.2f} ml\n"
