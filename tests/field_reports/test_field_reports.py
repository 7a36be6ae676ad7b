"""Faults that users of other tools reported in public, made anew as small inputs, and what an import says of each.

README.md lists them. Write it again with: python tests/field_reports/test_field_reports.py
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
README = Path(__file__).with_name("README.md")


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
class Report:
    """A public report.

    Attributes:
        link: owner, repository and number.
        met: what users met.
        right: what should be done instead.
        make: makes the input; None if another test does.
        says: what the import says, as a regular expression; "" if it imports the case and says nothing.
        settings: of the import.
        test: the other test.
    """

    link: str
    met: str
    right: str
    make: Callable[[Lab], Any] | None = None
    says: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    test: str = ""


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
DICOM = "plugins/readers/test_dicom.py"
REPORTS = {
    "mirrored-qform": Report(
        "nipy/nibabel#522", "left and right exchanged between programs", "name both axes, use the sform",
        lambda lab: lab.forms("dwi", AFFINE, 1, AFFINE @ np.diag([-1.0, 1, 1, 1]), 1), "axes LAS and the qform RAS",
    ),
    "other-qform": Report(
        "MRtrix3/mrtrix3#94", "one program reads the qform, the next the sform", "warn and name what is used",
        lambda lab: lab.forms("dwi", AFFINE, 1, moved(AFFINE, 9, 0, 0), 1), "contradict: one is shifted.* sform is",
    ),
    "empty-sform": Report(
        "simnibs/simnibs#448", "an sform of code 0 and zeros made a matrix singular", "read the qform, say nothing",
        lambda lab: lab.forms("dwi", np.zeros((4, 4)), 0, AFFINE, 1),
    ),
    "turned-forms": Report(
        "nipreps/fmriprep#2281", "qform and sform turned against each other", "warn",
        lambda lab: lab.forms("dwi", AFFINE, 1, np.diag([2.0, 2, 3, 1]), 1), "qform and sform contradict",
    ),
    "prefer-qform": Report(
        "nipreps/fmriprep#988", "the sform was wrong, images came out mirrored", "--prefer qform imports the right one",
        lambda lab: lab.forms("dwi", np.diag([2.0, 2, 3, 1]), 1, AFFINE, 1), settings={"prefer": "qform"},
    ),
    "sheared": Report(
        "MIC-DKFZ/nnUNet#756", "ITK refuses a sheared affine", "warn at import", sheared, "its affine is sheared",
    ),
    "qform-written": Report(
        "spinalcordtoolbox/spinalcordtoolbox#4697", "a qform written that is not the sform", "write both alike",
        test="core/scan/test_placement.py",
    ),
    "shear-written": Report(
        "SimpleITK/SimpleITK#1433", "files that newer ITK cannot open", "write the nearest qform beside the sform",
        test="core/scan/test_placement.py",
    ),
    "shear-fallback": Report(
        "TorchIO-project/torchio#1467", "shape and affine raised for a sheared file", "read it", sheared, "is sheared",
    ),
    "mask-origin": Report(
        "MIC-DKFZ/nnUNet#2551", "image and mask with other origins trained without a stop", "refuse, name the distance",
        lambda lab: lab.save("lesion", lab.mask, moved(AFFINE, 1, 0, 0)), "affines differ by up to 1 mm",
    ),
    "mask-size": Report(
        "MIC-DKFZ/nnUNet#1267", "mask of another size than the image", "refuse, offer --resample",
        lambda lab: lab.save("lesion", lab.mask[1:]), r"shape \(11, 14, 6\).*--resample",
    ),
    "rounding": Report(
        "MIC-DKFZ/nnUNet#1287", "directions that differ in the eighth digit were refused", "accept", nearly,
    ),
    "pixdim-rounding": Report(
        "spinalcordtoolbox/spinalcordtoolbox#4025", "0.351562 against 0.351563 mm was refused", "accept",
        lambda lab: lab.save("lesion", lab.mask, AFFINE @ np.diag([1 + 1e-6, 1, 1, 1])),
    ),
    "identity-mask": Report(
        "nipreps/fmriprep#222", "a tool dropped the affine of the mask", "offer --trust-shape, not --resample",
        lambda lab: lab.save("lesion", lab.mask, np.eye(4)), LOST,
    ),
    "default-spacing": Report(
        "MIC-DKFZ/nnUNet#2937", "no spacing in the header, 1 mm assumed", "refuse",
        lambda lab: (lab.forms("dwi", AFFINE, 0, AFFINE, 1), lab.header("dwi", pixdim=(0, 0, 0))),
        "voxel sizes of 0 × 0 × 0 mm",
    ),
    "nrrd-channels": Report(
        "MIC-DKFZ/nnUNet#1381", "a segmentation in .nrrd with two values a voxel", "refuse, say so",
        nrrd_of_two, "has 3 dimensions and 2 values a voxel",
    ),
    "stray-label": Report(
        "MIC-DKFZ/nnUNet#1183", "a mask with an unexpected value", "refuse, name the values",
        lambda lab: lab.save("lesion", lab.mask + 3 * lab.mask * (lab.dwi > 100)), "0 and 1 only, this one 0, 1, 4",
    ),
    "mask-255": Report(
        "datvuthanh/HybridNets#60", "masks of 0 and 255", "offer --lesion-label 255",
        values(np.uint8(255)), "--lesion-label 255",
    ),
    "soft-mask": Report(
        "mantasu/glasses-detector#23", "values between 0 and the label after compression", "refuse",
        lambda lab: lab.save("lesion", lab.mask * (lab.dwi / 120)), "holds 0 and 1 only",
    ),
    "drifted-mask": Report(
        "nipy/nibabel#1001", "0.99998 instead of 1 after saving with a slope again", "refuse, offer the value",
        values(np.float32(0.99998)), "holds 0 and 0.99998",
    ),
    "fractional-labels": Report(
        "TorchIO-project/torchio#220", "labels 0.9882 and 2.0235", "refuse a label map with fractions",
        test="core/cohort/checks/test_rules.py",
    ),
    "slope-nan": Report(
        "nipreps/fmriprep#2507", "scl_slope NaN in masks", "read the stored values",
        lambda lab: lab.header("lesion", scl_slope=np.nan, scl_inter=np.nan),
    ),
    "scaled-integers": Report(
        "nilearn/nilearn#1891", "int16 with a slope was rounded to whole numbers", "apply the slope",
        test="core/scan/test_nifti.py",
    ),
    "not-gzip": Report(
        "nipy/nibabel#966", "an uncompressed file renamed to .nii.gz", "read it, warn",
        lambda lab: lab.raw("dwi", gzip.decompress), NO_GZIP,
    ),
    "not-gzip-mask": Report(
        "neheller/kits19#39", "labels named .nii.gz that are not gzip", "read them, warn",
        lambda lab: lab.raw("lesion", gzip.decompress), NO_GZIP,
    ),
    "gzip-named-nii": Report(
        "nipy/nibabel#898", "name and content disagree the other way", "read it, warn",
        lambda lab: lab.raw("dwi", lambda raw: raw, "p1_dwi.nii"), "is compressed, although its name ends in .nii",
    ),
    "pointer": Report(
        "nipy/nibabel#1070", "a text file that points to the image", "say what it is and how to fetch it",
        lambda lab: lab.raw("dwi", lambda raw: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "is a Git LFS pointer, not the image; run 'git lfs pull'",
    ),
    "gzip-ending": Report(
        "nipy/nibabel#570", "an ending .nii.gzip", "say that no image matches",
        lambda lab: lab.raw("dwi", lambda raw: raw, "p1_dwi.nii.gzip"), "matches no image",
    ),
    "no-ending": Report(
        "nipy/nibabel#1128", "an image without ending", "say that no image matches",
        lambda lab: lab.raw("dwi", lambda raw: raw, "p1_dwi"), "matches no image",
    ),
    "pair": Report("nipy/nibabel#997", "pairs of header and voxels were not found", "read .hdr with its .img", pair),
    "freesurfer": Report("nipy/nibabel#653", "MGH files refused for a TR of 0", "read .mgz", mgz),
    "negative-dim": Report(
        "nipy/nibabel#548", "a dimension of -1 in the header", "one sentence, no traceback",
        lambda lab: lab.header("dwi", dim=(-1, 14, 6)), "damaged or truncated|its shape is",
    ),
    "qfac-zero": Report(
        "SimpleITK/SimpleITK#1780", "pixdim[0] of 0 instead of 1", "take it as 1, as the standard says", right_handed,
    ),
    "all-b0": Report(
        "dipy/dipy#2601", "b-values that are all 0", "refuse: no volume is weighted",
        series("0 0"), r"its shape is \(12, 14, 6, 2\)",
    ),
    "double-spaces": Report(
        "bids-standard/legacy-validator#175", "b-values separated by two spaces", "read them", series("0  1000"),
    ),
    "scientific-bvals": Report(
        "nipreps/dmriprep#24", "b-values in scientific notation, mixed separators", "read them",
        series("0.000e+00\t1.000e+03\r\n"),
    ),
    "column-bvals": Report(
        "spinalcordtoolbox/spinalcordtoolbox#704", "b-values in a line where a column was expected", "read both",
        series("0\n1000\n"),
    ),
    "one-shell": Report(
        "daducci/AMICO#182", "60 directions of one b", "offer their geometric mean",
        series("0 1000 1000 1000", 4), "holds 3 directions of b = 1000 s/mm².*--average-directions",
    ),
    "bvals-count": Report(
        "bids-standard/legacy-validator#55", "fewer b-values than volumes", "refuse",
        series("0 1000 1000 1000", 5), "its .bval file has 4 values, but its shape is",
        {"average_directions": True},
    ),
    "adc-of-series": Report(
        "rordenlab/dcm2niix#44", "an ADC file with all directions in it", "refuse a 4D ADC",
        lambda lab: lab.save("adc", np.stack([lab.dwi] * 3, -1)), r"adc.nii.gz: its shape is \(12, 14, 6, 3\)",
    ),
    "apple-double": Report(
        "OpenNeuroOrg/openneuro#2520", "._ files of macOS taken for images", "ignore hidden files", apple,
    ),
    "extension": Report(
        "nipreps/mriqc#686", "an extension of AFNI between header and voxels", "read the voxels after it",
        with_extension,
    ),
    "odd-extension": Report(
        "neuroscales/nifti-zarr#11", "an extension whose size is no multiple of 16", "read the voxels, say nothing",
        odd_extension,
    ),
    "big-endian": Report(
        "nilearn/nilearn#275", "values of the other byte order taken as they were", "swap them", big_endian,
    ),
    "slope-zero": Report(
        "JuliaNeuroscience/NIfTI.jl#14", "a slope of 0 made every voxel 0", "take the stored values",
        lambda lab: lab.header("dwi", scl_slope=0, scl_inter=0),
    ),
    "plane": Report(
        "MIC-DKFZ/nnUNet#1348", "a slice saved with two axes", "refuse, ask for a volume of one slice",
        lambda lab: lab.save("dwi", lab.dwi[:, :, 0]), r"its shape is \(12, 14\); .* save a slice as a volume of one",
    ),
    "renamed": Report(
        "MIC-DKFZ/nnUNet#1071", "a file of another format renamed to .nii.gz", "refuse in one sentence",
        lambda lab: lab.raw("dwi", lambda raw: b"NRRD0004\n# Complete NRRD file format" + bytes(2000)),
        "p1_dwi.nii.gz: not a NIfTI image; give a .nii or .nii.gz file",
    ),
    "uneven": Report("rordenlab/dcm2niix#248", "slices missing in the middle", "refuse the stack", test=DICOM),
    "uneven-equal": Report(
        "rordenlab/dcm2niix#22", "two files for one uneven series", "never take the resampled one", test=DICOM
    ),
    "unordered": Report("rordenlab/dcm2niix#539", "slice order not ascending", "refuse the stack", test=DICOM),
    "split-series": Report(
        "rordenlab/dcm2niix#628", "one series becomes several files", "refuse and list them", test=DICOM
    ),
    "patient-in-two": Report(
        "UCSD-AI4H/COVID-CT#11", "one patient in training and test", "error of the check 'split'",
        test="core/cohort/test_split.py",
    ),
}  # fmt: skip


def outcome(report: Report, tmp_path: Path) -> tuple[int, str]:
    """Number of cases and all that is said."""
    lab = Lab(tmp_path / "lab")
    assert report.make is not None
    report.make(lab)
    try:
        done = import_data(lab.root, tmp_path / "out", ImportSettings("folder", PATTERNS, **report.settings))
    except InputError as error:
        return 0, str(error)
    return len(done.imported), "\n".join([*done.left_out.values(), *map(str, done.warnings)])


@pytest.mark.parametrize("name", [name for name, report in REPORTS.items() if report.make])
def test_a_reported_fault(name, tmp_path):
    report = REPORTS[name]
    cases, said = outcome(report, tmp_path)
    if report.says:
        assert re.search(report.says, said)
        assert all(len(line.splitlines()) == 1 for line in said.split("\n"))
    else:
        assert (cases, said) == (1, "")


@pytest.mark.parametrize("test", sorted({report.test for report in REPORTS.values() if report.test}))
def test_other_tests_exist(test):
    assert (Path(__file__).parents[1] / test).is_file()


def table() -> str:
    lines = [
        "# Faults from the field",
        "",
        "Faults that users of other tools reported in public. Each was made anew as a small input.",
        "Written by `python tests/field_reports/test_field_reports.py`.",
        "",
        "| report | what was met | right behaviour | test |",
        "|---|---|---|---|",
    ]
    for name, report in REPORTS.items():
        place, number = report.link.split("#")
        test = f"`{report.test}`" if report.test else f"`{name}`"
        link = f"[{report.link}](https://github.com/{place}/issues/{number})"
        lines.append(f"| {link} | {report.met} | {report.right} | {test} |")
    return "\n".join(lines) + "\n"


def test_the_list_is_what_there_is():
    assert README.read_text(encoding="utf-8") == table()
    assert len({report.link for report in REPORTS.values()}) >= 40


if __name__ == "__main__":
    README.write_text(table(), encoding="utf-8")
