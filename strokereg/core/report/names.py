"""How arms are called, coloured and put together throughout one report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strokereg.core.report.results import Arm, Results
from strokereg.core.report.statistics import Contrast


@dataclass(frozen=True)
class Group:
    """Arms that are shown together: those with as many clinical cases.

    Attributes:
        title: `10 clinical cases`; empty where a study has one group only.
        cases: how many.
        arms: the headroom's, with all cases, stands in the last group.
        headroom: of this number of cases; None without one, or with one for each of several segmenters.
    """

    title: str
    cases: int
    arms: Sequence[Arm]
    headroom: Contrast | None

    def label(self, arm: Arm) -> str:
        """The arm's name, as it is called beneath the group's title."""
        return f"{arm.name}, n\u00a0=\u00a0{arm.cases}" if self.title and arm.cases != self.cases else arm.name


class Names:
    """How arms are called, coloured and grouped."""

    def __init__(self, results: Results) -> None:
        numbers = sorted(set(results.study.cases))
        self.many = len(numbers) > 1
        known = [*results.study.models, *(arm.translator for arm in results.arms if arm.translator)]
        self._colours = {name: f"k{1 + i % 6}" for i, name in enumerate(dict.fromkeys(known))}
        self.groups = [self._group(results, number, number == numbers[-1]) for number in numbers]
        self.groups = [group for group in self.groups if group.arms]

    def _group(self, results: Results, cases: int, last: bool) -> Group:
        others = set(results.study.cases) - {cases}
        arms = [arm for arm in results.arms if arm.cases == cases or (last and arm.cases not in others)]
        rooms = [room.contrast for room in results.headroom if room.cases == cases]
        title = f"{cases} clinical case{'s' * (cases != 1)}" if self.many else ""
        return Group(title, cases, arms, rooms[0] if len(rooms) == 1 else None)

    def label(self, arm: Arm) -> str:
        """The arm's name, with its number of cases where that would be unclear."""
        return f"{arm.name}, n\u00a0=\u00a0{arm.cases}" if self.many else arm.name

    def style(self, arm: Arm) -> str:
        """Colour by translator; hollow for synthetic only."""
        return self._colours.get(arm.translator or "", "k0") + (" open" if arm.training == "synthetic" else "")
