"""The Python of the deployment page runs as it stands, where torch cannot be imported."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "export-and-deploy.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=["strokereg", "onnxruntime"])
def test_code_of_the_page_runs(block, exported, phantom, tmp_path):
    shutil.copy(exported["onnx"], tmp_path / "unet.onnx")
    shutil.copy(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz", tmp_path / "dwi.nii.gz")
    code = "import sys\nsys.modules['torch'] = None\n" + block
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"ml in \d+ lesions, on |\(4, 1, 64, 64\) 0.4", done.stdout)
