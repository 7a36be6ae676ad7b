"""The MONAI bundle: MONAI's own tools run it where strokereg cannot be imported, and the mask is the runtime's."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings

import nibabel as nib
import numpy as np
import pytest

from strokereg.export.files import read_bundle
from strokereg.export.formats import Format
from strokereg.export.runtime.segmenter import load
from strokereg.export.targets import build

ALONE = "import sys\nfor name in ('strokereg', 'pydantic'): sys.modules[name] = None\n"


@pytest.fixture(scope="module")
def bundle(exported, tmp_path_factory):
    model = exported["torchscript"]
    return build(Format.MONAI, model, read_bundle(model), tmp_path_factory.mktemp("monai"))


def run(folder, scans, masks) -> None:
    """As a person would who has MONAI and no strokereg."""
    words = f"dataset_dir={str(scans)!r}, output_dir={str(masks)!r}, bundle_root={str(folder)!r}"
    code = f"{ALONE}import monai\nmonai.bundle.run(config_file={str(folder / 'configs/inference.json')!r}, {words})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_monai_loads_the_network_with_its_metadata(bundle):
    import monai.bundle

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network, metadata, _ = monai.bundle.load(
            bundle.name, bundle_dir=str(bundle.parent), load_ts_module=True, device="cpu", source="github"
        )
    assert next(network.parameters()).device.type == "cpu"
    assert metadata["network_data_format"]["outputs"]["probability"]["value_range"] == [0, 1]
    parser = monai.bundle.ConfigParser()
    parser.read_config(bundle / "configs" / "inference.json")
    parser.read_meta(bundle / "configs" / "metadata.json")
    assert parser.get("_meta_")["channels"] == ["dwi"]
    assert "Not a medical device" in parser.get("_meta_")["intended_use"]
    assert parser.get_parsed_content("preprocessing").transforms
    assert read_bundle(bundle).role == "segmenter"


@pytest.mark.slow
def test_monai_runs_it_on_the_real_case_and_another_orientation(bundle, exported, phantom, real_data, tmp_path):
    (real,) = real_data.glob("isles22/rawdata/*/*/*_dwi.nii.gz")
    scans = tmp_path / "scans"
    scans.mkdir()
    shutil.copy(real, scans / "real_dwi.nii.gz")
    turned = nib.load(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz").as_reoriented(
        nib.orientations.axcodes2ornt("PSL")
    )
    nib.save(turned, scans / "turned_dwi.nii.gz")
    run(bundle, scans, tmp_path / "masks")
    ours = load(exported["onnx"], "onnxruntime")
    for name in ("real", "turned"):
        scan = scans / f"{name}_dwi.nii.gz"
        written = nib.load(tmp_path / "masks" / f"{name}_dwi_desc-lesion_mask.nii.gz")
        found = ours.segment(scan)
        assert found.mask.any()
        assert np.allclose(written.affine, found.affine)
        assert (np.asarray(written.dataobj).astype(bool) == found.mask).mean() >= 0.9999
        assert written.get_data_dtype() == np.uint8


@pytest.mark.slow
def test_two_channels_in_3d(deep, phantom, tmp_path):
    place = build(Format.MONAI, deep["torchscript"], read_bundle(deep["torchscript"]), tmp_path)
    run(place, phantom / "sub-02" / "dwi", tmp_path / "masks")
    (mask,) = (tmp_path / "masks").iterdir()
    scans = [phantom / "sub-02" / "dwi" / f"sub-02_{channel}.nii.gz" for channel in ("dwi", "adc")]
    found = load(deep["onnx"], "onnxruntime").segment(scans)
    assert 0 < found.mask.mean() < 0.5
    assert (np.asarray(nib.load(mask).dataobj).astype(bool) == found.mask).mean() >= 0.9999
