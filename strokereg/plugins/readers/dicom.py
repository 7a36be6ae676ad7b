"""DICOM series, converted with dcm2niix (Li et al. 2016, doi:10.1016/j.jneumeth.2016.03.001), which must be installed.

patient-1/…/*.dcm     any depth, any file names; each top-level folder is a patient,
*/*.dcm               unless the folders hold the series of one study: then the folder itself is

The NIfTI files are cached by names, sizes and times of the DICOM files. DWI and ADC are identified from the sidecars
that dcm2niix writes. DICOM has no lesion masks: add them to the cohort afterwards.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.scan.bvalues import read_bvalues, strongest_volume
from strokereg.core.scan.contrasts import read_sidecar
from strokereg.core.storage.cache import cache_folder, digest
from strokereg.core.storage.search import search
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options

_LOOK = 200  # files to check before a folder counts as not DICOM
_HEADER = 2**16  # bytes in which study and series of a file are looked for
# (0020,000D) and (0020,000E), one after the other as a file has them, with and without an explicit type.
_UID = rb"\x00(?:UI..|....)([0-9.]+)\x00?"
_STUDY_AND_SERIES = re.compile(rb"\x20\x00\x0d" + _UID + rb"\x20\x00\x0e" + _UID, re.DOTALL)
_LIMIT = 1800  # seconds for one patient
_LOG = "dcm2niix.txt"  # what dcm2niix printed, beside what it wrote
_WEIGHTED = 50  # s/mm²; a series below is no DWI
_EXPONENTIAL = re.compile(r"(?<![a-z])e-?adc|exp", re.IGNORECASE)  # exp(-b·ADC), which is bright where ADC is dark
_MAP = re.compile(r"(?<![a-z])(e-?adc|fa|colfa|tensor)(?![a-z])|anisotropy|exponential", re.IGNORECASE)
_RESAMPLED = re.compile(r"_Eq(_\d+)?\.nii\.gz$")  # dcm2niix's own guess at an even stack
_WARNING = re.compile("(?:Warning: |Unable to |Error: )(.*)")
_UNEVEN = re.compile("interslice distance|slice distances", re.IGNORECASE)


class DicomReader:
    """One case for each patient, with the trace image and the ADC map among its series."""

    class Options(Options):
        """Options to select the series.

        Args:
            dwi, adc: regular expressions for the description or image type of a series; case is ignored.
        """

        dwi: str = "trace|dwi|diff|b.?1000"
        adc: str = "(?<![a-z])d?adc|apparent"

    def __init__(self, options: DicomReader.Options) -> None:
        for option in ("dwi", "adc"):
            try:
                re.compile(getattr(options, option))
            except re.error as error:
                raise InputError(
                    f"--set {option}={getattr(options, option)}: not a regular expression ({error})"
                ) from error
        self.options = options

    def recognises(self, root: Path) -> bool:
        """Whether there are DICOM files in the folder or below."""
        return any(_is_dicom(path) for path in islice(_files(root), _LOOK))

    def read(self, root: Path) -> Source:
        """Convert series that are not in the cache, and list one case for each patient.

        Raises:
            InputError: dcm2niix is not installed.
        """
        program = _dcm2niix()
        folders = sorted(path for path in root.iterdir() if path.is_dir() and next(_files(path), None))
        if _are_series(folders):
            folders = []
        cases, left_out, warnings = [], {}, {}
        for patient in folders or [root]:
            try:
                converted = _convert(program, patient)
                files = self._case(patient.resolve().name, converted)
                faults = [(path, fault) for path in files.images.values() for fault in _faults(path)]
                if uneven := next((fault for _, fault in faults if _UNEVEN.search(fault)), None):
                    raise ValueError(
                        f"dcm2niix reports '{uneven}', so slices are missing or uneven; export the series again"
                    )
                cases.append(files)
            except ValueError as error:
                left_out[str(patient)] = str(error)
            else:
                for path, fault in faults:
                    known = f"{warnings[str(path)][0]} and " if str(path) in warnings else "dcm2niix reports "
                    warnings[str(path)] = (f"{known}'{fault}'", "check the series")
        return Source(cases, left_out=left_out, warnings=warnings)

    def _case(self, name: str, folder: Path) -> CaseFiles:
        found = (path for path in sorted(folder.glob("*.nii.gz")) if not _RESAMPLED.search(path.name))
        series = {path: _description(path) for path in found}
        adc = [path for path, text in series.items() if re.search(self.options.adc, text, re.IGNORECASE)]
        maps = {path for path in series if _MAP.search(series[path])}
        dwi = [
            path
            for path, text in series.items()
            if path not in adc and path not in maps and re.search(self.options.dwi, text, re.IGNORECASE)
        ]
        dwi = [path for path in dwi if "trace" in series[path].lower()] or dwi
        dwi = [path for path in dwi if max(read_bvalues(path), default=_WEIGHTED) >= _WEIGHTED] or dwi
        adc = [path for path in adc if not _EXPONENTIAL.search(series[path])]
        if len(dwi) != 1:
            raise _unclear("the DWI", "dwi", dwi or list(series), len(dwi), series)
        if len(adc) > 1:
            raise _unclear("the ADC map", "adc", adc, len(adc), series)
        volume = strongest_volume(dwi[0])
        images = {"dwi": dwi[0]} | ({"adc": adc[0]} if adc else {})
        return CaseFiles(name, name, images, volumes={} if volume is None else {"dwi": volume})


def _unclear(what: str, option: str, paths: list[Path], count: int, series: dict[Path, str]) -> ValueError:
    listed = "; ".join(f"{path.name.removesuffix('.nii.gz')} ({series[path]})" for path in paths) or "none"
    return ValueError(f"has {count} series that could be {what}, of {listed}; choose with --set {option}=WORDS")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in search(folder, "**/*") if path.is_file() and not path.name.startswith("."))


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _are_series(folders: list[Path]) -> bool:
    """True if several folders hold a series of one study each, and no further folders, as an exported patient does."""
    if len(folders) < 2 or any(path.is_dir() for folder in folders for path in folder.iterdir()):
        return False
    found = [_study_and_series(next(_files(folder))) for folder in folders]
    studies = {one and one[0] for one in found}
    return len(studies) == 1 and None not in studies and len(set(found)) == len(folders)


def _study_and_series(path: Path) -> tuple[bytes, bytes] | None:
    """StudyInstanceUID and SeriesInstanceUID in the header of a DICOM file; None without them."""
    with contextlib.suppress(OSError), path.open("rb") as handle:
        if match := _STUDY_AND_SERIES.search(handle.read(_HEADER)):
            return match[1], match[2]
    return None


def _dcm2niix() -> str:
    if found := shutil.which("dcm2niix"):
        return found
    try:
        import dcm2niix  # type: ignore[import-not-found]
    except ImportError:
        raise InputError(
            "these are DICOM files, but dcm2niix, which converts them, is not installed; install it with "
            "'pip install strokereg[dicom]' or your system's package manager, or convert the series to NIfTI yourself"
        ) from None
    return str(dcm2niix.bin)


def _convert(program: str, patient: Path) -> Path:
    """Folder with NIfTI files and sidecars of one patient, from the cache or converted."""
    listed = [(str(p.relative_to(patient)), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(_files(patient))]
    home = cache_folder() / "dicom"
    done = home / digest([str(patient.resolve()), listed])[:32]
    if done.is_dir():
        return done
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".converting-") as building:
        words = [program, "-z", "y", "-b", "y", "-ba", "y", "-f", "%s_%d", "-o", building, str(patient)]
        try:
            ran = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=_LIMIT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"dcm2niix failed ({error}); convert the series yourself") from error
        (Path(building) / _LOG).write_text(ran.stdout + ran.stderr, encoding="utf-8")
        if not any(Path(building).glob("*.nii.gz")):
            last = ((ran.stderr or ran.stdout).strip().splitlines() or ["no output"])[-1]
            raise ValueError(f"dcm2niix made no image of it ({last}); check that the series is complete")
        if not done.is_dir():
            shutil.copytree(building, done.with_name(f"{done.name}.part"), dirs_exist_ok=True)
            done.with_name(f"{done.name}.part").rename(done)
    return done


def _description(image: Path) -> str:
    """Description, protocol and image type of a series, from its sidecar."""
    content = read_sidecar(image)
    if not content:
        return image.name
    kinds = content.get("ImageType", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    words = [content.get("SeriesDescription", ""), content.get("ProtocolName", ""), *kinds]
    return " ".join(str(word) for word in words if word)


def _faults(image: Path) -> list[str]:
    """The warnings that dcm2niix printed about a series: the lines before the one that names its file."""
    stem, lines = image.name.removesuffix(".nii.gz"), []
    try:
        printed = (image.parent / _LOG).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    for line in printed:
        if line.startswith("Convert "):
            if f"/{stem} (" in line:
                return lines
            lines = []
        elif match := _WARNING.match(line):
            lines.append(match[1].strip().rstrip("."))
    return []
