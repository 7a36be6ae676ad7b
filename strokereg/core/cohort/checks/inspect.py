"""Apply every rule to each case, and cache the result by the content of its files."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.finding import Finding, finding_of
from strokereg.core.cohort.checks.rules import RULES, Parts
from strokereg.core.cohort.fingerprint import case_fingerprints
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.bvalues import read_bvalues
from strokereg.core.scan.contrasts import WEIGHTED
from strokereg.core.scan.series import read_image
from strokereg.core.storage.cache import cached, digest
from strokereg.core.storage.workers import map_in_threads
from strokereg.registry.errors import FileFault

FOLDER = "checks"  # in the cache of prepared cases
_FORMAT = 6  # part of every key; raised whenever a rule changes


@dataclass(frozen=True)
class Inspection:
    """The result for a case.

    Attributes:
        case: its name.
        findings: all faults of its files.
        fingerprints: see `core.cohort.fingerprint.case_fingerprints`.
        lesion_ml: lesion volume in ml; None without a readable mask.
    """

    case: str
    findings: tuple[Finding, ...]
    fingerprints: dict[str, str]
    lesion_ml: float | None


def inspect_case(files: CaseFiles, table: LabelTable | None = None) -> Inspection:
    """Read every part of a case and apply each rule. Faults are returned, not raised."""
    volumes, findings = {}, []
    for part, path in files.parts.items():
        try:
            volumes[part] = read_image(path, part, files.volumes.get(part))
        except FileFault as error:
            findings.append(finding_of("readable", files.name, part, error))
    parts = Parts(files.name, volumes, table)
    for rule in RULES:
        findings += rule(parts)
    mask = volumes.get("mask")
    return Inspection(
        files.name,
        tuple(findings),
        case_fingerprints(volumes),
        float((mask.data > 0).sum()) * mask.voxel_ml if mask is not None else None,
    )


def inspect_cases(
    cases: Iterable[CaseFiles],
    table: LabelTable | None,
    keys: Mapping[str, str],
    cache: Path | None = None,
    on_case: Callable[[int], None] = lambda done: None,
) -> list[Inspection]:
    """Inspect cases; the results of unchanged files come from the cache.

    Args:
        cases: the cases.
        table: their label table.
        keys: case name → digest of the bytes of its files; a case without one is not cached.
        cache: folder of cached inspections; None for none.
        on_case: called with the number of finished cases after each case, from several threads.
    """
    counter = itertools.count(1)

    def one(files: CaseFiles) -> Inspection:
        key = _key(files, table, keys)
        if cache is None or key is None:
            found = inspect_case(files, table)
        else:
            found = _rename(cached(cache, key, lambda: asdict(inspect_case(files, table))), files)
        on_case(next(counter))
        return found

    return map_in_threads(one, cases)


def _key(files: CaseFiles, table: LabelTable | None, keys: Mapping[str, str]) -> str | None:
    if files.name not in keys:
        return None
    names = table.names if table else None
    bvalues = {part: read_bvalues(path) for part, path in files.images.items() if part in WEIGHTED}
    return digest([_FORMAT, keys[files.name], list(files.parts), dict(files.volumes), bvalues, names])


def _rename(saved: dict[str, Any], files: CaseFiles) -> Inspection:
    """A cached inspection, under the present name and paths of its files."""
    findings = (
        replace(Finding(**finding), case=files.name, file=str(files.parts[finding["part"]]))
        for finding in saved["findings"]
    )
    return Inspection(files.name, tuple(findings), saved["fingerprints"], saved["lesion_ml"])
