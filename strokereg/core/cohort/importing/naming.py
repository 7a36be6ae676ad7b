"""BIDS names for the cases of another layout."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.cohort import layout
from strokereg.core.cohort.case import CaseFiles


@dataclass(frozen=True)
class Visit:
    """A case under its BIDS name: `sub-01`, and `ses-1` or None."""

    files: CaseFiles
    subject: str
    session: str | None

    @property
    def name(self) -> str:
        """The stem of its file names."""
        return f"{self.subject}_{self.session}" if self.session else self.subject

    @property
    def folder(self) -> Path:
        """Folder of its files, below the cohort and below each derivative."""
        return layout.folder_of(self.subject, self.session)

    def is_in(self, cohort: Path) -> bool:
        """True if the cohort has its DWI, which is moved there last."""
        return any((cohort / self.folder).glob(f"{self.name}_dwi.nii*"))


def name_visits(cases: Iterable[CaseFiles]) -> tuple[list[Visit], dict[str, str]]:
    """Give each case a BIDS name: letters and digits of its subject and of its session.

    Returns:
        Visits in order, and cases left out → why: two of one name, or a name without letter or digit.
    """
    visits: dict[str, Visit] = {}
    left_out: dict[str, str] = {}
    for files in cases:
        subject = _label(files.subject.removeprefix("sub-"))
        session = _label(files.name.replace(files.subject, "", 1).removeprefix("_ses-"))
        if not subject:
            left_out[files.name] = "its name holds no letter or digit; rename its files"
            continue
        visit = Visit(files, f"sub-{subject}", f"ses-{session}" if session else None)
        duplicate = visits.setdefault(visit.name, visit)
        if duplicate is not visit:
            left_out[files.name] = (
                f"becomes {visit.name} in BIDS, as {duplicate.files.name} does; rename one of the two"
            )
    return list(visits.values()), left_out


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", text)
