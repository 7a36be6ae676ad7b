"""A folder of another layout, as a reader tells of it. Readers come from plugins; the core knows only this contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from strokereg.core.cohort.case import CaseFiles


@dataclass(frozen=True)
class Source:
    """What a folder holds.

    Attributes:
        cases: those that have a DWI, by name.
        table: the label table (`dseg.tsv`) of the label maps, if there is one.
        left_out: what looked like a case and is none → why, in words that end with the fix.
    """

    cases: Sequence[CaseFiles]
    table: Path | None = None
    left_out: dict[str, str] = field(default_factory=dict)


@runtime_checkable
class Reader(Protocol):
    """A reader of one layout. Built as `Class(options)`; its options are the class's own table `Options`, if any."""

    def recognises(self, root: Path) -> bool:
        """True where the folder has this layout. Looks at names and small text files, at no voxel; alters nothing."""
        ...

    def read(self, root: Path) -> Source:
        """List the cases.

        Raises:
            InputError: the folder has this layout and cannot be read all the same.
        """
        ...
