"""Find one patient under two names: two cases with the same image or the same lesion mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.finding import Finding, finding_of
from strokereg.core.cohort.checks.inspect import FOLDER, Inspection, inspect_cases
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.split import PARTS, Split
from strokereg.registry.errors import FileFault, InputError


def duplicates(cases: Sequence[CaseFiles], seen: Sequence[Inspection], split: Split | None) -> Iterator[Finding]:
    """A finding for each case that repeats an earlier one: an error if they are in different parts of the split.

    Args:
        cases: the cases.
        seen: their inspections, in the same order.
        split: the split; None for none.
    """
    part_of = {subject: part for part in PARTS for subject in split.part(part)} if split else {}
    labelled = [
        (part_of.get(case.subject, ""), case, found.fingerprints) for case, found in zip(cases, seen, strict=True)
    ]
    for part, case, before, duplicate, kind in _duplicates(labelled):
        leak = bool(part and before) and part != before
        fault = f"has the same {kind} as {duplicate.name}" + (f", in {before} and in {part}" if leak else "")
        shown = "mask" if kind == "lesion mask" and case.mask else case.first
        path = case.parts[shown]
        error = FileFault(path, fault, f"take one out: import again with --exclude {case.name}, or remove its files")
        yield finding_of("duplicates", case.name, shown, error, severe=leak)


def refuse_leaks(
    parts: Mapping[str, Iterable[CaseFiles]], tables: Mapping[str, LabelTable | None], cache: Path
) -> None:
    """Refuse a patient that is in two parts, for instance in training and in an external cohort.

    Args:
        parts: name of a part → its cases.
        tables: name of a part → its label table.
        cache: folder of prepared cases, which has the cached inspections.

    Raises:
        InputError: names both cases, both parts and what they share.
    """
    labelled = []
    for part, cases in parts.items():
        files = list(cases)
        seen = inspect_cases(files, tables.get(part), content_keys(files, cache), cache / FOLDER)
        labelled += [(part, case, found.fingerprints) for case, found in zip(files, seen, strict=True)]
    for part, case, before, duplicate, kind in _duplicates(labelled):
        if part != before:
            first = case.images[case.first]
            raise InputError(
                f"{first}: has the same {kind} as {duplicate.name} of the {before} cases, but is among "
                f"the {part} cases; take one out: import again with --exclude {case.name}, or remove its files"
            )


def _duplicates(
    labelled: Iterable[tuple[str, CaseFiles, Mapping[str, str]]],
) -> Iterator[tuple[str, CaseFiles, str, CaseFiles, str]]:
    """Part and case, part and case of an earlier duplicate, and what they share.

    A duplicate in another part is reported before one in the same part, and an image before a lesion mask.
    """
    seen: dict[tuple[str, str], dict[str, CaseFiles]] = {}
    for part, case, fingerprints in labelled:
        known = [(kind, seen.setdefault((kind, value), {})) for kind, value in fingerprints.items()]
        pairs = [(before, duplicate, kind) for kind, holders in known for before, duplicate in holders.items()]
        pairs.sort(key=lambda pair: pair[0] == part)
        if pairs:
            before, duplicate, kind = pairs[0]
            yield part, case, before, duplicate, kind
        for _, holders in known:
            holders.setdefault(part, case)
