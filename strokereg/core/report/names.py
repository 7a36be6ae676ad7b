"""Names, colours and groups of arms in a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from strokereg.core.report.results import Arm, Results
from strokereg.core.report.statistics import Contrast
from strokereg.registry.errors import counted


@dataclass(frozen=True)
class Group:
    """Arms that are shown together because they have the same number of clinical cases.

    Attributes:
        title: `10 clinical cases`; empty if the study has only one group.
        cases: number of clinical cases.
        arms: arms of the group; the last group also has the arm with all cases, which gives the headroom.
        headroom: headroom at this number of cases; None if there is none, or one for each of several segmenters.
    """

    title: str
    cases: int
    arms: Sequence[Arm]
    headroom: Contrast | None

    def label(self, arm: Arm) -> str:
        """Name of the arm below the title of the group."""
        return f"{arm.name}, n\u00a0=\u00a0{arm.cases}" if self.title and arm.cases != self.cases else arm.name


class Names:
    """Names, colours and groups of the arms in one report."""

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
        title = f"{counted(cases, 'clinical case')}" if self.many else ""
        return Group(title, cases, arms, rooms[0] if len(rooms) == 1 else None)

    def label(self, arm: Arm) -> str:
        """Name of the arm, with its number of cases if the study has several."""
        return f"{arm.name}, n\u00a0=\u00a0{arm.cases}" if self.many else arm.name

    def style(self, arm: Arm) -> str:
        """Style classes of the arm: its colour, by translator, and `open` (hollow) for synthetic only."""
        return self._colours.get(arm.translator or "", "k0") + (" open" if arm.training == "synthetic" else "")
