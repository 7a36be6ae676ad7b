"""Open an image file by what is in it, whatever its name says: plain, compressed once or twice, or another format."""

from __future__ import annotations

import contextlib
import gzip
import logging
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from strokereg.registry.errors import FileFault

warnings.filterwarnings("ignore", "Extension size is not a multiple", module="nibabel")  # it is read all the same

#: Formats besides NIfTI: those that nibabel reads, and those that need SimpleITK.
NIBABEL, ITK = (".mgz", ".mgh", ".hdr"), (".mha", ".mhd", ".nrrd")
_GZIP = b"\x1f\x8b"
_GZIP_BEST = 1100  # deflate compresses by a factor of 1032 at most, so a header that claims more is wrong
_HEADERS = {b"n+1\0": (344, nib.Nifti1Image), b"n+2\0": (4, nib.Nifti2Image)}
_HEADER = 544  # bytes that hold a header of either version
_POINTER = 1024  # pointers are smaller


@dataclass(frozen=True)
class Note:
    """Something about a file that can be read, but that its owner should know: the rule, the fault and the fix."""

    rule: str
    fault: str
    fix: str


@dataclass(frozen=True)
class Opened:
    """An image whose voxels are not read yet.

    Attributes:
        image: the nibabel image.
        header: the first bytes of the uncompressed file, if it is a NIfTI file, else empty.
        notes: where its name and its content disagree.
    """

    image: Any
    header: bytes = b""
    notes: tuple[Note, ...] = ()


def open_image(path: Path) -> Opened:
    """Open a NIfTI, Analyze, FreeSurfer, MetaImage or NRRD file.

    Raises:
        FileFault: missing, a pointer of Git LFS or git-annex, of an unknown format, damaged or truncated, colours or
            complex numbers, or SimpleITK is needed and not installed.
    """
    _refuse_pointers(path)
    suffix = path.suffix.lower()
    if suffix in ITK:
        return Opened(_with_itk(path))
    if suffix == ".img":
        fault = "is the second half of a pair of files"
        raise FileFault(path, fault, f"give {path.with_suffix('.hdr').name}, which is the first")
    try:
        header, layers = _start(path)
    except OSError as error:
        raise damaged(path, error) from error
    expected = 1 if suffix == ".gz" else 0
    kind = next((kind for magic, (at, kind) in _HEADERS.items() if header[at : at + 4] == magic), None)
    if kind is not None and layers != expected and suffix in (".gz", ".nii"):
        how = ("is not compressed", "is compressed", "is compressed twice")[layers]
        ending = "".join(path.suffixes[-2:]) if expected else suffix
        note = Note("ending", f"{how}, although its name ends in {ending}", "rename or compress it again")
        return Opened(_from_bytes(path, kind, header, layers), header, (note,))
    return Opened(_with_nibabel(path), header if kind is not None else b"")


def damaged(path: Path, error: Exception) -> FileFault:
    """The fault of a file that is there and cannot be read."""
    if isinstance(error, PermissionError):
        return FileFault(path, "cannot be read (permission denied)", "check its permissions")
    reason = str(error).split("\n")[0].replace(str(path), path.name) or type(error).__name__
    return FileFault(path, f"damaged or truncated ({reason})", "copy the file again")


def _refuse_pointers(path: Path) -> None:
    """Small text files that stand for an image in a repository whose large files were not fetched."""
    if not path.is_file():
        if path.is_symlink():
            raise FileFault(path, "is a link to a file that is not here", "fetch it, for instance with 'datalad get'")
        raise FileFault(path, "no such file", "give the path of a NIfTI image (.nii or .nii.gz)")
    try:
        if path.stat().st_size >= _POINTER:
            return
        text = path.read_bytes()
    except OSError as error:
        raise damaged(path, error) from error
    if text.startswith(b"version https://git-lfs.github.com/"):
        raise FileFault(path, "is a Git LFS pointer, not the image", "run 'git lfs pull' in its repository")
    if b"annex/objects/" in text and b"\0" not in text:
        raise FileFault(path, "is a git-annex pointer, not the image", "run 'datalad get' or 'git annex get' on it")


def _start(path: Path) -> tuple[bytes, int]:
    """The first bytes of the content, and how many times it is compressed (at most twice)."""
    with path.open("rb") as handle:
        start, layers = handle.read(_HEADER), 0
    while start.startswith(_GZIP) and layers < 2:
        layers += 1
        try:
            with _unpacked(path, layers) as unpacked:
                start = unpacked.read(_HEADER)
        except (OSError, EOFError, zlib.error):
            return b"", layers  # nibabel says what is wrong
    return start, layers


@contextlib.contextmanager
def _unpacked(path: Path, layers: int) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        stream: Any = stack.enter_context(path.open("rb"))
        for _ in range(layers):
            stream = stack.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
        yield stream


def parse_header(kind: Any, start: bytes) -> Any:
    """The header of a NIfTI file as it is stored, without the extensions after it.

    Args:
        kind: the image class of nibabel.
        start: the first bytes of the file.

    Raises:
        nibabel.wrapstruct.WrapStructError: too few bytes.
    """
    return kind.header_class(start[: kind.header_class.sizeof_hdr], check=False)


def _from_bytes(path: Path, kind: Any, header: bytes, layers: int) -> Any:
    """Read a NIfTI file that nibabel would not open under its name."""
    try:
        known = parse_header(kind, header)
        size = float(known["vox_offset"]) + _claimed(known.get_data_shape(), known.get_data_dtype())
        _check_size(path, size, path.stat().st_size, _GZIP_BEST**layers)
        with _unpacked(path, layers) as stream:
            content = stream.read(int(size))
        with _quiet:
            image = kind.from_bytes(content)
    except FileFault:
        raise
    except Exception as error:  # errors of every kind for a damaged header
        raise damaged(path, error) from error
    return _plain_numbers(path, image)


def _with_nibabel(path: Path) -> Any:
    ending = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix
    if ending not in (ending.lower(), ending.upper()):  # nibabel would look for another file
        raise FileFault(path, f"its ending {ending} mixes upper and lower case", "rename it to .nii or .nii.gz")
    try:
        with _quiet:
            image: Any = nib.load(path)  # type: ignore[attr-defined]
        claimed = _claimed(image.shape, image.get_data_dtype())
    except nib.filebasedimages.ImageFileError as error:
        with path.open("rb") as handle:
            start = handle.read(2)
        if start in (b"", _GZIP):  # empty, or gzip that ends before the header does
            raise damaged(path, error) from error
        raise FileFault(path, "not a NIfTI image", "give a .nii or .nii.gz file") from error
    except Exception as error:  # nibabel raises errors of every kind for a damaged header
        raise damaged(path, error) from error
    files = [Path(part.filename) for part in image.file_map.values() if part.filename]  # a .hdr has its voxels in .img
    voxels = Path(image.file_map["image"].filename or path)
    if not voxels.is_file():
        raise FileFault(path, f"its voxels ({voxels.name}) are missing", "copy both files of the pair")
    size = sum(file.stat().st_size for file in files if file.is_file())
    packed = path.suffix.lower() in (".gz", ".bz2", ".zst", ".mgz")
    _plain_numbers(path, image)
    _check_size(path, claimed, size, _GZIP_BEST if packed else 1)
    return image


def _with_itk(path: Path) -> Any:
    """Read a MetaImage or NRRD file; ITK counts millimetres to the left and back, nibabel to the right and front."""
    try:
        import SimpleITK as sitk  # type: ignore[import-not-found]
    except ImportError:
        fix = "install it with 'pip install strokereg[formats]', or convert the image to NIfTI"
        raise FileFault(path, f"reading {path.suffix} needs SimpleITK, which is not installed", fix) from None
    try:
        read = sitk.ReadImage(str(path))
    except RuntimeError as error:
        lines = str(error).strip().splitlines()
        raise damaged(path, ValueError(lines[-1] if lines else "SimpleITK cannot read it")) from error
    if read.GetDimension() != 3 or read.GetNumberOfComponentsPerPixel() != 1:
        fault = f"has {read.GetDimension()} dimensions and {read.GetNumberOfComponentsPerPixel()} values a voxel"
        raise FileFault(path, fault, "export a 3D image of plain numbers")
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(read.GetDirection(), (3, 3)) * read.GetSpacing()
    affine[:3, 3] = read.GetOrigin()
    data = sitk.GetArrayFromImage(read).transpose(2, 1, 0)
    if data.dtype.itemsize > 4 and data.dtype.kind in "iu":
        data = data.astype(np.float64)  # nibabel writes no 64-bit integers unless asked to
    image = nib.Nifti1Image(data, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)  # type: ignore
    return _plain_numbers(path, image)


def _claimed(shape: Any, kind: np.dtype) -> float:
    """Bytes of voxels that a header claims."""
    return float(np.prod([float(n) for n in shape])) * kind.itemsize


def _check_size(path: Path, claimed: float, size: int, factor: int) -> None:
    """Refuse a file before memory is allocated: a damaged header can claim terabytes."""
    if not claimed <= size * factor:
        fault = f"damaged or truncated (its header claims {claimed / 1e6:.3g} MB of voxels, more than it can hold)"
        raise FileFault(path, fault, "copy the file again")


def _plain_numbers(path: Path, image: Any) -> Any:
    kind = image.get_data_dtype()
    if kind.kind not in "iuf":
        raise FileFault(path, f"its voxels are of type {kind}", "give an image of plain numbers")
    return image


class _Quiet(logging.Filter):
    """Keeps nibabel from logging the faults of headers, which are reported here, in this thread only."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()
        logging.getLogger("nibabel.global").addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        return record.thread not in self.threads

    def __enter__(self) -> None:
        self.threads.add(threading.get_ident())

    def __exit__(self, *error: object) -> None:
        self.threads.discard(threading.get_ident())


_quiet = _Quiet()
