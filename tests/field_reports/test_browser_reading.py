"""Reported faults of viewers and readers in browsers: the page's own reader, run by Node, against the Python one."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.scan.nifti import read_volume
from strokereg.export.targets.web import PAGE
from strokereg.registry.errors import FileFault

AFFINE = np.array([[-2.0, 0.1, 0, 11], [0.1, 2, 0, -13], [0, 0, 3, 7], [0, 0, 0, 1]])
DATA = np.random.default_rng(0).integers(1, 250, (5, 4, 3))

READER = """
import {readFileSync, readdirSync} from "node:fs";
import {assign} from "./channels.js";
import {readVolume} from "./nifti.js";
const [folder, drops] = process.argv.slice(2);
const files = {};
for (const name of readdirSync(folder)) {
  try {
    const huge = {name, arrayBuffer() { throw new RangeError(); }};
    const file = new File([readFileSync(`${folder}/${name}`)], name);
    const {shape, affine, data} = await readVolume(name === "huge.nii" ? huge : file);
    files[name] = {shape, affine, data: [...data]};
  } catch (error) {
    files[name] = {fault: error.message, kind: error.constructor.name};
  }
}
const dropped = JSON.parse(drops).map((names) => {
  try {
    return assign(names.map((name) => ({name})), ["dwi", "adc"], new Map()).map(([channel, {name}]) => [channel, name]);
  } catch (error) {
    return error.message;
  }
});
console.log(JSON.stringify({files, dropped}));
"""


def saved(path: Path, data: np.ndarray = DATA, kind: type = np.int16, image: type = nib.Nifti1Image) -> Path:
    whole = image(np.asarray(data, kind), AFFINE, dtype=np.dtype(kind))
    nib.save(whole, path)
    return path


def big_endian(path: Path) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(np.asarray(DATA, ">i2"), AFFINE, header), path)
    assert path.read_bytes()[:4] == struct.pack(">i", 348)


def extended(path: Path) -> None:
    """NIfTI-2 whose voxels begin after a long extension, at an offset with a byte above 127."""
    image = nib.Nifti2Image(np.asarray(DATA, np.int16), AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"x" * 3000))
    nib.save(image, path)


def scaled(slope: float, inter: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        raw = bytearray(saved(path).read_bytes())
        raw[112:120] = struct.pack("<2f", slope, inter)
        path.write_bytes(raw)

    return make


def claiming_terabytes(path: Path) -> None:
    raw = bytearray(saved(path).read_bytes())
    raw[42:48] = struct.pack("<3h", 30_000, 30_000, 3_000)
    path.write_bytes(raw)


def repacked(times: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        content = saved(path.with_name("plain.nii")).read_bytes()
        for _ in range(times):
            content = gzip.compress(content)
        path.write_bytes(content)

    return make


#: File name → what makes it, and what the page says of it; "" if it reads the same numbers as Python.
FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "plain.nii": (saved, ""),
    "big-endian.nii": (big_endian, ""),
    "nifti2-extended.nii": (extended, ""),
    "float64.nii": (lambda path: saved(path, kind=np.float64), ""),
    "uint16.nii": (lambda path: saved(path, DATA * 200, np.uint16), ""),
    "int64.nii": (lambda path: saved(path, kind=np.int64), ""),
    "slope.nii": (scaled(0.5, -20), ""),
    "slope-zero.nii": (scaled(0, 7), ""),
    "not-packed.nii.gz": (repacked(0), ""),
    "packed-twice.nii.gz": (repacked(2), ""),
    "packed-thrice.nii.gz": (repacked(3), "not a NIfTI image"),
    "terabytes.nii": (claiming_terabytes, "damaged or truncated"),
    "huge.nii": (Path.touch, "is larger than the memory of this browser; segment it with 'strokereg segment'"),
    "empty.nii.gz": (Path.touch, "not a NIfTI image"),
    "text.nii": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "not a NIfTI image"),
}
DROPS = {
    ("s_adc.nii.gz", "s_dwi.nii.gz"): [["adc", "s_adc.nii.gz"], ["dwi", "s_dwi.nii.gz"]],
    ("S_ADC.NII", "S_DWI.NII"): [["adc", "S_ADC.NII"], ["dwi", "S_DWI.NII"]],
    ("map.nii", "s_dwi.nii"): [["adc", "map.nii"], ["dwi", "s_dwi.nii"]],
    ("one.nii",): [["dwi", "one.nii"]],
    ("one.nii", "two.nii"): "it is not clear which is which",
    ("a_dwi.nii", "b_dwi.nii"): "it is not clear which is which",
}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What the page makes of all files and drops, from one process of Node."""
    if shutil.which("node") is None:
        pytest.skip("no node on PATH")
    page, folder = tmp_path_factory.mktemp("page"), tmp_path_factory.mktemp("files")
    for path in PAGE.glob("*.js"):
        shutil.copy(path, page)
    (page / "package.json").write_text('{"type": "module"}')
    (page / "read.js").write_text(READER)
    for name, (make, _) in FILES.items():
        make(folder / name)
    words = ["node", str(page / "read.js"), str(folder), json.dumps(list(DROPS))]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("name", FILES)
def test_the_page_reads_as_python_does(read, name):
    folder, said = read
    found, fault = said["files"][name], FILES[name][1]
    if fault:
        assert found["kind"] == "InputError"
        assert found["fault"].startswith(f"{name}: ")
        assert fault in found["fault"]
        if name != "huge.nii":
            with pytest.raises(FileFault):
                read_volume(folder / name)
    else:
        expected = read_volume(folder / name)
        assert tuple(found["shape"]) == expected.data.shape
        np.testing.assert_allclose(found["affine"], expected.affine, atol=1e-5)
        np.testing.assert_allclose(found["data"], expected.data.ravel(order="F"), rtol=1e-6)


@pytest.mark.parametrize("names", DROPS)
def test_files_that_are_dropped_together_find_their_channels(read, names):
    found, expected = read[1]["dropped"][list(DROPS).index(names)], DROPS[names]
    assert found == expected if isinstance(expected, list) else expected in found


def test_a_page_that_is_opened_as_a_file_says_how_to_serve_it():
    """Browsers load no module from a file, so what stands in the page stays."""
    status = (PAGE / "index.html").read_text(encoding="utf-8").split('id="status"')[1].split("</p>")[0]
    assert "opened as a file" in status
    assert "python -m http.server" in status
