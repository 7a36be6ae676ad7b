"""One finding of a check: the place, the fault and the fix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from strokereg.registry.errors import FileFault


@dataclass(frozen=True)
class Finding:
    """A fault of one file of one case.

    Attributes:
        rule: name of the rule that found it.
        case: name of the case, or "" for the whole cohort.
        part: a contrast, `mask`, `dseg`, or "" for the cohort's own files.
        file: path of the file.
        fault: what is wrong.
        fix: what to do about it.
        severe: True for an error, which stops a training; False for a warning.
    """

    rule: str
    case: str
    part: str
    file: str
    fault: str
    fix: str
    severe: bool

    def __str__(self) -> str:
        about = f"{self.case}: " if self.case else ""
        return f"{about}{self.file}: {self.fault}; {self.fix}"

    def plain(self) -> dict[str, Any]:
        """For `--json`."""
        level = "error" if self.severe else "warning"
        return {"level": level, **{key: value for key, value in vars(self).items() if key != "severe"}}


def finding_of(rule: str, case: str, part: str, error: FileFault, severe: bool = True) -> Finding:
    """Turn the fault of a file into a finding."""
    return Finding(rule, case, part, str(error.path), error.fault, error.fix, severe)
