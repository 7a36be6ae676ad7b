"""Errors whose message is meant for the user. The class decides the exit code of the command.

`InputError`    the input is wrong; exit code 2.
`OutputFailed`  an output cannot be written, for example on a full disk; exit code 2.
`RunFailed`     the input was right, but the work failed (NaN loss, parity missed); exit code 1.
"""

from __future__ import annotations

import difflib
import os
import shlex
import subprocess
from collections.abc import Iterable
from pathlib import Path


class StrokeregError(Exception):
    """Base class: the command line prints the message without a traceback."""

    exit_code = 1


class InputError(StrokeregError):
    """Wrong input. The message names the file or option, the fault and the fix in one sentence."""

    exit_code = 2


class FileFault(InputError):
    """A fault of one file, kept in parts so that a check can list many of them: path, fault and fix."""

    def __init__(self, path: Path | str, fault: str, fix: str) -> None:
        super().__init__(f"{path}: {fault}; {fix}")
        self.path, self.fault, self.fix = Path(path), fault, fix

    def __reduce__(self) -> tuple[object, ...]:  # for pickle, which would pass one argument
        return FileFault, (self.path, self.fault, self.fix)


class OutputFailed(StrokeregError):
    """An output cannot be written. The command stops, because the next output would fail too."""

    exit_code = 2


class RunFailed(StrokeregError):
    """The input was right, but the work failed."""

    exit_code = 1


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' (did you mean x?)' for a near miss among `known`, else an empty string."""
    near = difflib.get_close_matches(word, list(known), n=2, cutoff=0.55)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def counted(number: int, word: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def command(*words: object) -> str:
    """A command to type: words with spaces or special characters are quoted as the shell of this system needs it."""
    texts = [str(word) for word in words]
    return subprocess.list2cmdline(texts) if os.name == "nt" else shlex.join(texts)


def first_line(error: BaseException) -> str:
    """The first line of an error's message that is not empty, or the name of its class."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def describe_error(error: BaseException) -> str:
    """Kind and first line of an error, short enough to stand within a sentence."""
    kind, line = type(error).__name__, first_line(error)
    return kind if line == kind else f"{kind}: {line}"
