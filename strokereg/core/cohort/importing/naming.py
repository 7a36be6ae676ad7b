"""BIDS names for the cases of another layout."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.cohort import layout
from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.contrasts import contrast_of, folder_of, space_of
from strokereg.registry.errors import InputError


@dataclass(frozen=True)
class Visit:
    """A case under its BIDS name: `sub-01`, and `ses-1` or None."""

    files: CaseFiles
    subject: str
    session: str | None

    @property
    def name(self) -> str:
        """Subject and session, joined."""
        return f"{self.subject}_{self.session}" if self.session else self.subject

    @property
    def stem(self) -> str:
        """What its file names begin with: the name, and the space of the first image if its file name has one."""
        space = space_of(self.files.images[self.files.first])
        return f"{self.name}_{space}" if space else self.name

    @property
    def folder(self) -> Path:
        """Folder of its first image, below the cohort, and of mask and label map, below each derivative."""
        return layout.folder_of(self.subject, self.session, folder_of(self.files.first))

    def is_in(self, cohort: Path) -> bool:
        """True if the cohort has its first image, which is moved there last."""
        return any(contrast_of(path) == self.files.first for path in (cohort / self.folder).glob(f"{self.stem}_*.nii*"))


def name_visits(cases: Iterable[CaseFiles], prefix: str = "") -> tuple[list[Visit], dict[str, str]]:
    """Give each case a BIDS name: letters and digits of its subject, after the prefix, and of its session.

    Returns:
        Visits in order, and cases left out → why: two of one name, or a name without letter or digit.

    Raises:
        InputError: two subjects differ only in upper and lower case or in the Unicode form of a letter, which are one
            folder on some systems.
    """
    visits: dict[str, Visit] = {}
    left_out: dict[str, str] = {}
    subjects: dict[str, str] = {}
    for files in cases:
        subject = _label(files.subject.removeprefix("sub-"))
        session = _label(files.name.replace(files.subject, "", 1).removeprefix("_ses-"))
        if not subject:
            left_out[files.name] = "its name holds no letter or digit; rename its files"
            continue
        known = subjects.setdefault(subject.casefold(), files.subject)
        if known != files.subject and _fold(known) == _fold(files.subject):
            first = files.images[files.first]
            raise InputError(
                f"{first}: the subjects {known} and {files.subject} differ only in upper and lower case "
                "or in the form of a letter, which are one folder on some systems; rename one of the two"
            )
        visit = Visit(files, f"sub-{prefix}{subject}", f"ses-{session}" if session else None)
        duplicate = visits.setdefault(visit.name, visit)
        if duplicate is not visit:
            left_out[files.name] = (
                f"becomes {visit.name} in BIDS, as {duplicate.files.name} does; rename one of the two"
            )
    return list(visits.values()), left_out


def _label(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", unicodedata.normalize("NFKD", text))


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
