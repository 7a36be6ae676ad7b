"""Running the checks of one architecture: each once, in order, and none whose ground is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from strokereg.registry.errors import InputError, did_you_mean
from strokereg.testing import export_checks, forward_checks, mixer_checks, spec_checks, training_checks
from strokereg.testing.check import CHECKS, Broken, Check, Unfit, told
from strokereg.testing.subject import Subject

#: The order in which they are tried is that of these modules.
MODULES = (spec_checks, forward_checks, training_checks, export_checks, mixer_checks)

Status = Literal["held", "failed", "skipped", "expected"]


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Attributes:
        status: "expected" is a failure that was announced; one that was announced and did not come is "failed".
        message: rule, what was seen and the mend for a failure; the reason for what was skipped or expected; of what
            held, what was seen, where a number says more than that it holds.
        cause: the error behind a failure.
    """

    check: str
    title: str
    dims: int
    status: Status
    seconds: float
    message: str = ""
    cause: BaseException | None = None


class Suite:
    """The checks that concern one subject.

    Args:
        expected: check → reason why it may fail.

    Raises:
        InputError: an expected failure of a check that does not exist, or that has no reason.
    """

    def __init__(self, subject: Subject, expected: Mapping[str, str] | None = None):
        self.subject, self.expected = subject, dict(expected or {})
        for name, reason in self.expected.items():
            if name not in CHECKS:
                raise InputError(
                    f"{name!r} is expected to fail, and there is no such check{did_you_mean(name, CHECKS)}; "
                    f"the checks are: {', '.join(CHECKS)}"
                )
            if not reason.strip():
                raise InputError(f"{name!r} is expected to fail without a reason; say why")
        order = [module.__name__ for module in MODULES]
        known = sorted(CHECKS.values(), key=lambda check: order.index(check.run.__module__))
        self.checks = [check for check in known if subject.role in check.roles]
        self._outcomes: dict[str, Outcome] = {}

    def __iter__(self) -> Iterator[Outcome]:
        """Every outcome, each when it is there."""
        return (self.outcome(check) for check in self.checks)

    def outcome(self, check: Check) -> Outcome:
        """What came of a check; it is tried when this is first asked."""
        if check.name not in self._outcomes:
            self._outcomes[check.name] = self._try(check)
        return self._outcomes[check.name]

    def _try(self, check: Check) -> Outcome:
        for name in check.needs:
            before = self.outcome(CHECKS[name])
            if before.status in ("failed", "expected") or before.message.startswith(_NEEDS):
                return self._told(check, "skipped", f"{_NEEDS} {name}, which did not hold")
        begun = time.perf_counter()
        try:
            seen = check.run(self.subject) or ""
        except Unfit as reason:
            return self._told(check, "skipped", str(reason))
        except Exception as error:  # whatever a plugin raises breaks the rule
            seconds = time.perf_counter() - begun
            if check.name in self.expected:
                return self._told(check, "expected", self.expected[check.name], seconds, error)
            words = f"{self.subject.title}: {check.name}. Rule: {check.rule}. Seen: {told(error)}. Mend: {check.mend}."
            return self._told(check, "failed", words, seconds, error)
        seconds = time.perf_counter() - begun
        if check.name in self.expected:
            words = f"{self.subject.title}: {check.name} was expected to fail ({self.expected[check.name]}) and holds."
            return self._told(check, "failed", f"{words} Mend: take it off the list.", seconds, Broken(words))
        return self._told(check, "held", seen, seconds)

    def _told(
        self, check: Check, status: Status, message: str, seconds: float = 0.0, cause: BaseException | None = None
    ) -> Outcome:
        return Outcome(check.name, self.subject.title, self.subject.dims, status, seconds, message, cause)


_NEEDS = "needs"
