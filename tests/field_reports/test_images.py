"""Reported faults of images and headers, made anew as small inputs, and what an import says of each.

reports.toml says who reported them.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.cohort.importing.run import import_data
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.registry.errors import InputError

AFFINE = np.array([[-2.0, 0, 0, 11], [0, 2, 0, -13], [0, 0, 3, 7], [0, 0, 0, 1]])
PATTERNS = {"images": "*_dwi.*", "masks": "*_lesion.*", "adc": "*_adc.*"}


class Lab:
    """A folder with one patient: DWI, ADC and lesion mask on one grid."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dwi = np.random.default_rng(0).uniform(80, 120, (12, 14, 6)).astype(np.float32)
        self.mask = np.zeros(self.dwi.shape, np.uint8)
        self.mask[4:7, 5:8, 2:4] = 1
        root.mkdir()
        self.save("dwi", self.dwi)
        self.save("adc", self.dwi / 120)
        self.save("lesion", self.mask)

    def path(self, kind: str) -> Path:
        return self.root / f"p1_{kind}.nii.gz"

    def save(self, kind: str, data: np.ndarray, affine: np.ndarray | None = AFFINE, header: Any = None) -> None:
        nib.save(nib.Nifti1Image(data, affine, header), self.path(kind))

    def forms(self, kind: str, sform: np.ndarray, scode: int, qform: np.ndarray, qcode: int) -> None:
        image = nib.Nifti1Image(np.asarray(nib.load(self.path(kind)).dataobj), AFFINE)
        image.set_sform(sform, scode)
        image.set_qform(qform, qcode)
        nib.save(image, self.path(kind))

    def header(self, kind: str, **values: Any) -> None:
        """Change fields of a header, past what nibabel would correct."""
        raw = bytearray(gzip.decompress(self.path(kind).read_bytes()))
        header = np.frombuffer(raw, nib.Nifti1Header().template_dtype, count=1)
        for name, value in values.items():
            if name in ("dim", "pixdim"):
                header[name][0, 1:4] = value
            else:
                header[name] = value
        self.path(kind).write_bytes(gzip.compress(bytes(raw)))

    def raw(self, kind: str, change: Callable[[bytes], bytes], name: str | None = None) -> None:
        content = change(self.path(kind).read_bytes())
        self.path(kind).unlink()
        (self.root / (name or self.path(kind).name)).write_bytes(content)


@dataclass(frozen=True)
class Input:
    """The input of a report.

    Attributes:
        make: makes it.
        says: what the import says, as a regular expression; "" if it imports the case and says nothing.
        settings: of the import.
    """

    make: Callable[[Lab], Any]
    says: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


def moved(affine: np.ndarray, *shift: float) -> np.ndarray:
    result = affine.copy()
    result[:3, 3] += shift
    return result


def sheared(lab: Lab) -> None:
    affine = AFFINE.copy()
    affine[0, 1] = 0.2
    for kind in ("dwi", "adc", "lesion"):
        lab.save(kind, np.asarray(nib.load(lab.path(kind)).dataobj), affine)


def nearly(lab: Lab) -> None:
    affine = AFFINE.copy()
    affine[:3, :3] += 2e-8
    lab.save("lesion", lab.mask, affine)


def values(data: np.ndarray) -> Callable[[Lab], None]:
    return lambda lab: lab.save("lesion", lab.mask * data)


def series(text: str, count: int = 2) -> Callable[[Lab], None]:
    def make(lab: Lab) -> None:
        lab.save("dwi", np.stack([lab.dwi * (1 + number) for number in range(count)], -1))
        (lab.root / "p1_dwi.bval").write_text(text)

    return make


def nrrd_of_two(lab: Lab) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="the extra 'formats' is not installed")
    lab.path("lesion").unlink()
    two = np.stack([lab.mask.transpose(2, 1, 0)] * 2, -1)
    sitk.WriteImage(sitk.GetImageFromArray(two, isVector=True), str(lab.root / "p1_lesion.nrrd"))


def mgz(lab: Lab) -> None:
    lab.path("lesion").unlink()
    nib.save(nib.MGHImage(lab.mask.astype(np.int32), AFFINE), lab.root / "p1_lesion.mgz")


def pair(lab: Lab) -> None:
    lab.path("dwi").unlink()
    nib.save(nib.Nifti1Pair(lab.dwi, AFFINE), lab.root / "p1_dwi.hdr")


def with_extension(lab: Lab) -> None:
    """As AFNI writes: a long text between header and voxels."""
    for kind in ("dwi", "lesion"):
        image = nib.load(lab.path(kind))
        image.header.extensions.append(nib.nifti1.Nifti1Extension("afni", b"<AFNI_attributes/>" * 500))
        nib.save(image, lab.path(kind))


def odd_extension(lab: Lab) -> None:
    raw = bytearray(gzip.decompress(lab.path("dwi").read_bytes()))
    np.frombuffer(raw, nib.Nifti1Header().template_dtype, count=1)["vox_offset"] = 352 + 20
    raw[348:352] = b"\1\0\0\0"
    raw[352:352] = np.array([20, 6], "<i4").tobytes() + b"twelve bytes"
    lab.path("dwi").write_bytes(gzip.compress(bytes(raw)))


def big_endian(lab: Lab) -> None:
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">f4")
    lab.save("dwi", lab.dwi.astype(">f4"), AFFINE, header)
    assert gzip.decompress(lab.path("dwi").read_bytes())[:2] == b"\0\0"


def right_handed(lab: Lab) -> None:
    affine = AFFINE @ np.diag([-1.0, 1, 1, 1])
    for kind in ("dwi", "adc", "lesion"):
        lab.forms(kind, affine, 1, affine, 1)
    raw = bytearray(gzip.decompress(lab.path("dwi").read_bytes()))
    np.frombuffer(raw, nib.Nifti1Header().template_dtype, count=1)["pixdim"][0, 0] = 0
    lab.path("dwi").write_bytes(gzip.compress(bytes(raw)))


def apple(lab: Lab) -> None:
    (lab.root / "._p1_dwi.nii.gz").write_bytes(b"\0\5\x16\7" + bytes(100))


LOST = "so its header may be lost; import it with --trust-shape"
NO_GZIP = "is not compressed, although its name ends in .nii.gz"
INPUTS = {
    "mirrored-qform": Input(
        lambda lab: lab.forms("dwi", AFFINE, 1, AFFINE @ np.diag([-1.0, 1, 1, 1]), 1), "axes LAS and the qform RAS"
    ),
    "other-qform": Input(
        lambda lab: lab.forms("dwi", AFFINE, 1, moved(AFFINE, 9, 0, 0), 1), "contradict: one is shifted.* sform is"
    ),
    "empty-sform": Input(lambda lab: lab.forms("dwi", np.zeros((4, 4)), 0, AFFINE, 1)),
    "turned-forms": Input(
        lambda lab: lab.forms("dwi", AFFINE, 1, np.diag([2.0, 2, 3, 1]), 1), "qform and sform contradict"
    ),
    "prefer-qform": Input(
        lambda lab: lab.forms("dwi", np.diag([2.0, 2, 3, 1]), 1, AFFINE, 1), settings={"prefer": "qform"}
    ),
    "sheared": Input(sheared, "its affine is sheared"),
    "shear-fallback": Input(sheared, "is sheared"),
    "mask-origin": Input(
        lambda lab: lab.save("lesion", lab.mask, moved(AFFINE, 1, 0, 0)), "affines differ by up to 1 mm"
    ),
    "mask-size": Input(lambda lab: lab.save("lesion", lab.mask[1:]), r"shape \(11, 14, 6\).*--resample"),
    "rounding": Input(nearly),
    "pixdim-rounding": Input(lambda lab: lab.save("lesion", lab.mask, AFFINE @ np.diag([1 + 1e-6, 1, 1, 1]))),
    "identity-mask": Input(lambda lab: lab.save("lesion", lab.mask, np.eye(4)), LOST),
    "default-spacing": Input(
        lambda lab: (lab.forms("dwi", AFFINE, 0, AFFINE, 1), lab.header("dwi", pixdim=(0, 0, 0))),
        "voxel sizes of 0 × 0 × 0 mm",
    ),
    "nrrd-channels": Input(nrrd_of_two, "has 3 dimensions and 2 values a voxel"),
    "stray-label": Input(
        lambda lab: lab.save("lesion", lab.mask + 3 * lab.mask * (lab.dwi > 100)), "0 and 1 only, this one 0, 1, 4"
    ),
    "mask-255": Input(values(np.uint8(255)), "--lesion-label 255"),
    "soft-mask": Input(lambda lab: lab.save("lesion", lab.mask * (lab.dwi / 120)), "holds 0 and 1 only"),
    "drifted-mask": Input(values(np.float32(0.99998)), "holds 0 and 0.99998"),
    "slope-nan": Input(lambda lab: lab.header("lesion", scl_slope=np.nan, scl_inter=np.nan)),
    "not-gzip": Input(lambda lab: lab.raw("dwi", gzip.decompress), NO_GZIP),
    "not-gzip-mask": Input(lambda lab: lab.raw("lesion", gzip.decompress), NO_GZIP),
    "gzip-named-nii": Input(
        lambda lab: lab.raw("dwi", lambda raw: raw, "p1_dwi.nii"), "is compressed, although its name ends in .nii"
    ),
    "pointer": Input(
        lambda lab: lab.raw("dwi", lambda raw: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "is a Git LFS pointer, not the image; run 'git lfs pull'",
    ),
    "gzip-ending": Input(lambda lab: lab.raw("dwi", lambda raw: raw, "p1_dwi.nii.gzip"), "matches no image"),
    "no-ending": Input(lambda lab: lab.raw("dwi", lambda raw: raw, "p1_dwi"), "matches no image"),
    "pair": Input(pair),
    "freesurfer": Input(mgz),
    "negative-dim": Input(lambda lab: lab.header("dwi", dim=(-1, 14, 6)), "damaged or truncated|its shape is"),
    "qfac-zero": Input(right_handed),
    "all-b0": Input(series("0 0"), r"its shape is \(12, 14, 6, 2\)"),
    "double-spaces": Input(series("0  1000")),
    "scientific-bvals": Input(series("0.000e+00\t1.000e+03\r\n")),
    "column-bvals": Input(series("0\n1000\n")),
    "one-shell": Input(series("0 1000 1000 1000", 4), "holds 3 directions of b = 1000 s/mm².*--average-directions"),
    "bvals-count": Input(
        series("0 1000 1000 1000", 5), "its .bval file has 4 values, but its shape is", {"average_directions": True}
    ),
    "adc-of-series": Input(
        lambda lab: lab.save("adc", np.stack([lab.dwi] * 3, -1)), r"adc.nii.gz: its shape is \(12, 14, 6, 3\)"
    ),
    "apple-double": Input(apple),
    "extension": Input(with_extension),
    "odd-extension": Input(odd_extension),
    "big-endian": Input(big_endian),
    "slope-zero": Input(lambda lab: lab.header("dwi", scl_slope=0, scl_inter=0)),
    "plane": Input(
        lambda lab: lab.save("dwi", lab.dwi[:, :, 0]), r"its shape is \(12, 14\); .* save a slice as a volume of one"
    ),
    "renamed": Input(
        lambda lab: lab.raw("dwi", lambda raw: b"NRRD0004\n# Complete NRRD file format" + bytes(2000)),
        "p1_dwi.nii.gz: not a NIfTI image; give a .nii or .nii.gz file",
    ),
}


def outcome(known: Input, tmp_path: Path) -> tuple[int, str]:
    """Number of cases and all that is said."""
    lab = Lab(tmp_path / "lab")
    known.make(lab)
    try:
        done = import_data(lab.root, tmp_path / "out", ImportSettings("folder", PATTERNS, **known.settings))
    except InputError as error:
        return 0, str(error)
    return len(done.imported), "\n".join([*done.left_out.values(), *map(str, done.warnings)])


@pytest.mark.filterwarnings("ignore:Extension size is not a multiple")
@pytest.mark.parametrize("name", INPUTS)
def test_a_reported_fault(name, tmp_path):
    cases, said = outcome(INPUTS[name], tmp_path)
    if INPUTS[name].says:
        assert re.search(INPUTS[name].says, said)
        assert all(len(line.splitlines()) == 1 for line in said.split("\n"))
    else:
        assert (cases, said) == (1, "")
