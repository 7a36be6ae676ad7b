"""An import: every case transferred, checked and moved to its place; then the tables; then the description.

A case is built in a hidden folder and renamed, so the cohort holds whole cases only. The description, by which a folder
counts as a cohort, comes last. Called again, cases that are there are not touched.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from strokereg.core.cohort.checks.finding import Finding
from strokereg.core.cohort.checks.inspect import inspect_case
from strokereg.core.cohort.folder import open_folder, write_description
from strokereg.core.cohort.importing.describe import DERIVED, bring_splits, describe, write_tables
from strokereg.core.cohort.importing.naming import Visit, name_visits
from strokereg.core.cohort.importing.settings import Settings
from strokereg.core.cohort.importing.transfer import transfer
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.open import read_source
from strokereg.core.cohort.source import Source
from strokereg.core.scan.nifti import without_ending
from strokereg.registry.errors import FileFault, InputError

_STAGING = ".importing"


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        imported, found: names of the cases that this call brought in, and of those that were there.
        left_out: case or file → why it is not in the cohort, and the fix.
        warnings: about cases that are.
    """

    root: Path
    reader: str
    imported: tuple[str, ...]
    found: tuple[str, ...]
    left_out: dict[str, str]
    warnings: tuple[Finding, ...]

    def plain(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "cohort": str(self.root),
            "reader": self.reader,
            "imported": list(self.imported),
            "found": list(self.found),
            "left_out": self.left_out,
            "warnings": [warning.plain() for warning in self.warnings],
        }


def import_source(
    root: Path, source: Source, out: Path, settings: Settings, on_case: Callable[[int, int], None]
) -> Imported:
    """See `core.cohort.importing.run.import_data`.

    Raises:
        InputError: no case, an output folder that holds something else, lies in the source or cannot be written.
    """
    if not source.cases:
        why = "; ".join(f"{case} {reason}" for case, reason in list(source.left_out.items())[:1])
        raise InputError(f"{root}: the reader {settings.reader} finds no case in it" + (f": {why}" if why else ""))
    if out.resolve() == root.resolve() or root.resolve() in out.resolve().parents:
        raise InputError(f"--out {out}: lies in the source {root}, which is not altered; give a folder outside it")
    table, no_labels = _table(source)
    visits, left_out = name_visits(source.cases)
    open_folder(out, describe(root, settings))
    with _alone(out):
        return _import(root, source, out, settings, on_case, visits, left_out | no_labels, table)


def _import(
    root: Path,
    source: Source,
    out: Path,
    settings: Settings,
    on_case: Callable[[int, int], None],
    visits: list[Visit],
    left_out: dict[str, str],
    table: LabelTable | None,
) -> Imported:
    staging = out / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    found = tuple(visit.name for visit in visits if visit.is_in(out))
    missing = [visit for visit in visits if not visit.is_in(out)]
    outcomes: dict[str, list[Finding] | str] = {}
    on_case(len(found), len(visits))

    def one(visit: Visit) -> None:
        try:
            outcomes[visit.name] = _bring(visit, out, staging / uuid.uuid4().hex, settings, table)
        except InputError as error:
            outcomes[visit.name] = str(error)
        on_case(len(found) + len(outcomes), len(visits))

    try:
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
            list(pool.map(one, missing))
        write_tables(out, root, visits, table)
        left_out |= bring_splits(root, source, out)
        if any(visit.is_in(out) for visit in visits):
            write_description(out, describe(root, settings))
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); make room, and call again to go on") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    sources = {visit.name: visit.files.name for visit in visits}
    left_out |= source.left_out
    left_out |= {sources[name]: said for name, said in sorted(outcomes.items()) if isinstance(said, str)}
    warnings = tuple(f for _, said in sorted(outcomes.items()) if not isinstance(said, str) for f in said)
    imported = tuple(name for name, said in sorted(outcomes.items()) if not isinstance(said, str))
    return Imported(out, settings.reader, imported, found, left_out, warnings)


def _bring(visit: Visit, out: Path, building: Path, settings: Settings, table: LabelTable | None) -> list[Finding]:
    """Transfer one visit, check it, and put it in its place; warnings are given back.

    Raises:
        InputError: the first thing that is wrong with it, told of the source's files.
    """
    raw, derived = building / "raw", building / "derived"
    raw.mkdir(parents=True)
    derived.mkdir()
    files = transfer(visit, raw, derived, settings, labels=table is not None)
    findings = [_of_source(finding, visit) for finding in inspect_case(files, table).findings]
    if errors := [finding for finding in findings if finding.severe]:
        fix = "import with --resample" if errors[0].rule == "same_grid" else errors[0].fix
        raise FileFault(errors[0].file, errors[0].fault, fix)
    _copy_sidecars(visit, raw)
    if any(derived.iterdir()):
        shutil.rmtree(out / DERIVED / visit.folder, ignore_errors=True)  # left by a call that was cut short
        _move(derived, out / DERIVED / visit.folder)
    _move(raw, out / visit.folder)  # last: it is by the images that a case is there
    shutil.rmtree(building)
    return findings


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Keep a second import out of the same cohort while one is at work."""
    path = out / f"{_STAGING}.lock"
    try:
        with FileLock(path, timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"{out}: another import is at work in it; wait for its end") from error
    path.unlink(missing_ok=True)


def _of_source(finding: Finding, visit: Visit) -> Finding:
    """A finding about a transferred file, told of the file that it came from."""
    parts = {**visit.files.images, "mask": visit.files.mask, "dseg": visit.files.dseg}
    return Finding(**{**vars(finding), "case": visit.name, "file": str(parts[finding.part])})


def _copy_sidecars(visit: Visit, raw: Path) -> None:
    """What the source says of its images beside them: `.json`, and `.bval` and `.bvec` of a 3D image."""
    for part, path in visit.files.images.items():
        stem = without_ending(path)
        for ending in (".json", *(() if part in visit.files.volumes else (".bval", ".bvec"))):
            beside = path.with_name(stem + ending)
            if beside.is_file():
                shutil.copyfile(beside, raw / f"{visit.name}_{part}{ending}")


def _move(folder: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(folder, place)


def _table(source: Source) -> tuple[LabelTable | None, dict[str, str]]:
    """The source's label table, or why its label maps are left."""
    if not any(case.dseg for case in source.cases):
        return None, {}
    try:
        if source.table is None:
            raise InputError("have no dseg.tsv, so their labels mean nothing; give one")
        return LabelTable.read(source.table), {}
    except InputError as error:
        return None, {"label maps": f"{error}; or bring them in with 'strokereg data label'"}


def import_data(
    folder: Path | str,
    out: Path | str,
    reader: str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    link: bool = False,
    convert_adc: bool = False,
    resample: bool = False,
    lesion_label: int | None = None,
    on_case: Callable[[int, int], None] = lambda done, total: None,
) -> Imported:
    """Bring a folder of any known layout into a cohort; called again, it takes what is missing.

    Args:
        folder: the source, which is never altered.
        out: cohort folder, new or begun by an earlier call with the same settings.
        reader, options: see `read_source`.
        link: link files (hard, or symbolic to another file system) where they can stay as they are.
        convert_adc: turn ADC maps of a known unit into 10⁻³ mm²/s.
        resample: bring masks, label maps and ADC onto the grid of the DWI where they lie on another one.
        lesion_label: the value that means lesion in the masks; None where they hold 0 and 1.
        on_case: told how many cases are done, and of how many.

    Raises:
        InputError: see `read_source`; also an output folder that holds something else or cannot be written.
    """
    from strokereg.core.cohort.importing.run import Settings, import_source

    name, source = read_source(folder, reader, options)
    settings = Settings(
        reader=name,
        options={key: str(value) for key, value in (options or {}).items()},
        link=link,
        convert_adc=convert_adc,
        resample=resample,
        lesion_label=lesion_label,
    )
    return import_source(Path(folder), source, Path(out), settings, on_case)
