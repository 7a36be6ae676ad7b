"""Run the checks of one architecture: each once, in order, and only after the checks that it needs have passed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from strokereg.registry.errors import InputError, did_you_mean
from strokereg.testing import device_checks, export_checks, forward_checks, mixer_checks, spec_checks, training_checks
from strokereg.testing.check import CHECKS, Broken, Check, Unfit, describe
from strokereg.testing.subject import Subject

#: Checks run in the order of these modules.
MODULES = (spec_checks, forward_checks, training_checks, device_checks, export_checks, mixer_checks)

Status = Literal["passed", "failed", "skipped", "expected"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check.

    Attributes:
        status: "expected" is a failure on the list of expected failures; a check on that list that passes is "failed".
        message: of a failure, the rule, what was observed and the fix; of a skipped or expected check, the reason; of a
            passed one, what was observed, if it is of interest.
        cause: the exception of a failure.
    """

    check: str
    title: str
    dims: int
    status: Status
    seconds: float
    message: str = ""
    cause: BaseException | None = None


class Suite:
    """The checks that apply to one subject.

    Args:
        expected: check → reason why it may fail.

    Raises:
        InputError: an expected failure of an unknown check, or without a reason.
    """

    def __init__(self, subject: Subject, expected: Mapping[str, str] | None = None):
        self.subject, self.expected = subject, dict(expected or {})
        for name, reason in self.expected.items():
            if name not in CHECKS:
                raise InputError(
                    f"{name!r} is expected to fail, but there is no such check{did_you_mean(name, CHECKS)}; "
                    f"the checks are: {', '.join(CHECKS)}"
                )
            if not reason.strip():
                raise InputError(f"{name!r} is expected to fail without a reason; give one")
        order = [module.__name__ for module in MODULES]
        known = sorted(CHECKS.values(), key=lambda check: order.index(check.run.__module__))
        self.checks = [check for check in known if subject.role in check.roles]
        self._outcomes: dict[str, Outcome] = {}

    def __iter__(self) -> Iterator[Outcome]:
        """Run the checks one by one."""
        return (self.outcome(check) for check in self.checks)

    def outcome(self, check: Check) -> Outcome:
        """The outcome of a check, which runs at the first call."""
        if check.name not in self._outcomes:
            self._outcomes[check.name] = self._run(check)
        return self._outcomes[check.name]

    def _run(self, check: Check) -> Outcome:
        for name in check.needs:
            before = self.outcome(CHECKS[name])
            if before.status in ("failed", "expected") or before.message.startswith(_NEEDS):
                return self._outcome(check, "skipped", f"{_NEEDS} {name}, which did not pass")
        begun, title = time.perf_counter(), self.subject.title
        try:
            observed = check.run(self.subject) or ""
        except Unfit as reason:
            return self._outcome(check, "skipped", str(reason))
        except Exception as error:  # any exception of a plugin breaks the rule
            seconds = time.perf_counter() - begun
            if check.name in self.expected:
                return self._outcome(check, "expected", self.expected[check.name], seconds, error)
            message = f"{title}: {check.name}. Rule: {check.rule}. Observed: {describe(error)}. Fix: {check.fix}."
            return self._outcome(check, "failed", message, seconds, error)
        seconds = time.perf_counter() - begun
        if check.name in self.expected:
            message = f"{title}: {check.name} was expected to fail ({self.expected[check.name]}), but passes."
            return self._outcome(check, "failed", f"{message} Fix: remove it from the list.", seconds, Broken(message))
        return self._outcome(check, "passed", observed, seconds)

    def _outcome(
        self, check: Check, status: Status, message: str, seconds: float = 0.0, cause: BaseException | None = None
    ) -> Outcome:
        return Outcome(check.name, self.subject.title, self.subject.dims, status, seconds, message, cause)


_NEEDS = "needs"
