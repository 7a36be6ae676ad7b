"""What a check is: one rule of the contract, tried on one architecture, with the mend for whoever breaks it."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from strokereg.registry.errors import StrokeregError

if TYPE_CHECKING:
    from strokereg.testing.subject import Subject

#: Code that is nobody's own: the kit, what it runs on, and what a factory is called through.
_FOREIGN = re.compile(
    r"[/\\]strokereg[/\\](testing|core|registry|export|api)[/\\]|[/\\](torch|numpy|contextlib)[/\\.]|^<"
)
NETWORKS = ("generator", "translator", "segmenter")


class Broken(AssertionError):
    """A rule does not hold; the message says what was seen."""


class Unfit(Exception):
    """A check has nothing to try on this architecture; the message says why."""


@dataclass(frozen=True)
class Check:
    """One rule.

    Attributes:
        name: words joined by hyphens, as in expected failures and on the command line.
        rule: what must hold, as a sentence.
        mend: what to do where it does not.
        roles: whom it concerns.
        needs: names of checks without which this one says nothing.
        run: raises `Broken` where the rule does not hold, `Unfit` where there is nothing to try; may return what was
            seen where it holds.
    """

    name: str
    rule: str
    mend: str
    roles: tuple[str, ...]
    needs: tuple[str, ...]
    run: Callable[[Subject], str | None]


#: Every check by name, in the order in which they are tried.
CHECKS: dict[str, Check] = {}


def rule(
    text: str, mend: str, roles: tuple[str, ...] = NETWORKS, needs: tuple[str, ...] = ("builds",)
) -> Callable[[Callable[[Subject], str | None]], Callable[[Subject], str | None]]:
    """Register a function as a check; its name, with hyphens, becomes the check's."""

    def register(run: Callable[[Subject], str | None]) -> Callable[[Subject], str | None]:
        name = run.__name__.replace("_", "-")
        CHECKS[name] = Check(name, text, mend, roles, needs, run)
        return run

    return register


def require(held: object, seen: str) -> None:
    """Raise `Broken` with what was seen, unless it held."""
    if not held:
        raise Broken(seen)


def told(error: BaseException) -> str:
    """An error in a few words: its first line; where that is not meant for users, with its kind and where it arose."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    if isinstance(error, (Broken, Unfit, StrokeregError)):
        return first or type(error).__name__
    return (f"{type(error).__name__}: {first}" if first else type(error).__name__) + _place(error)


def _place(error: BaseException) -> str:
    """The innermost line of the author's own code that an error came through, ` (net.py, line 7)`, if there is one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _FOREIGN.search(frame.filename)]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
