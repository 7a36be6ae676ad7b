"""`participants.tsv`: what is known of each subject of a cohort, such as the site that it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from strokereg.core.cohort.layout import PARTICIPANTS
from strokereg.core.storage.files import read_json
from strokereg.core.storage.tables import read_table
from strokereg.registry.errors import FileFault

SITE = "site"
NOTHING = "n/a"  # what BIDS writes into an empty cell
_SUBJECT = "participant_id"


@dataclass(frozen=True)
class Participants:
    """The table of a cohort.

    Attributes:
        columns: columns after `participant_id` → their meaning.
        rows: subject → column → text.
    """

    columns: dict[str, str] = field(default_factory=dict)
    rows: dict[str, dict[str, str]] = field(default_factory=dict)

    def lines(self) -> list[list[str]]:
        """A row for each subject, its name first, `n/a` in empty cells."""
        names = list(self.columns)
        return [[subject, *(row.get(name) or NOTHING for name in names)] for subject, row in sorted(self.rows.items())]


def read_participants(root: Path) -> Participants:
    """Read the table of a cohort and the meaning of its columns; an empty one if there is none.

    Raises:
        FileFault: the table or its `.json` file cannot be read.
    """
    path = root / PARTICIPANTS
    if not path.is_file():
        return Participants()
    rows = {row[_SUBJECT]: row for row in read_table(path, (_SUBJECT,))}
    names = [name for name in next(iter(rows.values()), {}) if name != _SUBJECT]
    sidecar = path.with_suffix(".json")
    try:
        content = read_json(sidecar) if sidecar.is_file() else {}
    except (OSError, ValueError) as error:
        raise FileFault(sidecar, f"not valid JSON ({error})", "correct it") from error
    entries = {name: content.get(name) if isinstance(content, dict) else None for name in names}
    columns = {name: str(e.get("Description", name)) if isinstance(e, dict) else name for name, e in entries.items()}
    return Participants(columns, {s: {name: row[name] for name in names} for s, row in rows.items()})


def sites_of(root: Path) -> dict[str, str]:
    """Subject → site, for the subjects of a cohort whose site is known.

    Raises:
        FileFault: see `read_participants`.
    """
    rows = read_participants(root).rows
    return {subject: row[SITE] for subject, row in rows.items() if row.get(SITE) not in (None, "", NOTHING)}
