"""The conformance kit in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
