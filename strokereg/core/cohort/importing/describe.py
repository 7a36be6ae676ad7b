"""The description, the participants and the split of an imported cohort."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from strokereg.core.cohort.cohort import read_split
from strokereg.core.cohort.folder import SideFiles, describe, read_makers
from strokereg.core.cohort.importing.naming import Visit
from strokereg.core.cohort.importing.transfer import ImportSettings
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.layout import DESCRIPTION
from strokereg.core.cohort.participants import SITE, Participants, read_participants
from strokereg.core.cohort.source import Source
from strokereg.core.cohort.split import folds_of, split_file, without
from strokereg.registry.errors import FileFault, InputError

MAKER = "strokereg data import"
DERIVED = Path("derivatives") / "imported"


def describe_import(root: Path, settings: ImportSettings) -> dict[str, Any]:
    """The description of a cohort of one source: the settings, and the programs that made the source."""
    source = root.resolve().as_uri()
    description = describe(root.resolve().name, MAKER, {**settings.plain(), "source": source})
    with contextlib.suppress(InputError):
        description["GeneratedBy"] += read_makers(root)  # a simulated cohort stays a simulated one
    return description | {"SourceDatasets": [{"URL": source}]}


def side_files(out: Path, root: Path, visits: list[Visit], site: str, table: LabelTable | None) -> SideFiles:
    """The files beside the cases. `participants.tsv` keeps the rows and columns that it has.

    Args:
        out: the cohort.
        root: the source.
        visits: the source's visits that are in the cohort.
        site: name of the source.
        table: label table of its label maps.
    """
    before = read_participants(out)
    sources: dict[str, list[str]] = {}
    for visit in visits:
        image = visit.files.images[visit.files.first]
        below = image.relative_to(root).as_posix() if image.is_relative_to(root) else image.name
        sources.setdefault(visit.subject, []).append(below)
    rows = {subject: row for subject, row in before.rows.items() if (out / subject).is_dir()}
    for subject, paths in sources.items():
        rows[subject] = {**rows.get(subject, {}), SITE: site, "source": " ".join(paths)}
    columns = {
        SITE: "Source that the subject comes from",
        "source": "Image that each visit was imported from, below the source folder",
    }
    return SideFiles(
        columns=columns | before.columns,
        rows=Participants(columns | before.columns, rows).lines(),
        readme=f"Imported by '{MAKER}'. Sources and settings are in {DESCRIPTION}.",
        derived=DERIVED,
        table=table,
    )


def copy_splits(root: Path, source: Source, out: Path, excluded: set[str]) -> dict[str, str]:
    """Copy the split and the folds of the source, unless the cohort has its own or lacks one of the subjects.

    Args:
        excluded: subjects to leave out.

    Returns:
        Split file that was not copied → the reason and the fix.
    """
    left_out = {}
    imported = {path.relative_to(out).parts[0] for path in out.glob("sub-*")}
    for fold in (None, *folds_of(root)):
        path = out / split_file(fold)
        try:
            split = read_split(root, source.cases, fold)
        except FileFault as error:
            left_out[path.name] = str(error)
            continue
        if split is None or path.exists():
            continue
        split = without(split, excluded)
        missing = [subject for subject in split.subjects if subject not in imported]
        if missing:
            left_out[path.name] = f"names {missing[0]}, which was not imported; import it, or write a new split"
        else:
            split.write(path)
    return left_out
