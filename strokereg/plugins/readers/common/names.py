"""BIDS-like file names: `key-value` pairs joined by underscores, then a suffix.

No library is used: pybids needs twelve packages, SQLAlchemy among them, and ancpbids 4 MB of schema, and both reject
names that occur in public stroke sets (`…_lesion-msk.nii.gz`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.scan.nifti import ending_of, without_ending


@dataclass(frozen=True)
class Name:
    """`sub-01_ses-1_rec-TRACE_dwi.nii.gz` → entities sub, ses, rec and the suffix dwi, in lower case."""

    path: Path
    entities: dict[str, str]
    suffix: str

    @property
    def visit(self) -> tuple[str, str]:
        """Subject and session, each with its key, as in `("sub-01", "ses-1")`; an absent session is ""."""
        subject, session = self.entities.get("sub", ""), self.entities.get("ses", "")
        return f"sub-{subject}", f"ses-{session}" if session else ""

    @property
    def case(self) -> str:
        """Subject and session as one word."""
        return "_".join(word for word in self.visit if word)


def parse_name(path: Path) -> Name | None:
    """Parse the name of a NIfTI file; None for another file or one without a subject."""
    if ending_of(path) is None:
        return None
    *pairs, suffix = without_ending(path).split("_")
    entities = {key: value for key, dash, value in (pair.partition("-") for pair in pairs) if dash}
    return Name(path, entities, suffix.lower()) if entities.get("sub") else None


def parse_all(paths: Iterable[Path]) -> list[Name]:
    """Parse those NIfTI files that have a subject in their name, sorted by path; hidden files are ignored."""
    return [name for path in sorted(paths) if not path.name.startswith(".") and (name := parse_name(path))]
