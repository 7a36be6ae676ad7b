"""The kit in pytest: one test for each check of an architecture, in each of its dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from strokereg.testing.check import Broken, Check
from strokereg.testing.conformance import suites_of
from strokereg.testing.run import Suite

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class BoundCheck:
    """A check with its subject; call it to run the check."""

    suite: Suite
    check: Check

    def __call__(self) -> None:
        """Run the check.

        Raises:
            Broken: the rule is broken; the message says what was observed and how to fix it.
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
    """Parametrize a test over every check that applies to the architectures; the test calls its argument `check`.

    ::

        @parametrize_with_checks("mynet", options={"width": 4})
        def test_conformance(check):
            check()

    Args:
        *names: registered names, or `package.module:Class` with `role`.
        role, dims, options, edge: see `suites_of`.
        expected_failures: check → reason. If such a check passes, the test fails, so the list stays up to date.

    Raises:
        InputError: an unknown name, role or check.
    """
    wanted = tuple(dims) if dims else None
    return parametrize(
        suite
        for name in names
        for suite in suites_of(name, role=role, dims=wanted, options=options, edge=edge, expected=expected_failures)
    )


def parametrize(suites: Iterable[Suite]) -> pytest.MarkDecorator:
    """As `parametrize_with_checks`, for given suites."""
    import pytest

    rows = [
        pytest.param(BoundCheck(suite, check), id=f"{suite.subject.title.replace(', ', '-')}-{check.name}")
        for suite in suites
        for check in suite.checks
    ]
    return pytest.mark.parametrize("check", rows)
