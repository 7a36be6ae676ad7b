"""The web page in a headless Chromium: the runtime's mask, and not a request to anywhere else."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.train.record import Record
from strokereg.export.files import read_bundle
from strokereg.export.formats import Format
from strokereg.export.run import export
from strokereg.export.runtime.segmenter import load
from strokereg.export.targets import build
from strokereg.export.targets.libraries import libraries
from strokereg.registry.errors import InputError

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NO_WEBGL = """const plain = HTMLCanvasElement.prototype.getContext;
HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
  return kind === "webgl2" ? null : plain.call(this, kind, ...rest);
};"""


@pytest.fixture(scope="module")
def site(exported, tmp_path_factory) -> Path:
    try:
        libraries()
    except InputError as error:
        pytest.skip(str(error))
    return build(Format.WEB, exported["scan"], read_bundle(exported["scan"]), tmp_path_factory.mktemp("site"))


@pytest.fixture
def scan(phantom) -> Path:
    return phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz"


def agreement(page, folder: Path, model: Path, *scans: Path) -> float:
    """Share of voxels where the page's saved mask is the runtime's, on the same grid with the same numbers shown."""
    folder.mkdir()
    written = nib.load(page.save(folder))
    found = load(model, "onnxruntime").segment(list(scans))
    assert found.mask.any()
    assert written.shape == found.mask.shape
    assert written.get_data_dtype() == np.uint8
    assert np.array_equal(written.affine, found.affine)
    shown = page.run("[document.getElementById('volume').value, document.getElementById('lesions').value]")
    assert float(shown[0].removesuffix(" ml")) == pytest.approx(found.volume_ml, rel=1e-3, abs=0.006)
    assert int(shown[1]) == found.lesions
    return float((np.asarray(written.dataobj).astype(bool) == found.mask).mean())


def drawn(page, folder: Path) -> tuple[bool, bool]:
    """Whether grey of a scan and red of a mask are to be seen on the canvas."""
    page.picture(folder / "page.png")
    picture = np.asarray(Image.open(folder / "page.png").convert("RGB")).astype(int)
    red, green, blue = np.moveaxis(picture[100:780, 390:1250], -1, 0)
    grey = (red == green) & (green == blue) & (red > 100)
    return bool(grey.sum() > 5000), bool(((red > 200) & (green < 150) & (abs(green - blue) < 10)).sum() > 100)


def test_the_real_case_is_segmented_and_nothing_leaves_the_machine(page, serve, site, exported, real_data, tmp_path):
    (real,) = real_data.glob("isles22/rawdata/*/*/*_dwi.nii.gz")
    server = serve(site)
    page.open(server.address)
    assert "Research use only; not a medical device." in page.run("document.body.innerText")
    assert page.run("document.getElementById('training').textContent") == "The network was trained on simulated images."
    assert "onnxruntime-web, 1 thread" in page.run("document.getElementById('about').textContent")
    assert " ml in " in page.segment(real)
    assert agreement(page, tmp_path / "saved", exported["onnx"], real) >= 0.999
    assert drawn(page, tmp_path) == (True, True)
    assert page.segment(site / "model.onnx") == "model.onnx: not a NIfTI image; give a .nii or .nii.gz file"
    assert drawn(page, tmp_path) == (False, False)  # nothing of the scan before is left
    assert page.console == []
    elsewhere = [one for one in page.asked if not one.startswith((server.address, f"blob:{server.address}", "data:"))]
    assert elsewhere == []
    assert set(server.paths) <= {"/", *(f"/{path.relative_to(site)}" for path in site.rglob("*"))}


def test_the_policy_keeps_page_and_worker_from_asking_elsewhere(page, serve, site, tmp_path):
    other = serve(tmp_path)
    page.open(serve(site).address)
    asking = f"fetch('{other.address}scan', {{mode: 'no-cors'}}).then(() => 'sent', (error) => error.name)"
    assert page.run(asking) == "TypeError"
    assert page.run_in_worker(asking) == "TypeError"
    assert other.paths == []
    assert "Content Security Policy" in " ".join(page.console)


def test_everything_is_reached_by_keyboard_and_both_colour_schemes_exist(page, serve, site, scan):
    page.open(serve(site).address)
    page.segment(scan)
    page.run("document.activeElement.blur()")
    reached = []
    for _ in range(7):
        page.press("Tab")
        reached.append(page.run("document.activeElement.id || document.activeElement.localName"))
    assert reached == ["file-dwi", "save", "slices", "convention", "opacity", "summary", "canvas"]
    backs = []
    for scheme in ("light", "dark"):
        page.page("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        backs.append(page.run("getComputedStyle(document.body).backgroundColor"))
    assert backs[0] == "rgb(255, 255, 255)"
    assert backs[1] == "rgb(20, 23, 27)"


@pytest.fixture
def plain_page(page):
    """The page as a browser without WebGL 2 shows it: no picture, and quicker."""
    script = page.page("Page.addScriptToEvaluateOnNewDocument", source=NO_WEBGL)["identifier"]
    yield page
    page.page("Page.removeScriptToEvaluateOnNewDocument", identifier=script)


def grids(volume):
    """The scan on other grids: turned, oblique, with thick slices, finer than the network's, as 16-bit numbers."""
    data, affine = volume.data, volume.affine
    turn = np.eye(4)
    turn[:3, :3] = [[0.951, -0.309, 0.0], [0.302, 0.930, -0.208], [0.064, 0.198, 0.978]]
    turn[:3, 3] = [11.0, -7.5, 30.25]
    yield "turned", np.ascontiguousarray(data[::-1].transpose(2, 0, 1)), affine[:, [2, 0, 1, 3]] @ np.eye(4)
    yield "oblique", data, turn @ affine
    yield "thick", data[:, :, ::2], affine @ np.diag([1.0, 1.0, 2.0, 1.0])
    yield "fine", data.repeat(2, axis=0).repeat(2, axis=1), affine @ np.diag([0.5, 0.5, 1.0, 1.0])
    yield "whole", data.astype(np.int16), affine


def test_any_grid_gives_the_runtimes_mask(plain_page, serve, site, exported, scan, tmp_path):
    plain_page.open(serve(site).address)
    assert "no WebGL 2" in plain_page.run("document.getElementById('status').textContent")
    for name, data, affine in grids(read_volume(scan)):
        path = write_volume(tmp_path / f"{name}_dwi.nii.gz", data, affine)
        assert " ml in " in plain_page.segment(path)
        assert agreement(plain_page, tmp_path / name, exported["onnx"], path) >= 0.9999, name


def test_bad_scans_get_a_sentence_and_the_next_one_is_taken(plain_page, serve, site, scan, tmp_path):
    plain_page.open(serve(site).address)
    volume = read_volume(scan)
    cut, text = tmp_path / "cut.nii.gz", tmp_path / "text.nii"
    cut.write_bytes(scan.read_bytes()[:3000])
    text.write_text("not an image")
    four = nib.Nifti1Image(np.stack([volume.data] * 2, axis=-1), volume.affine)
    nib.save(four, tmp_path / "four.nii")
    write_volume(tmp_path / "whole.nii", volume.data, volume.affine)
    (tmp_path / "short.nii").write_bytes((tmp_path / "whole.nii").read_bytes()[:40_000])
    write_volume(tmp_path / "empty.nii", np.zeros_like(volume.data), volume.affine)
    for name, message in {
        "cut.nii.gz": "damaged or truncated",
        "short.nii": "damaged or truncated (39648 of 89760 bytes of voxels)",
        "text.nii": "not a NIfTI image",
        "four.nii": "its shape is (30, 34, 22, 2); a 3D volume is needed",
        "empty.nii": "holds no positive voxels",
    }.items():
        shown = plain_page.segment(tmp_path / name)
        assert shown.startswith(f"{name}: ")
        assert message in shown
        assert plain_page.run("document.getElementById('save').hidden && document.getElementById('result').hidden")
    plain_page.drop(scan, tmp_path / "whole.nii")
    assert plain_page.run("document.getElementById('status').textContent").startswith("These are 2 files")
    assert " ml in " in plain_page.segment(scan)
    assert plain_page.console == []


def test_two_channels_in_3d_dropped_together_on_a_server_that_allows_threads(
    plain_page, serve, site, deep, phantom, tmp_path
):
    place = build(Format.WEB, deep["scan"], read_bundle(deep["scan"]), tmp_path)
    isolated = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
    plain_page.open(serve(place, isolated).address)
    assert plain_page.run("crossOriginIsolated")
    raw = phantom / "sub-02" / "dwi"
    dwi, adc = (raw / f"sub-02_{channel}.nii.gz" for channel in ("dwi", "adc"))
    assert " ml in " in plain_page.segment(adc, dwi)
    assert agreement(plain_page, tmp_path / "saved", deep["onnx"], dwi, adc) >= 0.9999
    volume = read_volume(adc)
    other = write_volume(tmp_path / "sub-02_adc.nii.gz", volume.data[:-1], volume.affine)
    assert "lies on another grid than sub-02_dwi.nii.gz" in plain_page.segment(dwi, other)
    assert plain_page.console == []


def test_a_real_flair_slice_and_a_scan_of_another_contrast(plain_page, serve, flair, flair_cohort, scan, tmp_path):
    place = build(Format.WEB, flair["scan"], read_bundle(flair["scan"]), tmp_path)
    plain_page.open(serve(place).address)
    real = open_cohort(flair_cohort).cases[0].images["FLAIR"]
    assert " ml in " in plain_page.segment(real)
    assert agreement(plain_page, tmp_path / "saved", flair["onnx"], real) >= 0.999
    plain_page.drop(scan)
    shown = plain_page.run("document.getElementById('status').textContent")
    assert shown.startswith("sub-01_dwi.nii.gz: is dwi by its name, but this model takes FLAIR; drop FLAIR, or choose")
    assert " ml in " in plain_page.segment(scan)  # by its button, it is taken
    assert plain_page.console == []


def test_a_network_trained_on_another_scaling_and_interpolation(plain_page, serve, unet_run, scan, tmp_path):
    run = shutil.copytree(unet_run, tmp_path / "run")
    record = Record.read(run)
    how = {"scaling": "percentile", "interpolation": "cubic", "spacing": (4.0, 4.0, 4.0)}
    record.model_copy(update={"preparation": record.preparation.model_copy(update=how)}).write(run)
    model, place = export(run, formats=("onnx", "web"))
    plain_page.open(serve(place).address)
    assert " ml in " in plain_page.segment(scan)
    assert agreement(plain_page, tmp_path / "saved", model, scan) >= 0.9999


def test_a_model_that_is_not_ours_or_a_network_alone(plain_page, serve, site, exported, tmp_path):
    place = tmp_path / "site"
    shutil.copytree(site, place)
    (place / "model.onnx").write_text("no protobuf")
    plain_page.open(serve(place).address)
    assert "model.onnx: not an ONNX model" in plain_page.run("document.getElementById('status').textContent")
    shutil.copy(exported["onnx"], place / "model.onnx")
    plain_page.open(serve(place).address)
    assert "model.onnx: takes no whole scan" in plain_page.run("document.getElementById('status').textContent")
    shutil.copy(site / "model.onnx", place / "model.onnx")
    shutil.copy(place / "index.html", place / "lib" / "onnxruntime.wasm")  # as servers answer what they do not have
    plain_page.open(serve(place).address)
    said = "lib/onnxruntime.wasm: the server gave another file; copy the folder to it as it was exported"
    assert plain_page.run("document.getElementById('status').textContent") == said


def brightness(page, folder: Path) -> np.ndarray:
    """Mean grey of the left and the right half of the picture."""
    page.picture(folder / "page.png")
    left, top, width, height = page.run(
        "(({x, y, width, height}) => [x, y, width, height])(document.getElementById('canvas').getBoundingClientRect())"
    )
    pixels = np.asarray(Image.open(folder / "page.png").convert("L")).astype(float)
    picture = pixels[int(top) : int(top + height), int(left) : int(left + width)]
    middle = picture.shape[1] // 2
    return np.array([picture[:, :middle].mean(), picture[:, middle:].mean()])


def test_the_axial_plane_comes_first_without_scrolling_and_the_right_side_is_on_the_left(
    page, serve, site, scan, tmp_path
):
    volume = read_volume(scan)
    bright = volume.data.copy()
    right = (np.arange(len(bright)) - len(bright) / 2) * volume.affine[0, 0] > 0
    bright[right] *= 3
    write_volume(tmp_path / "sub-01_dwi.nii.gz", bright, volume.affine)
    with page.emulate(1300, 800):
        page.open(serve(site).address)
        page.segment(tmp_path / "sub-01_dwi.nii.gz")
        assert page.run("document.getElementById('slices').value") == "axial"
        assert page.run("document.documentElement.scrollHeight") <= 800
        for part in ("canvas", "view", "save"):
            assert page.run(f"document.getElementById('{part}').getBoundingClientRect().bottom") <= 800
        left, other = brightness(page, tmp_path)
        assert left > 1.5 * other
        page.run("document.getElementById('convention').value = 'neurological'")
        page.run("document.getElementById('convention').dispatchEvent(new Event('change'))")
        turned = brightness(page, tmp_path)
        assert turned[1] > 1.5 * turned[0]
