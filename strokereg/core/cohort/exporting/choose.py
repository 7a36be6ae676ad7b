"""Choose the cases of an export: the parts of one cohort, and the cases of others that join its training cases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.duplicates import refuse_leaks
from strokereg.core.cohort.checks.inspect import FOLDER, inspect_cases
from strokereg.core.cohort.cohort import Cohort
from strokereg.core.cohort.exporting import ExportFormat
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.folder import is_synthetic
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.split import PARTS
from strokereg.core.scan.contrasts import canonical_channels, in_order
from strokereg.core.storage.cache import cache_folder
from strokereg.registry.errors import InputError


@dataclass(frozen=True)
class ExportSettings:
    """What an export writes.

    Attributes:
        format: format of another tool.
        channels: contrasts, the one that defines the grid first; None for all that every case has.
        cases: number of training cases of the first cohort, the first ones of its split; None for all.
        fold: fold of a cross-validation, counted from 1; None for `split.tsv`.
        link: link the files that stay unchanged, instead of copying them.
    """

    format: ExportFormat
    channels: tuple[str, ...] | None = None
    cases: int | None = None
    fold: int | None = None
    link: bool = False


@dataclass(frozen=True)
class ExportCase:
    """A case to export.

    Attributes:
        files: its names in its cohort, and its files: of the contrasts to export only.
        cohort: the cohort that it comes from.
        subject, name: its names in the export.
        part: `train`, `val` or `test`.
    """

    files: CaseFiles
    cohort: Cohort
    subject: str
    name: str
    part: str


@dataclass(frozen=True)
class Choice:
    """The cases of an export, training cases first, in the order of the split.

    Attributes:
        cases: all of them.
        channels: their contrasts, the one that defines the grid first.
        table: the label table that their label maps share; None to leave label maps out.
        has_split: the first cohort has a split.
    """

    cases: tuple[ExportCase, ...]
    channels: tuple[str, ...]
    table: LabelTable | None
    has_split: bool

    @cached_property
    def parts(self) -> dict[str, list[ExportCase]]:
        """`train`, `val` and `test` → their cases."""
        return {part: [case for case in self.cases if case.part == part] for part in PARTS}


def choose(cohort: Cohort, added: Sequence[Cohort], settings: ExportSettings) -> Choice:
    """Choose and check the cases of an export.

    Args:
        cohort: decides which cases validate and test; without a split, all its cases are training cases.
        added: cohorts whose cases join the training cases, under names that begin with the name of their folder: all
            cases of a synthetic one or one without a split, the training cases of others.

    Raises:
        InputError: too few training cases, two cases of one name, a case without one of the contrasts or a training
            case without mask, a faulty file, images on different grids, or one patient in two parts.
    """
    cases = [*_own(cohort, settings.cases), *(case for other in added for case in _joining(other))]
    _refuse_clashes(cases)
    channels = _channels(cases, settings.channels)
    tables = {one.table for one in (cohort, *added)}
    table = tables.pop() if len(tables) == 1 else None
    chosen = tuple(_narrow(case, channels, table is not None) for case in cases)
    _check(chosen, table)
    return Choice(chosen, channels, table, cohort.split is not None)


def _own(cohort: Cohort, count: int | None) -> list[ExportCase]:
    """The cases of the first cohort, under their own names."""
    parts = {"train": cohort.cases} if cohort.split is None else {part: cohort.part(part) for part in PARTS}
    if count is not None and count > len(parts["train"]):
        raise InputError(f"--cases {count}: {cohort.root} has {len(parts['train'])} training cases; ask for fewer")
    return [
        ExportCase(case, cohort, case.subject, case.name, part)
        for part, files in parts.items()
        for case in (files[:count] if part == "train" else files)
    ]


def _joining(cohort: Cohort) -> list[ExportCase]:
    """The cases of another cohort that join, under names that begin with that of its folder."""
    prefix = f"sub-{re.sub('[^A-Za-z0-9]', '', cohort.root.resolve().name)}"
    cases = []
    joins_whole = cohort.split is None or is_synthetic(cohort.root)  # nobody is evaluated on synthetic cases
    for case in cohort.cases if joins_whole else cohort.part("train"):
        subject = prefix + case.subject.removeprefix("sub-")
        cases.append(ExportCase(case, cohort, subject, case.name.replace(case.subject, subject, 1), "train"))
    return cases


def _refuse_clashes(cases: Sequence[ExportCase]) -> None:
    known: dict[str, ExportCase] = {}
    for case in cases:
        other = known.setdefault(case.name.casefold(), case)
        if other is not case:
            places = f"{other.cohort.root} and in {case.cohort.root}"
            raise InputError(f"{case.name}: would be the name of a case in {places}; rename one of the two folders")


def _channels(cases: Sequence[ExportCase], wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    """The contrasts to export."""
    if wanted is not None:
        return canonical_channels(wanted)
    common = set.intersection(*({*case.files.images} for case in cases))
    if not common:
        pair = [next(case for case in cases if not {*case.files.images} & {*cases[0].files.images})]
        has = [f"{case.name} has {' and '.join(case.files.images)}" for case in (cases[0], *pair)]
        raise InputError(f"no contrast is common to all cases: {', '.join(has)}; export them separately")
    return tuple(in_order(common))


def _narrow(case: ExportCase, channels: Sequence[str], labels: bool) -> ExportCase:
    """The case with the files to export only."""
    files = case.files
    for channel in channels:
        if channel not in files.images:
            raise InputError(
                f"{case.cohort.root}: {files.name} has no {channel} image, but {' and '.join(files.images)}; "
                f"add it or leave {channel} out of --channels"
            )
    if files.mask is None and case.part != "test":
        raise InputError(
            f"{case.cohort.root}: {files.name} has no lesion mask; add it (all zero if there is no lesion)"
        )
    images = {channel: files.images[channel] for channel in channels}
    return replace(case, files=replace(files, images=images, dseg=files.dseg if labels else None))


def _check(cases: Sequence[ExportCase], table: LabelTable | None) -> None:
    """Refuse faulty files, images on different grids, and one patient in two parts."""
    cache = cache_folder() / "prepared"
    files = [replace(case.files, name=case.name) for case in cases]
    for inspection in inspect_cases(files, table, content_keys(files, cache), cache / FOLDER):
        for finding in inspection.findings:
            if finding.severe or finding.rule == "same_grid":
                other_grid = finding.rule == "same_grid" and not finding.severe
                fix = "leave it out of --channels, or import with --resample" if other_grid else finding.fix
                raise InputError(f"{finding.file}: {finding.fault}; {fix}")
    shown = dict(zip(PARTS, ("training", "validation", "test"), strict=True))
    parts = {
        shown[part]: [file for file, case in zip(files, cases, strict=True) if case.part == part] for part in PARTS
    }
    refuse_leaks(parts, dict.fromkeys(parts, table), cache)
