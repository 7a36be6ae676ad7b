"""Find the scans in files, folders and cohorts, and read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.cohort import layout
from strokereg.core.scan.contrasts import folder_of, recognise, stem_of
from strokereg.core.scan.nifti import READ, Volume, check_same_grid, find_images, without_ending
from strokereg.core.scan.series import read_image
from strokereg.registry.errors import InputError

_OURS = ("_mask", "_probseg")  # outputs of an earlier call, maybe


@dataclass(frozen=True)
class ScanFiles:
    """The files of one scan.

    Attributes:
        name: of its outputs, without ending.
        files: one a channel.
        dicom: folder of the patient's DICOM files, where the files were converted from them.
        fault: why the scan cannot be used; it is reported when the scan is read.
        notes: what its owner should know, a sentence each.
    """

    name: str
    files: tuple[Path, ...]
    dicom: Path | None = None
    fault: str = ""
    notes: tuple[str, ...] = ()


def find_scans(places: Sequence[Path], channels: Sequence[str]) -> list[ScanFiles]:
    """Scans of files, cohorts, and other folders (every `*_dwi.nii.gz` below, if the first channel is dwi, or DICOM).

    They come in the order given, those of folders by name. Further channels are named alike, as `sub-01_dwi.nii.gz` and
    `sub-01_adc.nii.gz`, and lie in the same folder or in the one that BIDS has for them.

    Raises:
        InputError: a place that does not exist, a folder without scans, a channel that is not there, or two scans
            whose outputs would have one name.
    """
    scans = [scan for place in places for scan in _found(place, tuple(channels))]
    seen: dict[str, ScanFiles] = {}
    for scan in scans:
        if scan.name in seen:
            raise InputError(
                f"{scan.files[0]}: its output would have the name of {seen[scan.name].files[0]}'s; "
                "run the two into different folders"
            )
        seen[scan.name] = scan
    return scans


def find_labels(places: Sequence[Path]) -> list[ScanFiles]:
    """Label maps of files, folders (`*_dseg.nii.gz`, else every image) and cohorts.

    Raises:
        InputError: as `find_scans`.
    """
    return find_scans(places, ("dseg",))


def stem(path: Path, channel: str = "") -> str:
    """File name without `.nii.gz`, and without `_dwi` where that is the channel."""
    name = without_ending(path)
    return name[: -len(channel) - 1] or name if channel and _is(path, channel) else name


def read_scans(paths: Sequence[Path], channels: Sequence[str]) -> list[Volume]:
    """Read the scans of one case; of a diffusion series with a `.bval` file, the volume of the highest b-value.

    Raises:
        InputError: an unreadable image, or images on different grids.
    """
    scans = [read_image(path, channel) for path, channel in zip(paths, channels, strict=True)]
    for scan in scans[1:]:
        check_same_grid(scans[0], scan)
    return scans


def refuse_other_contrast(path: Path, channel: str, model: Path | str) -> None:
    """Refuse a scan whose file name or sidecar says that it has another contrast than the channel, or is a mask.

    Raises:
        InputError: names both.
    """
    found, where = recognise(path)
    if found is None or found == channel or {found, channel} == {"dwi", "trace"}:
        return
    raise InputError(
        f"{path}: is {found} by its {where}, but {model} takes {channel}; "
        f"give a {channel} image, or --image {channel}={path} if that is wrong"
    )


def _is(path: Path, channel: str) -> bool:
    return without_ending(path).lower().endswith(f"_{channel.lower()}")


def _found(place: Path, channels: tuple[str, ...]) -> list[ScanFiles]:
    first = channels[0]
    if not place.is_dir():
        # A missing or damaged file is reported when it is read: one of many must not stop the others.
        return [ScanFiles(stem(place, first), beside(place, channels, {first: place}))]
    cases = layout.list_cases(place) if layout.recognises(place) else []
    if cases:
        if first == "dseg":
            scans = [ScanFiles(case.name, (case.dseg,)) for case in cases if case.dseg is not None]
        else:
            scans = [
                ScanFiles(case.name, tuple(case.images.get(c, _named(case.images[case.first], c)) for c in channels))
                for case in cases
            ]
    else:
        files = [path for path in find_images(place, "**/*") if not stem(path).endswith(_OURS)]
        named = [path for path in files if _is(path, first)]
        scans = [ScanFiles(stem(path, first), beside(path, channels, {first: path})) for path in named or files]
        scans = scans or _of_dicom(place, channels)
    if not scans:
        raise InputError(f"{place}: holds no image to run; give files, a folder of *_{first}.nii.gz, or a cohort")
    return scans


def _of_dicom(place: Path, channels: tuple[str, ...]) -> list[ScanFiles]:
    """The patients of a DICOM folder, converted as `data import` does; none if it holds no DICOM files."""
    try:
        from strokereg.core.cohort.open import read_source
        from strokereg.registry.catalogue import readers
        from strokereg.registry.factory import build_reader
    except ModuleNotFoundError:  # pluggy is left out of slim installations
        return []
    if "dwi" not in channels or not build_reader(readers().find("dicom")).recognises(place):
        return []
    _, source = read_source(place, "dicom")
    scans = []
    for case in source.cases:
        missing = [channel for channel in channels if channel not in case.images]
        fault = f"has no series that is {missing[0]}; convert and name the images yourself" if missing else ""
        folder = place / case.name if (place / case.name).is_dir() else place
        said = {
            path: ", ".join(source.warnings[str(path)]) for path in case.images.values() if str(path) in source.warnings
        }
        notes = tuple(f"{folder}: {note}" for note in said.values())
        files = tuple(case.images.get(channel, folder) for channel in channels)
        scans.append(ScanFiles(case.name, files, folder, fault and f"{folder}: {fault}", notes))
    left = ((Path(name), fault) for name, fault in source.left_out.items())
    return scans + [ScanFiles(path.name, (path,), path, f"{path}: {fault}") for path, fault in left]


def beside(path: Path, channels: Sequence[str], given: Mapping[str, Path]) -> tuple[Path, ...]:
    """The file of each channel: the one that is given, else the one that is named like `path`."""
    return tuple(given[channel] if channel in given else _named(path, channel) for channel in channels)


def _named(path: Path, channel: str) -> Path:
    """The file of another channel beside a scan, or in the folder that BIDS has for it."""
    base = stem_of(path)
    found = [
        folder / f"{base}_{name}{end}"
        for folder in (path.parent, path.parent.parent / folder_of(channel))
        for name in (channel, channel.lower(), channel.upper())
        for end in READ
    ]
    return next((file for file in found if file.is_file()), found[0])
