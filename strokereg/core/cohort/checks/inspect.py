"""Looking at every case once, and keeping what was seen by the content of its files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.finding import Finding, finding_of
from strokereg.core.cohort.checks.rules import RULES, Parts
from strokereg.core.cohort.fingerprint import marks_of
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.nifti import read_volume
from strokereg.core.storage.cache import cached, digest
from strokereg.registry.errors import FileFault

FOLDER = "checks"  # in the cache of prepared cases
_FORMAT = 3  # part of every key: raise it when a rule changes


@dataclass(frozen=True)
class Inspection:
    """What was seen of a case.

    Attributes:
        marks: what the case is known by, whatever its files are called; see `core.cohort.fingerprint.marks_of`.
        lesion_ml: None without a readable mask.
    """

    case: str
    findings: tuple[Finding, ...]
    marks: dict[str, str]
    lesion_ml: float | None


def inspect_case(files: CaseFiles, table: LabelTable | None = None) -> Inspection:
    """Read every part of a case and put each rule to it; nothing that is wrong with a file is raised."""
    volumes, findings = {}, []
    for part, path in files.parts.items():
        try:
            volumes[part] = read_volume(path, files.volumes.get(part))
        except FileFault as error:
            findings.append(finding_of("readable", files.name, part, error))
    parts = Parts(files.name, volumes, table)
    for rule in RULES:
        findings += rule(parts)
    mask = volumes.get("mask")
    return Inspection(
        files.name,
        tuple(findings),
        marks_of(volumes),
        float((mask.data > 0).sum()) * mask.voxel_ml if mask is not None else None,
    )


def inspect_cases(
    cases: Iterable[CaseFiles],
    table: LabelTable | None,
    keys: Mapping[str, str],
    cache: Path | None = None,
    on_case: Callable[[str], None] = lambda name: None,
) -> list[Inspection]:
    """Inspect cases, or find what was seen of the same files before.

    Args:
        keys: case name → digest of the bytes of its files; a case without one is looked at anew.
        cache: folder in which inspections are kept; None for none.
        on_case: told of each case that is done.
    """

    def one(files: CaseFiles) -> Inspection:
        key = _key(files, table, keys)
        if cache is None or key is None:
            found = inspect_case(files, table)
        else:
            found = _here(cached(cache, key, lambda: asdict(inspect_case(files, table))), files)
        on_case(files.name)
        return found

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, cases))


def _key(files: CaseFiles, table: LabelTable | None, keys: Mapping[str, str]) -> str | None:
    if files.name not in keys:
        return None
    names = table.names if table else None
    return digest([_FORMAT, keys[files.name], sorted(files.parts), dict(files.volumes), names])


def _here(said: dict[str, Any], files: CaseFiles) -> Inspection:
    """What was seen of the same files, which may lie elsewhere by now and be called otherwise."""
    paths = {**files.images, "mask": files.mask, "dseg": files.dseg}
    found = (
        replace(Finding(**finding), case=files.name, file=str(paths[finding["part"]])) for finding in said["findings"]
    )
    return Inspection(files.name, tuple(found), said["marks"], said["lesion_ml"])
