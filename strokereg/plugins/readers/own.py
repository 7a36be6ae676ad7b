"""A cohort that strokereg simulated or imported: its own layout, as `core.cohort.layout` says."""

from __future__ import annotations

from pathlib import Path

from strokereg.core.cohort import layout
from strokereg.core.cohort.folder import read_makers
from strokereg.core.cohort.source import Source
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options


class OwnReader:
    """strokereg's own cohorts."""

    def __init__(self, options: Options) -> None:
        pass

    def recognises(self, root: Path) -> bool:
        """True where the description says that strokereg made the folder."""
        try:
            return any(str(maker.get("Name", "")).startswith("strokereg") for maker in read_makers(root))
        except InputError:
            return False

    def read(self, root: Path) -> Source:
        """List the cases, with their label table."""
        return Source(layout.list_cases(root), layout.table_path(root))
