"""Several sources in one cohort: each keeps its settings, and no case of one may be a case of another."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from strokereg.core.cohort import layout
from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.checks.check import unnamed
from strokereg.core.cohort.checks.finding import Finding
from strokereg.core.cohort.checks.inspect import FOLDER, Inspection, inspect_cases
from strokereg.core.cohort.fingerprint import content_keys
from strokereg.core.cohort.folder import UNFINISHED, makers_of, open_folder, read_own, refuse_other_settings
from strokereg.core.cohort.importing.describe import MAKER, describe_import
from strokereg.core.cohort.importing.naming import Visit, name_visits
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.split import Split, folds_of, split_file, without
from strokereg.core.storage.cache import cache_folder
from strokereg.registry.errors import FileFault, InputError, did_you_mean

_TAKEN_OUT = ".excluded"
_FIX = "give a new folder with --out"
_GROWS = "exclude"  # the one setting that later calls may add to


def plan_import(out: Path, root: Path, settings: ImportSettings) -> tuple[dict[str, Any], ImportSettings]:
    """Begin a cohort, continue its import from this source, or add the source to it. Nothing is written.

    Returns:
        The description for the finished cohort, and the settings with the site's name and all cases that were ever
        excluded.

    Raises:
        InputError: another command made the folder, this source was imported with other settings, or its site has
            the name of another.
    """
    path, named = _description(out), settings.site is not None
    settings = replace(settings, site=settings.site or root.resolve().name)
    wanted = describe_import(root, settings)
    if path is None:
        return wanted, settings
    found = read_own(path, MAKER, _FIX)
    makers = makers_of(found)
    known = [maker["Settings"] for maker in makers if maker.get("Name") == MAKER]
    now = wanted["GeneratedBy"][0]["Settings"]
    same = next((before for before in known if before.get("source") == now["source"]), None)
    if same is None:
        if clash := next((before for before in known if before.get("site") == now["site"]), None):
            raise InputError(
                f"{root}: its site would be called {now['site']}, as that of {clash['source']} in {out}; "
                "give another name with --site"
            )
        makers = [*makers, *wanted["GeneratedBy"]]
        found["SourceDatasets"] = [*found.get("SourceDatasets", []), *wanted["SourceDatasets"]]
    else:
        excluded = sorted({*same.get(_GROWS, ()), *now[_GROWS]})
        now = now | {_GROWS: excluded} | ({} if named else {"site": same.get("site")})
        refuse_other_settings(out, same | {_GROWS: excluded}, now, _FIX)
        same[_GROWS] = excluded
        settings = replace(settings, exclude=tuple(excluded), site=same.get("site"))
    return {**found, "GeneratedBy": makers}, settings


def begin_import(out: Path, description: dict[str, Any]) -> None:
    """Prepare the folder of a cohort, unless it has been begun.

    Raises:
        InputError: it holds something else or cannot be written.
    """
    if _description(out) is None:
        open_folder(out, description)


def _description(out: Path) -> Path | None:
    return next((out / name for name in (layout.DESCRIPTION, UNFINISHED) if (out / name).is_file()), None)


def leave_out(
    cases: Sequence[CaseFiles], settings: ImportSettings, given: Sequence[str]
) -> tuple[list[CaseFiles], list[Visit]]:
    """Separate the cases that `settings` excludes, by any of their names: in the source or in BIDS, case or subject.

    Args:
        given: names that must exist, as this call asks for them.

    Returns:
        The other cases, and the excluded ones under their BIDS names.

    Raises:
        InputError: no case has one of these names.
    """
    wanted = {name.casefold().removeprefix("sub-") for name in settings.exclude}
    kept, excluded, known = [], [], set()
    for files in cases:
        visits = name_visits([files], settings.prefix)[0]
        names = {files.name, files.subject, *(name for visit in visits for name in (visit.name, visit.subject))}
        short = {name.casefold().removeprefix("sub-") for name in names}
        known |= names
        if short & wanted:
            excluded += visits
        else:
            kept.append(files)
    lower = {name.casefold().removeprefix("sub-") for name in known}
    for name in given:
        if name.casefold().removeprefix("sub-") not in lower:
            hint = did_you_mean(name, sorted(known))
            raise InputError(f"--exclude {name}: the source has no such case{hint}; correct the name")
    return kept, excluded


def refuse_clashes(out: Path, visits: Iterable[Visit], others: dict[str, str]) -> None:
    """Refuse a subject whose name another site has.

    Args:
        others: subject → site, of the other sites.

    Raises:
        InputError: names the first one, and how many there are.
    """
    known = {subject.casefold(): (subject, site) for subject, site in others.items()}
    clashes = sorted({visit.subject for visit in visits if visit.subject.casefold() in known})
    if clashes:
        subject, site = known[clashes[0].casefold()]
        more = f" (and {len(clashes) - 1} more)" if len(clashes) > 1 else ""
        raise InputError(
            f"{out}: has {subject}{more} from {site} already; if these are other patients, tell them apart with "
            "--prefix, for example --prefix B"
        )


class Contents:
    """The images and lesions of the other sites, so that a patient does not come in twice."""

    def __init__(self, out: Path, others: dict[str, str]) -> None:
        cases = [case for case in layout.list_cases(out) if case.subject in others] if others else []
        table = layout.table_path(out)
        cache = cache_folder() / "prepared"
        keys = content_keys(cases, cache)
        seen = inspect_cases(cases, LabelTable.read(table) if table else None, keys, cache / FOLDER)
        self.known = {
            pair: f"{case.name} of {others[case.subject]}"
            for case, inspection in zip(cases, seen, strict=True)
            for pair in inspection.fingerprints.items()
        }

    def refuse(self, visit: Visit, inspection: Inspection) -> None:
        """Refuse a case that another site has.

        Raises:
            FileFault: says which one.
        """
        for kind, value in inspection.fingerprints.items():
            if (kind, value) in self.known:
                part = "mask" if kind == "lesion mask" else visit.files.first
                fault = f"has the same {kind} as {self.known[kind, value]}"
                raise FileFault(visit.files.parts[part], fault, f"leave it out with --exclude {visit.files.name}")


def outside_split(out: Path) -> list[Finding]:
    """A warning if the split of a cohort does not name all its subjects, as after another site has joined it."""
    path = out / split_file()
    if not path.is_file():
        return []
    fix = "remove it and write another, for instance with 'strokereg data split --test-site'"
    return list(unnamed(path, Split.read(path), layout.list_cases(out), fix))


def take_out(out: Path, visits: Iterable[Visit]) -> None:
    """Move visits of a cohort to a hidden folder in it, and their subjects out of its splits."""
    for visit in visits:
        below = Path(visit.subject, visit.session) if visit.session else Path(visit.subject)
        for place in (out / below, *out.glob(f"derivatives/*/{below}")):
            if place.is_dir():
                target = out / _TAKEN_OUT / place.relative_to(out)
                shutil.rmtree(target, ignore_errors=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(place, target)
                if visit.session and not any(place.parent.iterdir()):
                    place.parent.rmdir()
    gone = {visit.subject for visit in visits if not (out / visit.subject).is_dir()}
    for fold in (None, *folds_of(out)):
        path = out / split_file(fold)
        if path.is_file() and gone & {*Split.read(path).subjects}:
            without(Split.read(path), gone).write(path)
