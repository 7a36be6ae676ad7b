"""DICOM series, converted with dcm2niix (Li et al. 2016, doi:10.1016/j.jneumeth.2016.03.001), which must be installed.

patient-1/…/*.dcm     any depth, any file names; each top-level folder is a patient

The NIfTI files are cached by names, sizes and times of the DICOM files. DWI and ADC are identified from the sidecars
that dcm2niix writes. DICOM has no lesion masks: add them to the cohort afterwards.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.source import Source
from strokereg.core.storage.cache import cache_folder, digest
from strokereg.core.storage.files import parse_json
from strokereg.plugins.readers.names import strongest_volume
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options

_LOOK = 200  # files to check before a folder counts as not DICOM
_LIMIT = 1800  # seconds for one patient


class DicomReader:
    """One case for each patient, with the trace image and the ADC map among its series."""

    class Options(Options):
        """Options to select the series.

        Args:
            dwi, adc: regular expressions for the description or image type of a series; case is ignored.
        """

        dwi: str = "trace|dwi|diff|b.?1000"
        adc: str = r"\badc|apparent"

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
        cases, left_out = [], {}
        for patient in folders or [root]:
            try:
                converted = _convert(program, patient)
                cases.append(self._case(patient.resolve().name, converted))
            except ValueError as error:
                left_out[str(patient)] = str(error)
        return Source(cases, left_out=left_out)

    def _case(self, name: str, folder: Path) -> CaseFiles:
        series = {path: _description(path) for path in sorted(folder.glob("*.nii.gz"))}
        adc = [path for path, text in series.items() if re.search(self.options.adc, text, re.IGNORECASE)]
        dwi = [p for p, text in series.items() if p not in adc and re.search(self.options.dwi, text, re.IGNORECASE)]
        dwi = [path for path in dwi if "trace" in series[path].lower()] or dwi
        if len(dwi) != 1:
            listed = "; ".join(series.values()) or "none"
            raise ValueError(f"has {len(dwi)} series that could be the DWI, of {listed}; choose with --set dwi=WORDS")
        volume = strongest_volume(dwi[0])
        images = {"dwi": dwi[0]} | ({"adc": adc[0]} if adc else {})
        return CaseFiles(name, name, images, volumes={} if volume is None else {"dwi": volume})


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


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
        if not any(Path(building).glob("*.nii.gz")):
            last = ((ran.stderr or ran.stdout).strip().splitlines() or ["no output"])[-1]
            raise ValueError(f"dcm2niix made no image of it ({last}); check that the series is complete")
        if not done.is_dir():
            shutil.copytree(building, done.with_name(f"{done.name}.part"), dirs_exist_ok=True)
            done.with_name(f"{done.name}.part").rename(done)
    return done


def _description(image: Path) -> str:
    """Description, protocol and image type of a series, from its sidecar."""
    sidecar = image.with_name(image.name.removesuffix(".nii.gz") + ".json")
    try:
        content = parse_json(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return image.name
    words = [content.get("SeriesDescription", ""), content.get("ProtocolName", ""), *content.get("ImageType", [])]
    return " ".join(str(word) for word in words if word)
