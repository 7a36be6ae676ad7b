"""Looking at every case once, and keeping what was seen by the content of its files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from strokereg.core.case import CaseFiles
from strokereg.core.checks.finding import Finding, finding_of
from strokereg.core.checks.rules import RULES, Parts
from strokereg.core.errors import FileFault
from strokereg.core.labels import LabelTable
from strokereg.core.memo import digest
from strokereg.core.nifti import read_volume
from strokereg.core.record import write_json

_FORMAT = 1  # part of every key: raise it when a rule changes


@dataclass(frozen=True)
class Inspection:
    """What was seen of a case.

    Attributes:
        voxels: digest of the DWI's voxels, the same for two files of one image; "" where it cannot be read.
        lesion_ml: None without a readable mask.
    """

    case: str
    findings: tuple[Finding, ...]
    voxels: str
    lesion_ml: float | None


def inspect_case(files: CaseFiles, table: LabelTable | None = None) -> Inspection:
    """Read every part of a case and put each rule to it; nothing that is wrong with a file is raised."""
    paths = {**files.images, "mask": files.mask, "dseg": files.dseg}
    volumes, findings = {}, []
    for part, path in paths.items():
        if path is None:
            continue
        try:
            volumes[part] = read_volume(path, files.volumes.get(part))
        except FileFault as error:
            findings.append(finding_of("readable", files.name, part, error))
    parts = Parts(files.name, volumes, table)
    for rule in RULES:
        findings += rule(parts)
    dwi, mask = volumes.get("dwi"), volumes.get("mask")
    return Inspection(
        files.name,
        tuple(findings),
        hashlib.sha256(dwi.data.tobytes()).hexdigest() if dwi is not None else "",
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
        kept = _entry(cache, files, table, keys)
        found = _recall(kept, files) if kept else None
        if found is None:
            found = inspect_case(files, table)
            if kept:
                kept.parent.mkdir(parents=True, exist_ok=True)
                write_json(kept, asdict(found))
        on_case(files.name)
        return found

    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, cases))


def _entry(cache: Path | None, files: CaseFiles, table: LabelTable | None, keys: Mapping[str, str]) -> Path | None:
    if cache is None or files.name not in keys:
        return None
    parts = sorted([*files.images, *(["mask"] if files.mask else []), *(["dseg"] if files.dseg else [])])
    key = digest([_FORMAT, keys[files.name], parts, dict(files.volumes), table.names if table else None])
    return cache / key[:2] / f"{key[2:34]}.json"


def _recall(kept: Path, files: CaseFiles) -> Inspection | None:
    """What was seen of the same files, which may lie elsewhere by now and be called otherwise."""
    try:
        said = json.loads(kept.read_text(encoding="utf-8"))
        found = [Finding(**finding) for finding in said["findings"]]
        voxels, lesion_ml = said["voxels"], said["lesion_ml"]
    except (OSError, ValueError, TypeError, KeyError):
        return None
    paths = {**files.images, "mask": files.mask, "dseg": files.dseg}
    here = tuple(replace(finding, case=files.name, file=str(paths[finding.part])) for finding in found)
    return Inspection(files.name, here, voxels, lesion_ml)
