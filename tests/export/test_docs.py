"""The Python of the deployment page runs as it stands, where torch cannot be imported."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from strokereg.export.runtime import load

PAGE = Path(__file__).parents[2] / "docs" / "export-and-deploy.md"
OURS, ALONE = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


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


def test_the_script_without_strokereg_gives_the_same_mask_of_the_real_case(exported, real_data, tmp_path):
    (scan,) = real_data.glob("isles22/rawdata/*/*/*_dwi.nii.gz")
    shutil.copy(exported["onnx"], tmp_path / "unet.onnx")
    shutil.copy(scan, tmp_path / "dwi.nii.gz")
    run(ALONE, tmp_path, "torch", "strokereg")
    written = nib.load(tmp_path / "alone.nii.gz")
    found = load(exported["onnx"], "onnxruntime").segment(scan)
    assert found.mask.any()
    assert np.array_equal(np.asarray(written.dataobj) > 0, found.mask)
    assert np.array_equal(written.affine, found.affine)
