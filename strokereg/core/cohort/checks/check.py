"""Checks of a cohort as a whole, and the two ways they are asked for: as a list, and before a training."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.duplicates import duplicates
from strokereg.core.cohort.checks.finding import Finding, finding_of
from strokereg.core.cohort.checks.inspect import FOLDER, inspect_cases
from strokereg.core.cohort.cohort import Cohort, read_split
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.open import look_into
from strokereg.core.cohort.split import SPLIT_FILE, folds_of
from strokereg.registry.errors import FileFault, InputError

log = logging.getLogger("strokereg")

_SHOWN = 5  # warnings before a training; all of them are for `data check`


@dataclass(frozen=True)
class Checked:
    """The outcome for a cohort.

    Attributes:
        cases: how many were looked at.
        empty_masks: names of the cases without lesion, which is allowed.
    """

    root: Path
    cases: int
    empty_masks: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> list[Finding]:
        """What stops a training."""
        return [finding for finding in self.findings if finding.severe]

    @property
    def warnings(self) -> list[Finding]:
        """The rest."""
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


def check_cohort(cohort: Cohort, cache: Path, on_case: Callable[[str], None] = lambda name: None) -> Checked:
    """Look for every fault in every case of a cohort that was opened without its split; nothing is raised for a fault.

    Args:
        cache: of prepared cases; inspections are kept beside them, by content.
        on_case: told of each case that is done.
    """
    seen = inspect_cases(cohort.cases, cohort.table, _keys(cohort.cases, cache), cache / FOLDER, on_case)
    findings = [finding for inspection in seen for finding in inspection.findings]
    splits = []
    for fold in (None, *folds_of(cohort.root)):
        try:
            splits.append(read_split(cohort.root, cohort.cases, fold))
        except FileFault as error:
            findings.append(finding_of("split", "", "", error))
    repeated: dict[str, Finding] = {}
    for split in splits or [None]:
        for duplicate in duplicates(cohort.cases, seen, split):
            if duplicate.case not in repeated or duplicate.severe:
                repeated[duplicate.case] = duplicate
    findings += [*repeated.values(), *missing_parts(cohort)]
    empty = tuple(inspection.case for inspection in seen if inspection.lesion_ml == 0)
    return Checked(cohort.root, len(cohort.cases), empty, tuple(findings))


def require_sound(
    cohort: Cohort,
    cases: Sequence[CaseFiles],
    channels: tuple[str, ...],
    keys: Mapping[str, str],
    cache: Path,
) -> None:
    """What every training asks first: errors in these cases stop it, warnings are logged.

    An error in an image that the training does not use is a warning.

    Raises:
        InputError: the first error, and how many there are.
    """
    seen = inspect_cases(cases, cohort.table, keys, cache / FOLDER)
    used = {*channels, "mask", "dseg", ""}
    findings = [
        replace(finding, severe=finding.severe and finding.part in used)
        for finding in [*itertools.chain(*(i.findings for i in seen)), *duplicates(cases, seen, cohort.split)]
    ]
    errors = [finding for finding in findings if finding.severe]
    if errors:
        others = f" (and {len(errors) - 1} more, see 'strokereg data check {cohort.root}')" if len(errors) > 1 else ""
        raise InputError(f"{errors[0]}{others}")
    for finding in findings[:_SHOWN]:
        log.warning("Warning: %s", finding)
    if len(findings) > _SHOWN:
        log.warning("… and %d more: see 'strokereg data check %s'", len(findings) - _SHOWN, cohort.root)


def missing_parts(cohort: Cohort) -> Iterator[Finding]:
    """What is not there and will be asked for: one warning for each kind."""
    for what, fix, without in (
        ("lesion mask", "no training can use it; add one", [case.name for case in cohort.cases if case.mask is None]),
        (
            "tissue label map",
            "a training on the cohort needs them; make them with 'strokereg data label'",
            [case.name for case in cohort.cases if case.dseg is None],
        ),
    ):
        if without:
            named = without[0] + (f" and {len(without) - 1} more have" if len(without) > 1 else " has")
            error = FileFault(cohort.root, f"{named} no {what}", fix)
            yield finding_of("missing_parts", "", "", error, severe=False)
    if cohort.table is None and any(case.dseg for case in cohort.cases):
        error = FileFault(cohort.root, "has label maps and no derivatives/*/dseg.tsv", "add the label table")
        yield finding_of("missing_parts", "", "", error, severe=False)
    if not (cohort.root / SPLIT_FILE).is_file() and not folds_of(cohort.root):
        error = FileFault(cohort.root, f"has no {SPLIT_FILE}", f"write one with 'strokereg data split {cohort.root}'")
        yield finding_of("missing_parts", "", "", error, severe=False)


def _keys(cases: Sequence[CaseFiles], cache: Path) -> dict[str, str]:
    """Content keys of the cases whose files can be read at all."""
    try:
        return content_keys(cases, cache)
    except FileFault:  # one file is missing: then case by case
        keys: dict[str, str] = {}
    for case in cases:
        try:
            keys |= content_keys([case], cache)
        except FileFault:
            continue
    return keys


def check_data(folder: Path | str, on_case: Callable[[str, int], None] = lambda name, total: None) -> Checked:
    """Look for every fault of a cohort, or of a folder that a reader recognises.

    Args:
        on_case: told of each case that is done, and of how many.

    Raises:
        InputError: a folder that is no cohort, or without cases.
    """
    from strokereg.core.cohort.checks.check import check_cohort
    from strokereg.core.cohort.cohort import cohort_of
    from strokereg.core.storage.cache import cache_folder

    root, _, source = look_into(folder)
    cohort = cohort_of(root, source, split=False)
    total = len(cohort.cases)
    return check_cohort(cohort, cache_folder() / "prepared", lambda name: on_case(name, total))
