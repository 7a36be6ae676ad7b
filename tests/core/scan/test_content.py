"""Files are opened by what is in them, whatever their names say."""

from __future__ import annotations

import gzip
import logging

import nibabel as nib
import numpy as np
import pytest

from strokereg.core.scan import content
from strokereg.core.scan.nifti import read_volume
from strokereg.registry.errors import FileFault

AFFINE = np.diag([-2.0, 2.0, 3.0, 1.0])
DATA = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def plain(data=DATA, kind=nib.Nifti1Image) -> bytes:
    return kind(data, AFFINE).to_bytes()


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize(
    ("name", "pack", "fault"),
    [
        ("a.nii.gz", lambda raw: raw, "is not compressed, although its name ends in .nii.gz"),
        ("a.nii", gzip.compress, "is compressed, although its name ends in .nii"),
        ("a.nii.gz", lambda raw: gzip.compress(gzip.compress(raw)), "is compressed twice, although its name ends in"),
        ("a.nii.gz", gzip.compress, None),
        ("a.nii", lambda raw: raw, None),
    ],
)
def test_an_ending_that_is_wrong_is_noted(tmp_path, kind, name, pack, fault):
    path = tmp_path / name
    path.write_bytes(pack(plain(kind=kind)))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.data, DATA)
    np.testing.assert_array_equal(volume.affine, AFFINE)
    assert [note.rule for note in volume.notes] == (["ending"] if fault else [])
    assert not fault or fault in volume.notes[0].fault


def test_a_damaged_file_under_a_wrong_name_is_one_sentence(tmp_path):
    path = tmp_path / "a.nii"
    for raw in (plain()[:380], plain()[:100]):
        path.write_bytes(gzip.compress(raw))
        with pytest.raises(FileFault, match=r"a\.nii: (damaged or truncated|not a NIfTI image)") as error:
            read_volume(path)
        assert "\n" not in str(error.value)
    huge = bytearray(plain())
    np.frombuffer(huge, nib.Nifti1Header().template_dtype, count=1)["dim"][0, 1:4] = 32767
    path.write_bytes(gzip.compress(bytes(huge)))
    with pytest.raises(FileFault, match="more than it can hold"):
        read_volume(path)


@pytest.mark.parametrize(
    ("text", "fault", "fix"),
    [
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
            "is a Git LFS pointer, not the image",
            "git lfs pull",
        ),
        ("/annex/objects/MD5E-s12345--0a1b.nii.gz\n", "is a git-annex pointer, not the image", "datalad get"),
        ("../../.git/annex/objects/x/y/MD5E-s1--0.nii.gz", "is a git-annex pointer", "datalad get"),
    ],
)
def test_a_pointer_is_not_the_image(tmp_path, text, fault, fix):
    for name in ("a.nii.gz", "a.nii", "a.mha"):
        (tmp_path / name).write_text(text)
        with pytest.raises(FileFault, match=f"{fault}.*; .*{fix}"):
            read_volume(tmp_path / name)


def test_freesurfer_and_pairs_are_read(tmp_path):
    nib.save(nib.MGHImage(DATA.astype(np.int32), AFFINE), tmp_path / "aseg.mgz")
    nib.save(nib.Nifti1Pair(DATA, AFFINE), tmp_path / "pair.hdr")
    for name in ("aseg.mgz", "pair.hdr"):
        volume = read_volume(tmp_path / name)
        np.testing.assert_array_equal(volume.data, DATA)
        np.testing.assert_allclose(volume.affine, AFFINE, atol=1e-5)
        assert volume.placed
    with pytest.raises(FileFault, match=r"pair\.img: is the second half of a pair of files; give pair\.hdr"):
        read_volume(tmp_path / "pair.img")
    (tmp_path / "pair.img").unlink()
    with pytest.raises(FileFault, match=r"pair\.hdr: its voxels \(pair\.img\) are missing"):
        read_volume(tmp_path / "pair.hdr")
    nib.save(nib.AnalyzeImage(DATA, np.diag([2.0, 2, 3, 1])), tmp_path / "old.hdr")
    assert not read_volume(tmp_path / "old.hdr").placed


@pytest.mark.parametrize("ending", [".mha", ".nrrd", ".mhd"])
def test_itk_formats_are_read_on_the_same_grid(tmp_path, ending):
    sitk = pytest.importorskip("SimpleITK", reason="the extra 'formats' is not installed")
    oblique = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, 0.2, 0.3) @ np.diag([-2.0, 2, 3]), [4, -5, 6])
    image = nib.Nifti1Image(DATA, oblique)
    image.set_qform(oblique, 1)
    nib.save(image, tmp_path / "a.nii.gz")
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "a.nii.gz")), str(tmp_path / f"a{ending}"))
    volume = read_volume(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(volume.data, DATA)
    np.testing.assert_allclose(volume.affine, oblique, atol=1e-4)
    assert volume.placed
    (tmp_path / f"a{ending}").write_bytes(b"NRRD0004\nnonsense" * 100)
    with pytest.raises(FileFault, match=f"a{ending}: damaged or truncated") as error:
        read_volume(tmp_path / f"a{ending}")
    assert "\n" not in str(error.value)


def test_without_simpleitk_the_fix_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "SimpleITK", None)
    (tmp_path / "a.nrrd").write_bytes(bytes(2000))
    with pytest.raises(FileFault, match=r"needs SimpleITK, which is not installed; .*strokereg\[formats\]"):
        read_volume(tmp_path / "a.nrrd")


def test_the_log_of_nibabel_is_quiet_only_inside():
    logger, seen = logging.getLogger("nibabel.global"), []

    class Handler(logging.Handler):
        def emit(self, record):
            seen.append(record.getMessage())

    handler = Handler()
    logger.addHandler(handler)
    try:
        with content._quiet:
            logger.error("inside")
        logger.error("outside")
    finally:
        logger.removeHandler(handler)
    assert seen == ["outside"]
