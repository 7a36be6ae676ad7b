"""The ways a command can end badly, told apart by exit code.

`InputError`  the user gave something wrong: one sentence with file, fault and mend; exit code 2.
`OutputFailed` a full disk, a folder that went away; exit code 2.
`RunFailed`   the input was right but the work did not hold (NaN loss, parity missed); exit code 1.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class StrokeregError(Exception):
    """Base of every error whose message is meant for the user as it stands."""

    exit_code = 1


class InputError(StrokeregError):
    """Wrong input. The message names the file or option, the fault and the mend, in one sentence."""

    exit_code = 2


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
