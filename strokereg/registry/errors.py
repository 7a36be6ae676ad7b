"""The ways a command can end badly, told apart by exit code.

`InputError`  the user gave something wrong: one sentence with file, fault and fix; exit code 2.
`OutputFailed` a full disk, a folder that went away; exit code 2.
`RunFailed`   the input was right but the work did not hold (NaN loss, parity missed); exit code 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class StrokeregError(Exception):
    """Base of every error whose message is meant for the user as it stands."""

    exit_code = 1


class InputError(StrokeregError):
    """Wrong input. The message names the file or option, the fault and the fix, in one sentence."""

    exit_code = 2


class FileFault(InputError):
    """A fault of one file, in parts, so that a list of faults can be made of them: file, fault and fix."""

    def __init__(self, path: Path | str, fault: str, fix: str) -> None:
        super().__init__(f"{path}: {fault}; {fix}")
        self.path, self.fault, self.fix = Path(path), fault, fix

    def __reduce__(self) -> tuple[object, ...]:  # workers send their errors, and pickle would call with one argument
        return FileFault, (self.path, self.fault, self.fix)


class OutputFailed(StrokeregError):
    """An output cannot be written, which ends the work: the next one could not be written either."""

    exit_code = 2


class RunFailed(StrokeregError):
    """The work was started rightly and did not hold."""

    exit_code = 1


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' (did you mean x?)' for a near miss among `known`, else an empty string."""
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.55)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not empty, or the name of its class."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
