"""Check a cohort: list all its faults, or stop a training at the first error."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.duplicates import duplicates
from strokereg.core.cohort.checks.finding import Finding, finding_of
from strokereg.core.cohort.checks.inspect import FOLDER, inspect_cases
from strokereg.core.cohort.cohort import Cohort, cohort_of, read_split
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.open import find_source
from strokereg.core.cohort.split import SPLIT_FILE, Split, folds_of, split_file
from strokereg.core.storage.cache import cache_folder
from strokereg.registry.errors import FileFault, InputError, command

log = logging.getLogger("strokereg")

_SHOWN = 5  # warnings before a training; `data check` lists all


@dataclass(frozen=True)
class Checked:
    """The result for a cohort.

    Attributes:
        root: the folder.
        cases: number of cases.
        empty_masks: names of the cases whose mask has no lesion, which is allowed.
        findings: all faults.
    """

    root: Path
    cases: int
    empty_masks: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> list[Finding]:
        """Findings that stop a training."""
        return [finding for finding in self.findings if finding.severe]

    @property
    def warnings(self) -> list[Finding]:
        """All other findings."""
        return [finding for finding in self.findings if not finding.severe]

    def plain(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "cohort": str(self.root),
            "cases": self.cases,
            "errors": len(self.errors),
            "warnings": len(self.warnings),
            "empty_masks": list(self.empty_masks),
            "findings": [finding.plain() for finding in self.findings],
        }


def check_data(folder: Path | str, on_case: Callable[[int, int], None] = lambda done, total: None) -> Checked:
    """List every fault of a cohort, or of a folder that a reader recognises. Faults are returned, not raised.

    Args:
        folder: a cohort or another folder of scans.
        on_case: called with (finished, total) after each case, from several threads.

    Raises:
        InputError: a folder without a known layout or without cases.
    """
    cohort = cohort_of(Path(folder), find_source(folder), split=False)
    cache, total = cache_folder() / "prepared", len(cohort.cases)
    keys = _keys(cohort.cases, cache)
    seen = inspect_cases(cohort.cases, cohort.table, keys, cache / FOLDER, lambda done: on_case(done, total))
    findings = [finding for inspection in seen for finding in inspection.findings]
    splits = []
    for fold in (None, *folds_of(cohort.root)):
        try:
            splits.append(split := read_split(cohort.root, cohort.cases, fold))
            if split:
                findings += unnamed(cohort.root / split_file(fold), split, cohort.cases, "add them to use them")
        except FileFault as error:
            findings.append(finding_of("split", "", "", error))
    repeated: dict[str, Finding] = {}
    for split in splits or [None]:
        for duplicate in duplicates(cohort.cases, seen, split):
            if duplicate.case not in repeated or duplicate.severe:
                repeated[duplicate.case] = duplicate
    findings += [*repeated.values(), *_missing_parts(cohort)]
    empty = tuple(inspection.case for inspection in seen if inspection.lesion_ml == 0)
    return Checked(cohort.root, total, empty, tuple(findings))


def require_sound(
    cohort: Cohort,
    cases: Sequence[CaseFiles],
    channels: tuple[str, ...],
    keys: Mapping[str, str],
    cache: Path,
) -> None:
    """Check the cases of a training: raise the first error, log warnings.

    An error in an image that the training does not use counts as a warning.

    Args:
        cohort: the cohort of the cases.
        cases: the cases to check.
        channels: contrasts that the training uses.
        keys: content keys of the cases, see `core.cohort.fingerprint.content_keys`.
        cache: folder of prepared cases, which has the cached inspections.

    Raises:
        InputError: the first error, with the number of others.
    """
    seen = inspect_cases(cases, cohort.table, keys, cache / FOLDER)
    used = {*channels, "mask", "dseg", ""}
    findings = [
        replace(finding, severe=finding.severe and finding.part in used)
        for finding in [*itertools.chain(*(i.findings for i in seen)), *duplicates(cases, seen, cohort.split)]
    ]
    errors = [finding for finding in findings if finding.severe]
    if errors:
        others = f" (and {len(errors) - 1} more: {command('strokereg', 'data', 'check', cohort.root)})"
        others = others if len(errors) > 1 else ""
        raise InputError(f"{errors[0]}{others}")
    for finding in findings[:_SHOWN]:
        log.warning("Warning: %s", finding)
    if len(findings) > _SHOWN:
        listing = command("strokereg", "data", "check", cohort.root)
        log.warning("… and %d more: %s", len(findings) - _SHOWN, listing)


def unnamed(path: Path, split: Split, cases: Iterable[CaseFiles], fix: str) -> Iterator[Finding]:
    """A warning if a split, read from a file, leaves subjects out."""
    rest = sorted({case.subject for case in cases} - {*split.subjects})
    if rest:
        others = f" and {len(rest) - 1} more" if len(rest) > 1 else ""
        yield finding_of("split", "", "", FileFault(path, f"does not name {rest[0]}{others}", fix), severe=False)


def _missing_parts(cohort: Cohort) -> Iterator[Finding]:
    """A warning for each kind of file that is missing and will be needed."""
    without_mask = [case.name for case in cohort.cases if case.mask is None]
    without_labels = [case.name for case in cohort.cases if case.dseg is None]
    faults = []
    if without_mask:
        faults.append((f"{_have(without_mask)} no lesion mask", "add one, as every training needs it"))
    if without_labels:
        fix = "make them with 'strokereg data label', as translators need them"
        faults.append((f"{_have(without_labels)} no tissue label map", fix))
    if cohort.table is None and len(without_labels) < len(cohort.cases):
        faults.append(("has label maps but no derivatives/*/dseg.tsv", "add the label table"))
    if not (cohort.root / SPLIT_FILE).is_file() and not folds_of(cohort.root):
        faults.append((f"has no {SPLIT_FILE}", f"write one with: {command('strokereg', 'data', 'split', cohort.root)}"))
    for fault, fix in faults:
        yield finding_of("missing_parts", "", "", FileFault(cohort.root, fault, fix), severe=False)


def _have(names: Sequence[str]) -> str:
    return f"{names[0]} has" if len(names) == 1 else f"{names[0]} and {len(names) - 1} more have"


def _keys(cases: Sequence[CaseFiles], cache: Path) -> dict[str, str]:
    """Content keys of the cases whose files can all be read."""
    try:
        return content_keys(cases, cache)
    except FileFault:  # a file is missing: try each case on its own
        keys: dict[str, str] = {}
    for case in cases:
        try:
            keys |= content_keys([case], cache)
        except FileFault:
            continue
    return keys
