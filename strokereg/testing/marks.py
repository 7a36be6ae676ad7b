"""The kit in pytest: one test for each check of an architecture in each of its dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strokereg.testing.check import Broken, Check
from strokereg.testing.named import suites_of
from strokereg.testing.run import Suite

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class BoundCheck:
    """A check with its subject; call it."""

    suite: Suite
    check: Check

    def __call__(self) -> None:
        """Try it.

        Raises:
            Broken: the rule does not hold; the message says what was seen and the mend.
        """
        import pytest

        outcome = self.suite.outcome(self.check)
        if outcome.status == "skipped":
            pytest.skip(outcome.message)
        if outcome.status == "expected":
            pytest.xfail(outcome.message)
        if outcome.status == "failed":
            raise Broken(outcome.message) from outcome.cause


def parametrize_with_checks(
    *names: str,
    role: str | None = None,
    dims: Iterable[int] | None = None,
    options: Mapping[str, Any] | None = None,
    edge: int | None = None,
    expected_failures: Mapping[str, str] | None = None,
) -> pytest.MarkDecorator:
    """Mark a test with an argument `check`, to be called; it runs for every check that concerns the architectures.

    ::

        @parametrize_with_checks("mynet", options={"width": 4})
        def test_conformance(check):
            check()

    Args:
        *names: as the registry knows them, or `package.module:Class` with its `role`.
        role: see `names`.
        dims: by default all that the spec offers.
        options: of the architecture; make it small, and the checks take seconds.
        edge: voxels a side of the toy brains; by default the smallest of 16, 32 and 64 that the network takes.
        expected_failures: check → reason. A check of this list that holds fails the test: take it off then.

    Raises:
        InputError: an unknown name, role or check.
    """

    suites = [
        suite
        for name in names
        for suite in suites_of(name, role, tuple(dims) if dims else None, options, edge, expected_failures)
    ]
    return parametrize(suites)


def parametrize(suites: Iterable[Suite]) -> pytest.MarkDecorator:
    """The same for suites that were made by hand."""
    import pytest

    rows = [
        pytest.param(BoundCheck(suite, check), id=f"{suite.subject.title.replace(', ', '-')}-{check.name}")
        for suite in suites
        for check in suite.checks
    ]
    return pytest.mark.parametrize("check", rows)
