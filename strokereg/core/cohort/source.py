"""What a reader finds in a folder of another layout, and the protocol of readers, which come from plugins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from strokereg.core.cohort.case import CaseFiles


@dataclass(frozen=True)
class Source:
    """The content of a folder.

    Attributes:
        cases: the cases, by name.
        table: the label table (`dseg.tsv`) of the label maps, or None.
        left_out: what looks like a case but cannot be used → the reason and the fix.
    """

    cases: Sequence[CaseFiles]
    table: Path | None = None
    left_out: dict[str, str] = field(default_factory=dict)


@runtime_checkable
class Reader(Protocol):
    """A reader of one layout, built as `Class(options)`; its attribute `Options`, if any, is the table of options."""

    def recognises(self, root: Path) -> bool:
        """True if the folder has this layout. Looks at names and small text files, reads no voxel, changes nothing."""
        ...

    def read(self, root: Path) -> Source:
        """List the cases.

        Raises:
            InputError: the folder has this layout, but cannot be read.
        """
        ...
