"""A cohort that strokereg simulated or imported; see `core.cohort.layout`."""

from __future__ import annotations

from pathlib import Path

from strokereg.core.cohort import layout
from strokereg.core.cohort.folder import read_makers
from strokereg.core.cohort.source import Source
from strokereg.registry.errors import InputError
from strokereg.registry.options import Options


class OwnReader:
    """Cohorts of strokereg."""

    def __init__(self, options: Options) -> None:
        pass

    def recognises(self, root: Path) -> bool:
        """Whether the description says that strokereg made the folder."""
        try:
            return any(str(maker.get("Name", "")).startswith("strokereg") for maker in read_makers(root))
        except InputError:
            return False

    def read(self, root: Path) -> Source:
        """List the cases and the label table."""
        return Source(layout.list_cases(root), layout.table_path(root))
