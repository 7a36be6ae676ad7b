"""A cohort that strokereg simulated or imported: its own layout, as `core.cohort.layout` says."""

from __future__ import annotations

import json
from pathlib import Path

from strokereg.core.cohort import layout
from strokereg.core.cohort.source import Source
from strokereg.registry.options import Options


class OwnReader:
    """strokereg's own cohorts."""

    def __init__(self, options: Options) -> None:
        pass

    def recognises(self, root: Path) -> bool:
        """True where the description says that strokereg made the folder."""
        try:
            said = json.loads((root / layout.DESCRIPTION).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return any(str(maker.get("Name", "")).startswith("strokereg") for maker in layout.makers_of(said))

    def read(self, root: Path) -> Source:
        """List the cases, with their label table."""
        return Source(layout.list_cases(root), layout.table_path(root))
