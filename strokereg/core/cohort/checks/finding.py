"""One thing that is wrong: where, what, and the mend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from strokereg.registry.errors import FileFault


@dataclass(frozen=True)
class Finding:
    """A fault of one file of one case.

    Attributes:
        rule: name of the function that found it.
        case: its name, or "" for the cohort as a whole.
        part: `dwi`, `adc`, `mask`, `dseg`, or "" for the cohort's own files.
        severe: an error, which stops a training; otherwise a warning.
    """

    rule: str
    case: str
    part: str
    file: str
    fault: str
    mend: str
    severe: bool

    def __str__(self) -> str:
        about = f"{self.case}: " if self.case else ""
        return f"{about}{self.file}: {self.fault}; {self.mend}"

    def plain(self) -> dict[str, Any]:
        """For `--json`."""
        level = "error" if self.severe else "warning"
        return {"level": level, **{key: value for key, value in vars(self).items() if key != "severe"}}


def finding_of(rule: str, case: str, part: str, error: FileFault, severe: bool = True) -> Finding:
    """The finding that a file's fault makes."""
    return Finding(rule, case, part, str(error.path), error.fault, error.fix, severe)
