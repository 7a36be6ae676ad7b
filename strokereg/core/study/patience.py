"""How long a task may be silent until it counts as hung.

Workers speak of their steps, at least once a second while they make any. Silence is counted only while somebody
listened: a study that was suspended for a night does not blame its workers for it.
"""

from __future__ import annotations

from collections.abc import Iterable

from strokereg.core.study.worker import Message

#: Seconds without a sign of life until a task is given up: far beyond any step that is worth waiting for.
LIMIT = 3600.0


class Patience:
    """Keeps the time since each task at work was last heard of.

    Args:
        limit: seconds.
    """

    def __init__(self, limit: float):
        self.limit = limit
        self._silent = dict[str, float]()
        self._last = dict[str, str]()

    def hear(self, key: str, word: Message) -> None:
        """There is word of a task, if only that it begins."""
        self._silent[key] = 0.0
        if word.kind == "step":
            self._last[key] = f" after step {word.step} of {word.total}"

    def forget(self, key: str) -> None:
        """It is not at work any more."""
        self._silent.pop(key, None)
        self._last.pop(key, None)

    def lost(self, waited: float) -> Iterable[str]:
        """Who has been silent beyond the limit, now that this many seconds more have been waited."""
        for key in self._silent:
            self._silent[key] += waited
        return [key for key, seconds in self._silent.items() if seconds > self.limit]

    def sentence(self, key: str) -> str:
        """Why a lost task is given up."""
        return (
            f"hung{self._last.get(key, '')}: no sign of life for {self.limit:g} s; "
            "if its steps are that slow, give them more with --step-limit"
        )
