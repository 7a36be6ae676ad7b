"""The conformance kit in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from strokereg.registry.installed import Entry, Quarantined
    from strokereg.testing.run import Outcome


def check(
    name: str,
    role: str | None = None,
    dims: tuple[int, ...] | None = None,
    options: Mapping[str, Any] | None = None,
    edge: int | None = None,
    expected: Mapping[str, str] | None = None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Try every check that concerns an architecture, in each of its dimensions.

    Args:
        name: as the registry knows it, or `package.module:Class` with its `role`.
        dims: by default all that its spec offers.
        options: of the architecture; small networks are checked in seconds. A built-in is checked with the options
            that `compare --preset smoke` gives it, where they say nothing else.
        edge: voxels a side of the toy brains; by default the smallest of 16, 32 and 64 that the network takes.
        expected: check → reason why it may fail.
        on_outcome: told of each outcome when it is there.

    Returns:
        The outcomes; the architecture conforms where none has the status "failed".

    Raises:
        InputError: an unknown name, role, option or check.
    """
    from strokereg.core.study.settings import PRESETS
    from strokereg.testing.named import suites_of

    small = PRESETS["smoke"]["options"].get(name.removeprefix("strokereg:"), {})
    suites = suites_of(name, role, dims, {**small, **(options or {})}, edge, expected)
    for suite in suites:
        suite.subject.require_options()
    outcomes = []
    for suite in suites:
        for outcome in suite:
            on_outcome(outcome)
            outcomes.append(outcome)
    return outcomes


def unbuildable() -> list[Quarantined]:
    """What plugins list and cannot give: each of their architectures and readers, built with its defaults and run once.

    Their factories are loaded for it, and torch, so this takes seconds where listing takes none.
    """
    from strokereg.registry.catalogue import catalogue, readers
    from strokereg.registry.errors import StrokeregError
    from strokereg.registry.factory import build_reader
    from strokereg.registry.hooks import PROJECT
    from strokereg.registry.installed import Quarantined, canonical
    from strokereg.registry.specs import ReaderSpec

    found = []
    for entry in (*catalogue().entries, *readers().entries):
        if canonical(entry.distribution) == PROJECT:
            continue
        reason, mend = "", ""
        try:
            if entry.spec.role == ReaderSpec.role:
                build_reader(entry)
            else:
                reason, mend = _fault(entry)
        except StrokeregError as error:
            reason, told, mend = str(error).rpartition("; ")
            if not told:
                reason, mend = str(error), f"report this to the authors of {entry.distribution}"
        if reason:
            found.append(Quarantined(entry.spec.name, entry.distribution, entry.version, reason, mend))
    return found


def _fault(entry: Entry) -> tuple[str, str]:
    """What is wrong with an architecture as it stands, and the mend; nothing where it does what its role asks."""
    from strokereg.registry.errors import StrokeregError
    from strokereg.testing.check import CHECKS, told
    from strokereg.testing.run import Suite
    from strokereg.testing.subject import Subject

    suite = Suite(Subject(entry, entry.spec.dims[-1]))
    for name in ("builds", "shapes-and-ranges"):
        check = CHECKS[name]
        outcome = suite.outcome(check) if check in suite.checks else None
        if outcome is not None and outcome.status == "failed" and outcome.cause is not None:
            if isinstance(outcome.cause, StrokeregError):
                raise outcome.cause
            return f"does not do what a {entry.spec.role} does ({told(outcome.cause)})", check.mend
    return "", ""
