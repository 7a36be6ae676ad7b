"""The label table: which integer of a dseg means which tissue.

BIDS keeps it beside the maps as `*_dseg.tsv` with columns `index` and `name`. Two names carry meaning here:
`background` (always 0) and `lesion` (the last label, as in the paper: arXiv 2010.02745). Everything that
stroke cannot strike is recognised by name too, so that generated lesions stay inside parenchyma.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.registry.errors import FileFault, did_you_mean

_FLUID = ("background", "csf", "ventricle", "lesion")


@dataclass(frozen=True)
class LabelTable:
    """Names of the labels 0 … n-1, in order; `names[0]` is background and `names[-1]` is lesion."""

    names: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of labels, background and lesion included."""
        return len(self.names)

    @property
    def lesion(self) -> int:
        """Index of the lesion label: the last."""
        return len(self.names) - 1

    @property
    def parenchyma(self) -> tuple[int, ...]:
        """Indices of the labels inside which a lesion may lie."""
        return tuple(i for i, name in enumerate(self.names) if not any(word in name for word in _FLUID))

    def write(self, path: Path) -> None:
        """Write the table as a BIDS dseg.tsv."""
        rows = "".join(f"{i}\t{name}\n" for i, name in enumerate(self.names))
        path.write_text("index\tname\n" + rows, encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> LabelTable:
        """Read a BIDS dseg.tsv.

        Raises:
            FileFault: missing columns, gaps in the indices, no background first or no lesion last.
        """
        try:
            with path.open(newline="", encoding="utf-8") as handle:
                rows = list(csv.DictReader(handle, delimiter="\t"))
            indices, names = [int(row["index"]) for row in rows], [row["name"].strip() for row in rows]
        except OSError as error:
            raise FileFault(path, f"the label table cannot be read ({error.strerror})", "write it anew") from error
        except (KeyError, ValueError, TypeError, AttributeError, csv.Error) as error:
            fix = "give tab-separated columns 'index' (0, 1, 2, …) and 'name'"
            raise FileFault(path, "not a label table", fix) from error
        if indices != list(range(len(indices))):
            raise FileFault(path, f"the indices are {indices}", "number the labels 0, 1, 2, … without gaps")
        if len(names) < 3 or names[0] != "background" or names[-1] != "lesion":
            hint = did_you_mean("lesion", names[-1:])
            fault = f"its labels are {', '.join(names)}"
            raise FileFault(path, fault, f"the first label must be 'background' and the last 'lesion'{hint}")
        return cls(tuple(names))

    def check(self, labels: np.ndarray, where: Path | str) -> None:
        """Refuse a label map that holds a value outside the table.

        Raises:
            FileFault: names the file, the stray values and the table's range.
        """
        stray = sorted({int(v) for v in np.unique(labels)} - set(range(self.count)))
        if stray:
            shown = ", ".join(map(str, stray[:5])) + (" …" if len(stray) > 5 else "")
            fault = f"holds the label value {shown}, but the label table ends at {self.lesion}"
            raise FileFault(where, fault, "correct the map or add the label to the dseg.tsv")


#: The table of simulated cohorts: enough tissues to carry diffusion contrast, few enough for any label source.
TISSUES = LabelTable(("background", "csf", "ventricle", "cortical-grey", "deep-grey", "white", "lesion"))
