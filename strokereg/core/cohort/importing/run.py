"""Import a folder into a cohort: transfer, check and move each case, then write the tables and the description.

Each case is built in a hidden folder and renamed, so the cohort never holds half a case. The description, which makes
the folder a cohort, comes last. A second call does not touch cases that are there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from strokereg.core.cohort import layout
from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.finding import Finding
from strokereg.core.cohort.checks.inspect import inspect_case
from strokereg.core.cohort.folder import close_folder
from strokereg.core.cohort.importing.describe import DERIVED, copy_splits, side_files
from strokereg.core.cohort.importing.naming import Visit, name_visits
from strokereg.core.cohort.importing.sites import (
    Contents,
    begin_import,
    leave_out,
    outside_split,
    plan_import,
    refuse_clashes,
    take_out,
)
from strokereg.core.cohort.importing.transfer import ImportSettings, transfer
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.open import read_source
from strokereg.core.cohort.participants import sites_of
from strokereg.core.cohort.source import Source
from strokereg.core.scan.bvalues import read_bvalues
from strokereg.core.scan.contrasts import DIFFUSION, folder_of
from strokereg.core.scan.nifti import without_ending
from strokereg.core.storage.files import keep_foreign
from strokereg.core.storage.workers import map_in_threads
from strokereg.registry.errors import FileFault, InputError

_STAGING = ".importing"


@dataclass(frozen=True)
class Imported:
    """The outcome of an import.

    Attributes:
        imported: names of the cases that this call imported.
        found: names of the cases that an earlier call imported.
        excluded: names of the cases that were left out on request.
        left_out: case or file → why it is not in the cohort, and the fix.
        warnings: findings about the imported cases.
    """

    root: Path
    reader: str
    imported: tuple[str, ...]
    found: tuple[str, ...]
    excluded: tuple[str, ...]
    left_out: dict[str, str]
    warnings: tuple[Finding, ...]

    def plain(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "cohort": str(self.root),
            "reader": self.reader,
            "imported": list(self.imported),
            "found": list(self.found),
            "excluded": list(self.excluded),
            "left_out": self.left_out,
            "warnings": [warning.plain() for warning in self.warnings],
        }


def import_data(
    folder: Path | str,
    out: Path | str,
    settings: ImportSettings | None = None,
    on_case: Callable[[int, int], None] = lambda done, total: None,
) -> Imported:
    """Import the cases of a folder of any known layout into a cohort.

    A second call imports the cases that are missing. A call with another source adds its cases as another site.

    Args:
        folder: the source; it is never changed.
        out: cohort folder; new, or made by earlier calls, from this source with the same settings.
        settings: how to read and convert the files; None for the defaults.
        on_case: called with (finished, total) after each case.

    Raises:
        InputError: see `core.cohort.open.read_source`, `name_visits` and `plan_import`; no case in the source; subjects
            of another site with the same names; an output folder that holds something else, lies in the source or
            cannot be written.
    """
    root, out, settings = Path(folder), Path(out), settings or ImportSettings()
    reader, source = read_source(root, settings.reader, settings.options)
    settings = replace(settings, reader=reader)
    if not source.cases:
        why = "".join(f": {case} {reason}" for case, reason in list(source.left_out.items())[:1])
        raise InputError(f"{root}: the reader {reader} finds no case in it{why}; choose another folder or --reader")
    if root.resolve() in (out.resolve(), *out.resolve().parents):
        raise InputError(f"--out {out}: lies in the source {root}, which is never changed; give a folder outside it")
    given = settings.exclude
    description, settings = plan_import(out, root, settings)
    kept, excluded = leave_out(source.cases, settings, given)
    table, left_out = _read_table(source, out)
    chosen, unfit = _choose(kept, settings.channels)
    if not chosen:
        case, reason = next(iter(unfit.items()), ("--exclude", "leaves no case; exclude fewer"))
        raise InputError(f"{root}: {case} {reason}")
    visits, unnamed = name_visits(chosen, settings.prefix)
    assert settings.site is not None  # the plan names it
    others = {subject: site for subject, site in sites_of(out).items() if site != settings.site}
    refuse_clashes(out, visits, others)
    begin_import(out, description)
    with _only_import(out):
        found = [visit for visit in visits if visit.is_in(out)]
        try:
            taken_out = [visit for visit in excluded if visit.is_in(out) and visit.subject not in others]
            take_out(out, taken_out)
            outcomes = _transfer_all(
                [visit for visit in visits if visit not in found],
                Target(out, settings, table, Contents(out, others)),
                lambda done: on_case(len(found) + done, len(visits)),
            )
            here = [visit for visit in visits if visit.is_in(out)]
            if here:
                if not others and not settings.prefix:
                    left_out |= copy_splits(root, source, out, {visit.subject for visit in excluded})
                close_folder(out, description, side_files(out, root, here, settings.site, table))
        except OSError as error:
            raise InputError(
                f"{out}: cannot be written ({error.strerror}); free some space and call again to continue"
            ) from error
    failed = {visit.files.name: str(outcome) for visit, outcome in outcomes if isinstance(outcome, InputError)}
    imported = {visit.name: outcome for visit, outcome in outcomes if not isinstance(outcome, InputError)}
    return Imported(
        root=out,
        reader=reader,
        imported=tuple(imported),
        found=tuple(visit.name for visit in found),
        excluded=tuple(visit.files.name for visit in excluded),
        left_out=unfit | unnamed | left_out | source.left_out | failed,
        warnings=(
            *(Finding("conversion", "", "", file, fault, fix, False) for file, (fault, fix) in source.warnings.items()),
            *(finding for findings in imported.values() for finding in findings),
            *(outside_split(out) if imported and others else ()),
            *_without_masks(root, reader, [visit for visit in visits if visit.is_in(out)]),
        ),
    )


def _without_masks(root: Path, reader: str, visits: Sequence[Visit]) -> Iterator[Finding]:
    """A warning if visits have no lesion mask."""
    names = [visit.name for visit in visits if visit.files.mask is None]
    if names:
        have = f"{names[0]} and {len(names) - 1} more have" if len(names) > 1 else f"{names[0]} has"
        how = "name them with --masks" if reader == "folder" else "add them to the source"
        fix = f"training needs one for each case, so {how} and import into a new --out"
        yield Finding("missing_parts", "", "", str(root), f"{have} no lesion mask", fix, False)


def _choose(cases: Sequence[CaseFiles], channels: tuple[str, ...] | None) -> tuple[list[CaseFiles], dict[str, str]]:
    """The cases with the images to import, and those that lack one → why.

    Without channels, these are the diffusion images, or all images of a case that has no DWI.
    """
    chosen, unfit = [], {}
    for files in cases:
        wanted = channels or [name for name in files.images if name in DIFFUSION or "dwi" not in files.images]
        missing = [name for name in wanted if name not in files.images]
        if missing:
            unfit[files.name] = (
                f"has no {missing[0]} image, or several, but {' and '.join(files.images) or 'no image'}; "
                f"add it, or leave {missing[0]} out of --channels"
            )
        else:
            chosen.append(replace(files, images={name: files.images[name] for name in wanted}))
    return chosen, unfit


@dataclass(frozen=True)
class Target:
    """Where and how visits are imported: the cohort, the settings, the label table, what other sites hold."""

    out: Path
    settings: ImportSettings
    table: LabelTable | None
    others: Contents


def _transfer_all(
    visits: list[Visit], target: Target, on_done: Callable[[int], None]
) -> list[tuple[Visit, list[Finding] | InputError]]:
    """Import visits in several threads: each with its warnings, or with the error that keeps it out, by name."""
    staging = target.out / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    outcomes: list[tuple[Visit, list[Finding] | InputError]] = []
    on_done(0)

    def one(visit: Visit) -> None:
        try:
            outcomes.append((visit, _transfer_one(visit, staging / uuid.uuid4().hex, target)))
        except InputError as error:
            outcomes.append((visit, error))
        on_done(len(outcomes))

    try:
        map_in_threads(one, visits)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return sorted(outcomes, key=lambda outcome: outcome[0].name)


def _transfer_one(visit: Visit, building: Path, target: Target) -> list[Finding]:
    """Transfer a visit, check it and move it to its place; warnings are returned.

    Raises:
        InputError: the first error found in the visit, about the source's file.
    """
    raw, derived = building / "raw", building / "derived"
    raw.mkdir(parents=True)
    derived.mkdir()
    files = transfer(visit, raw, derived, target.settings, labels=target.table is not None)
    sources, inspection = visit.files.parts, inspect_case(files, target.table)
    findings = [replace(finding, case=visit.name, file=str(sources[finding.part])) for finding in inspection.findings]
    if errors := [finding for finding in findings if finding.severe or finding.rule == "same_grid"]:
        resampled = errors[0].rule == "same_grid" and "--trust-shape" not in errors[0].fix
        fix = "import with --resample" if resampled else errors[0].fix
        raise FileFault(errors[0].file, errors[0].fault, fix)
    target.others.refuse(visit, inspection)
    _copy_sidecars(visit, files, raw)
    if any(derived.iterdir()):
        _move(derived, target.out / DERIVED / visit.folder)
    for folder in sorted(raw.iterdir(), key=lambda folder: folder.name == folder_of(files.first)):
        _move(
            folder, target.out / layout.folder_of(visit.subject, visit.session, folder.name)
        )  # the first image comes last
    shutil.rmtree(building)
    return findings


@contextlib.contextmanager
def _only_import(out: Path) -> Iterator[None]:
    """Refuse a second import into the same cohort while one is running."""
    path = out / f"{_STAGING}.lock"
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"{out}: another import into it is running; wait until it ends") from error
    path.unlink(missing_ok=True)


def _copy_sidecars(visit: Visit, files: CaseFiles, raw: Path) -> None:
    """Copy the `.json` beside each image, and `.bval` and `.bvec` of one volume."""
    for part in files.images:
        path = visit.files.images[part]
        stem = without_ending(path)
        for ending in (".json", *((".bval", ".bvec") if len(read_bvalues(path)) == 1 else ())):
            beside = path.with_name(stem + ending)
            if beside.is_file():
                shutil.copyfile(beside, raw / folder_of(part) / f"{visit.stem}_{part}{ending}")


def _move(folder: Path, place: Path) -> None:
    """Move a folder to its place; what is there is of an interrupted call if it has the same names.

    Raises:
        InputError: there is another file.
    """
    there = [path for path in place.rglob("*") if not path.is_dir()]
    keep_foreign(there, lambda path: (folder / path.relative_to(place)).is_file(), "move it, or leave the case out")
    shutil.rmtree(place, ignore_errors=True)  # of an interrupted call
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(folder, place)


def _read_table(source: Source, out: Path) -> tuple[LabelTable | None, dict[str, str]]:
    """The source's label table; without a usable one, the reason why its label maps are left out."""
    if not any(case.dseg for case in source.cases):
        return None, {}
    try:
        if source.table is None:
            raise InputError("have no dseg.tsv, so the meaning of their labels is unknown; add one")
        table, before = LabelTable.read(source.table), out / DERIVED / layout.TABLE
        if before.is_file() and LabelTable.read(before) != table:
            raise InputError(f"have other labels than those in {out}")
        return table, {}
    except InputError as error:
        return None, {"label maps": f"{error}; or make new ones with 'strokereg data label'"}
