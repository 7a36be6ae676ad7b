"""Make tissue label maps for a cohort: in parallel, continuing where an earlier call stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.cohort import Cohort, open_cohort
from strokereg.core.cohort.folder import check_settings, describe
from strokereg.core.cohort.labels import TISSUES, LabelTable
from strokereg.core.cohort.layout import DESCRIPTION, TABLE
from strokereg.core.scan.contrasts import stem_of
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.scan.sheet import is_sheet
from strokereg.core.scan.view import Convention
from strokereg.core.storage.cache import sha256_of
from strokereg.core.storage.files import keep_foreign, write_json
from strokereg.core.storage.workers import map_in_threads, run_in_workers
from strokereg.core.tissue import Method
from strokereg.core.tissue.classes import CLASSIFIERS
from strokereg.core.tissue.external import Merge, find_map, merge_map
from strokereg.core.tissue.plausible import implausible
from strokereg.core.tissue.scan import take_scan
from strokereg.core.tissue.sheet import draw_tissues
from strokereg.registry.errors import InputError

FOLDER = Path("derivatives") / "tissues"
_MAKER = "strokereg data label"
_RECIPE = 3  # raised with every change that alters labels


@dataclass(frozen=True)
class Labelling:
    """How a cohort gets its label maps.

    Attributes:
        method: one of `Method`; None for hmrf with DWI and mixture with other contrasts.
        maps: folder with a label map of another tool for each case; only for `external`.
        label_table: which code of those maps becomes which label (see `Merge.read`); None for FreeSurfer's codes.
        overwrite: make again what an earlier call made. Maps from elsewhere are never changed.
        convention: orientation of the slices in the sheet.
    """

    method: str | None = None
    maps: Path | None = None
    label_table: Path | None = None
    overwrite: bool = False
    convention: Convention = Convention.RADIOLOGICAL


@dataclass(frozen=True)
class Labelled:
    """The outcome of `label_cohort`.

    Attributes:
        method: how the maps are made.
        folder: the derivatives folder with the maps.
        table: its labels.
        made: number of cases labelled by this call.
        found: number of cases labelled by an earlier call.
        kept: number of cases that have a map from elsewhere.
        maps: case → its map in `folder`, in the cohort's order.
        sheet: picture for checking the maps by eye.
        implausible: case → what is unlike a brain in its map.
    """

    method: Method
    folder: Path
    table: LabelTable
    made: int
    found: int
    kept: int
    maps: dict[str, Path]
    sheet: Path
    implausible: dict[str, str]


@dataclass(frozen=True)
class _Job:
    """A case to label, the map to write, and for `external` the other tool's map."""

    case: CaseFiles
    target: Path
    method: Method
    merge: Merge
    other: Path | None


def label_cohort(
    root: Path | str,
    labelling: Labelling | None = None,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Labelled:
    """Write tissue label maps for the cases of a cohort that have none, under `derivatives/tissues`, and a sheet.

    A second call labels the cases that are missing.

    Args:
        root: cohort folder.
        labelling: the method and its files; None for the defaults.
        workers: number of processes; None for one per core. It does not change the result.
        on_progress: called with (finished, total) after every case.

    Raises:
        InputError: no cohort, a case without lesion mask, options that exclude each other, maps of another method or
            table, or a case that cannot be labelled. Maps made before the error stay.
    """
    labelling = labelling or Labelling()
    cohort = open_cohort(root)
    contrast = cohort.cases[0].first
    method, merge = _check_options(labelling, contrast)
    targets = {case.name: _target(cohort, case) for case in cohort.cases}
    _check_cohort(cohort, targets, merge.table, labelling.overwrite)
    folder = cohort.root / FOLDER
    mine = [case for case in cohort.cases if case.dseg is None or case.dseg == targets[case.name]]
    jobs = [
        _Job(case, targets[case.name], method, merge, find_map(labelling.maps, case.name) if labelling.maps else None)
        for case in mine
        if labelling.overwrite or not targets[case.name].is_file()
    ]
    settings: dict[str, Any] = {"recipe": _RECIPE, "method": str(method), "labels": list(merge.table.names)}
    if labelling.label_table:
        settings["table"] = sha256_of(labelling.label_table)[:16]
    description = describe("Tissue labels", _MAKER, settings, kind="derivative")
    if not labelling.overwrite and (folder / DESCRIPTION).is_file():
        check_settings(folder / DESCRIPTION, description, "add --overwrite to make its label maps again")
    sheet = folder / "sheet.png"
    if mine:
        keep_foreign([sheet], is_sheet, "move it")
    for job in jobs:
        job.target.unlink(missing_ok=True)  # so that an interrupted call leaves no map of other settings
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / DESCRIPTION, description)
        merge.table.write(folder / TABLE)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); make the cohort writable") from error
    found, total = len(mine) - len(jobs), len(mine)
    on_progress(found, total)
    run_in_workers(_label_case, jobs, folder, workers, lambda done: on_progress(found + done, total))
    if mine:
        shown = [replace(case, dseg=targets[case.name]) for case in mine]
        draw_tissues(shown, merge.table, sheet, convention=labelling.convention)
    maps = {case.name: targets[case.name] for case in mine}
    faults = _implausible(maps) if merge.table == TISSUES else {}
    return Labelled(method, folder, merge.table, len(jobs), found, len(cohort.cases) - total, maps, sheet, faults)


def _implausible(maps: dict[str, Path]) -> dict[str, str]:
    """Case → what is unlike a brain in its map."""

    def check(path: Path) -> str | None:
        volume = read_volume(path)
        return implausible(volume.data, volume.spacing)

    found = dict(zip(maps, map_in_threads(check, maps.values()), strict=True))
    return {case: fault for case, fault in found.items() if fault}


def _label_case(job: _Job) -> None:
    first = job.case.first
    case = read_case(job.case, (first, "adc") if first == "dwi" and "adc" in job.case.images else (first,))
    if job.other is not None:
        labels = merge_map(case, job.other, job.merge)
    else:
        scan = take_scan(case, _b_value(job.case.images[first]))
        labels = scan.restore(CLASSIFIERS[job.method](scan))
    job.target.parent.mkdir(parents=True, exist_ok=True)
    write_volume(job.target, labels, case.reference.affine)


def _check_options(labelling: Labelling, contrast: str) -> tuple[Method, Merge]:
    maps, table = labelling.maps, labelling.label_table
    try:
        method = Method(labelling.method or (Method.HMRF if contrast == "dwi" else Method.MIXTURE))
    except ValueError as error:
        known = ", ".join(Method)
        raise InputError(f"--method {labelling.method}: no such method; the methods are {known}") from error
    if method in (Method.HMRF, Method.KMEANS) and contrast != "dwi":
        raise InputError(f"--method {method}: works on DWI only, not on {contrast}; give --method {Method.MIXTURE}")
    if method is not Method.EXTERNAL:
        if maps or table:
            raise InputError(f"--method {method}: takes neither --maps nor --label-table; add --method external")
        return method, Merge()
    if maps is None:
        raise InputError("--method external: needs the folder of the other tool's maps; name it with --maps")
    if not maps.is_dir():
        raise InputError(f"--maps {maps}: no such folder; give the folder with a label map for each case")
    return method, Merge.read(table) if table else Merge()


def _check_cohort(cohort: Cohort, targets: dict[str, Path], table: LabelTable, overwrite: bool) -> None:
    for case in cohort.cases:
        if case.mask is None:
            raise InputError(
                f"{cohort.root}: {case.name} has no lesion mask, so its lesion would count as tissue; add the mask "
                "(all zero if there is no lesion)"
            )
        if overwrite and case.dseg not in (None, targets[case.name]):
            raise InputError(f"{case.dseg}: was not made by '{_MAKER}' and is not overwritten; leave --overwrite out")
    if cohort.table in (None, table) or (overwrite and (cohort.root / FOLDER / TABLE).is_file()):
        return
    raise InputError(
        f"{cohort.root}: has a label table of other labels ({', '.join(cohort.table.names)}), and a cohort has only "
        "one table; remove its label maps and dseg.tsv first"
    )


def _target(cohort: Cohort, case: CaseFiles) -> Path:
    """Where the map of a case goes: the place of its first image, below the derivatives folder."""
    image = case.images[case.first]
    return cohort.root / FOLDER / image.parent.relative_to(cohort.root) / f"{stem_of(image)}_dseg.nii.gz"


def _b_value(dwi: Path) -> float:
    """The largest b-value in the `.bval` beside the image, in s/mm²; 1000 if there is none."""
    path = dwi.with_name(f"{dwi.name.split('.nii')[0]}.bval")
    try:
        return max(float(word) for word in path.read_text(encoding="utf-8").split()) or 1000.0
    except (OSError, ValueError):
        return 1000.0
