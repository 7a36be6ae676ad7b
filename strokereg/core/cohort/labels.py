"""The label table: which integer of a label map means which tissue.

BIDS keeps it beside the maps as `*_dseg.tsv` with columns `index` and `name`. Two names are fixed: `background` is 0,
and `lesion` is the last label (as in arXiv 2010.02745). Names of fluids are recognised, so that generated lesions stay
inside the parenchyma.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.core.storage.files import write_text
from strokereg.core.storage.tables import read_table
from strokereg.registry.errors import FileFault, did_you_mean

_FLUID = ("background", "csf", "ventricle", "lesion")


def read_labels(path: Path) -> list[tuple[int, str]]:
    """Rows of a table with the tab-separated columns `index` and `name`.

    Raises:
        FileFault: the file cannot be read, or is not such a table.
    """
    rows = read_table(path, ("index", "name"))
    try:
        return [(int(row["index"]), row["name"]) for row in rows]
    except ValueError as error:
        raise FileFault(path, "not a label table, whose indices are whole numbers", "correct the indices") from error


@dataclass(frozen=True)
class LabelTable:
    """Names of the labels 0 … n-1, in order; `names[0]` is background and `names[-1]` is lesion."""

    names: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of labels, including background and lesion."""
        return len(self.names)

    @property
    def lesion(self) -> int:
        """Index of the lesion label: the last."""
        return len(self.names) - 1

    @property
    def parenchyma(self) -> tuple[int, ...]:
        """Indices of the labels in which a lesion may lie."""
        return tuple(i for i, name in enumerate(self.names) if not any(word in name for word in _FLUID))

    def write(self, path: Path) -> None:
        """Write the table as a BIDS dseg.tsv."""
        rows = "".join(f"{i}\t{name}\n" for i, name in enumerate(self.names))
        write_text(path, "index\tname\n" + rows)

    @classmethod
    def read(cls, path: Path) -> LabelTable:
        """Read a BIDS dseg.tsv.

        Raises:
            FileFault: missing columns, gaps in the indices, or not background first and lesion last.
        """
        rows = read_labels(path)
        indices, names = [index for index, _ in rows], [name for _, name in rows]
        if indices != list(range(len(indices))):
            raise FileFault(path, f"the indices are {indices}", "number the labels 0, 1, 2, … without gaps")
        if len(names) < 3 or names[0] != "background" or names[-1] != "lesion":
            hint = did_you_mean("lesion", names[-1:])
            fault = f"its labels are {', '.join(names)}"
            raise FileFault(path, fault, f"the first label must be 'background' and the last 'lesion'{hint}")
        return cls(tuple(names))

    def check(self, labels: np.ndarray, where: Path | str) -> None:
        """Refuse a label map with a value outside the table.

        Raises:
            FileFault: names the file, the wrong values and the range of the table.
        """
        stray = sorted({int(v) for v in np.unique(labels)} - set(range(self.count)))
        if stray:
            shown = ", ".join(map(str, stray[:5])) + (" …" if len(stray) > 5 else "")
            fault = f"holds the label value {shown}, but the label table ends at {self.lesion}"
            raise FileFault(where, fault, "correct the map or add the label to the dseg.tsv")


#: The labels of a cohort without tissue label maps, see `core.cohort.case.label_map`.
BRAIN = LabelTable(("background", "brain", "lesion"))

#: The table of simulated cohorts: enough tissues for diffusion contrast, few enough for any source of labels.
TISSUES = LabelTable(("background", "csf", "ventricle", "cortical-grey", "deep-grey", "white", "lesion"))
