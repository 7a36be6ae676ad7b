"""A check: one rule of the contract, a test for it, and how to fix a failure."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from strokereg.registry.errors import StrokeregError, describe_error
from strokereg.registry.specs import NETWORKS, Role

if TYPE_CHECKING:
    from strokereg.testing.subject import Subject

#: Files that are not the author's: the kit itself and the libraries that it runs on.
_FOREIGN = re.compile(r"[/\\]strokereg[/\\](testing|core|registry|export)[/\\]|[/\\](torch|numpy|contextlib)[/\\.]|^<")


class Broken(AssertionError):
    """The rule is broken; the message says what was observed."""


class Unfit(Exception):
    """The check does not apply to this architecture; the message says why."""


@dataclass(frozen=True)
class Check:
    """One rule.

    Attributes:
        name: words joined by hyphens, as in expected failures and on the command line.
        rule: what must be true, as a sentence.
        fix: what to do if it is not.
        roles: roles that it applies to.
        needs: names of checks that must pass first.
        run: raises `Broken` if the rule is broken, `Unfit` if it does not apply; may return what was observed.
    """

    name: str
    rule: str
    fix: str
    roles: tuple[Role, ...]
    needs: tuple[str, ...]
    run: Callable[[Subject], str | None]


#: Every check by name.
CHECKS: dict[str, Check] = {}


def rule(
    text: str, fix: str, roles: tuple[Role, ...] = NETWORKS, needs: tuple[str, ...] = ("builds",)
) -> Callable[[Callable[[Subject], str | None]], Callable[[Subject], str | None]]:
    """Register a function as a check; its name, with hyphens, is the name of the check."""

    def register(run: Callable[[Subject], str | None]) -> Callable[[Subject], str | None]:
        name = run.__name__.replace("_", "-")
        CHECKS[name] = Check(name, text, fix, roles, needs, run)
        return run

    return register


def require(condition: object, observed: str) -> None:
    """Raise `Broken` with what was observed, unless the condition is true."""
    if not condition:
        raise Broken(observed)


def describe(error: BaseException) -> str:
    """The first line of an error; for an unexpected one also its kind and the author's line that raised it."""
    if isinstance(error, (Broken, Unfit, StrokeregError)):
        return str(error).strip().partition("\n")[0] or type(error).__name__
    return describe_error(error) + _place(error)


def _place(error: BaseException) -> str:
    """The innermost line of the author's code in the traceback, as ` (net.py, line 7)`, if there is one."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not _FOREIGN.search(frame.filename)]
    return f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
