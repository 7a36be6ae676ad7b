"""What is refused before inference, and what is warned of, with the real scans of every contrast."""

from __future__ import annotations

import shutil

import pytest

from strokereg.core.scan.appearance import appearance_of, ranges_of
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.export.metadata import KEY, parse_bundle
from strokereg.export.runtime.input_checks import check_scans
from strokereg.export.runtime.onnx_header import read_header
from strokereg.export.runtime.segmenter import load
from strokereg.registry.errors import InputError


@pytest.fixture(scope="module")
def bundle(exported):
    return parse_bundle(read_header(exported["onnx"]).metadata[KEY], "unet.onnx")


def takes(bundle, *channels, images=None):
    """The bundle with other channels, and other training data or none."""
    training = bundle.training.model_copy(update={"images": images or {}})
    return bundle.model_copy(update={"channels": channels, "training": training})


@pytest.fixture(scope="module")
def isles(real_data):
    """(case, contrast) → scan of the real ISLES'22 cases."""
    files = [*real_data.glob("isles22*/rawdata/*/*/*.nii.gz"), *real_data.glob("isles22*/derivatives/*/*/*_msk.nii.gz")]
    parts = {path: path.name.removesuffix(".nii.gz").split("_") for path in files}
    return {(name[0][-1], name[-1]): read_volume(path) for path, name in parts.items()}


def test_a_real_dwi_is_never_refused(bundle, isles):
    for case in ("2", "3", "9"):
        assert check_scans([isles[case, "dwi"]], takes(bundle, "dwi"), "m.onnx") == ()
        both = [isles[case, "dwi"], isles[case, "adc"]]
        assert check_scans(both, takes(bundle, "dwi", "adc"), "m.onnx") == ()
        check_scans([isles[case, "dwi"]], bundle, "m.onnx")  # trained on phantoms: warned of, not refused


@pytest.mark.parametrize(
    ("contrast", "channel", "message"),
    [
        (
            "adc",
            "dwi",
            r"shows bright fluid, as an ADC map in 10⁻³ mm²/s, a T2w or a b = 0 image does, but m takes dwi",
        ),
        ("adc", "FLAIR", "shows bright fluid"),
        ("dwi", "adc", "shows dark fluid, as a DWI or FLAIR does, but m takes adc; give that image, or add --force"),
        ("flair", "adc", "shows dark fluid"),
        ("msk", "dwi", r"has no value but 1 \(and 0\), as a mask"),
        ("msk", "adc", r"has no value but 1 \(and 0\), as a mask"),
    ],
)
def test_other_real_images_are_refused_by_their_voxels(bundle, isles, contrast, channel, message):
    scan = isles["9", contrast]
    with pytest.raises(InputError, match=message) as refused:
        check_scans([scan], takes(bundle, channel), "m")
    assert str(scan.path) in str(refused.value)
    assert "\n" not in str(refused.value)
    (warning, *_) = check_scans([scan], takes(bundle, channel), "m", force=True)
    assert warning.endswith("; segmented nevertheless")


def test_an_adc_in_any_unit_is_an_adc(bundle, isles):
    from dataclasses import replace

    adc = isles["9", "adc"]
    for factor, unit in ((1.0, "10⁻³ mm²/s"), (1e3, "10⁻⁶ mm²/s"), (1e-3, "mm²/s")):
        scan = replace(adc, data=adc.data * factor)
        assert check_scans([scan], takes(bundle, "adc"), "m") == ()
        with pytest.raises(InputError, match=f"as an ADC map in {unit}, a T2w"):
            check_scans([scan], takes(bundle, "dwi"), "m")
    (warning,) = check_scans([replace(adc, data=adc.data * 30)], takes(bundle, "adc"), "m")
    assert "which is brain tissue in no unit of ADC; check the map" in warning


def test_what_the_training_data_look_like_is_never_refused(bundle, isles):
    """A model trained on ADC maps under the name of DWI takes them."""
    adc = isles["9", "adc"]
    trained = {"dwi": ranges_of([appearance_of(adc)])}
    assert check_scans([adc], takes(bundle, "dwi", images=trained), "m") == ()


def test_a_scan_unlike_the_training_data_gets_a_warning(bundle, isles, phantom):
    own = read_volume(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    assert bundle.training.images["dwi"].scans == 3
    assert check_scans([own], bundle, "m") == ()
    trained = {"dwi": ranges_of(appearance_of(isles[case, "dwi"]) for case in ("2", "3", "9"))}
    flair = isles["9", "flair"]
    (warning,) = check_scans([flair], takes(bundle, "dwi", images=trained), "m")
    assert warning.startswith(f"{flair.path}: is unlike the 3 scans that were measured of the model's training data: ")
    assert "its voxels measure 0.449 × 0.449 × 5 mm, not 2 × 2 × 2 mm" in warning


def test_the_segmenter_checks_logs_and_records(exported, phantom, tmp_path, caplog):
    segmenter = load(exported["onnx"])
    mask = tmp_path / "scan.nii.gz"
    shutil.copy(next(phantom.rglob("*_mask.nii.gz")), mask)
    with pytest.raises(InputError, match=r"scan\.nii\.gz: has no value but 1 .* takes dwi; give that image, or"):
        segmenter.segment(mask, out=tmp_path / "out.nii.gz")
    assert list(tmp_path.iterdir()) == [mask]
    found = segmenter.segment(mask, force=True)
    assert "segmented nevertheless" in found.warnings[0]
    assert found.warnings[0] in caplog.text
    thick = read_volume(phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz")
    affine = thick.affine.copy()
    affine[2, 2] *= 3
    found = segmenter.segment(write_volume(tmp_path / "thick.nii.gz", thick.data, affine))
    assert "its voxels measure 3 × 3 × 9 mm, not 3 × 3 × 3 mm" in found.warnings[0]
