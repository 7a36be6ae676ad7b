"""A run that is played to a tracker."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from strokereg.core.train.tracking import Tracker

LOSSES = [{"translator/l1": 1.0 / step, "translator/gan": 0.5} for step in range(1, 251)]


@pytest.fixture
def losses() -> list[dict[str, float]]:
    return LOSSES


@pytest.fixture
def play() -> Callable[[Tracker], None]:
    """Two runs, of which one fails."""

    def play(tracker) -> None:
        assert isinstance(tracker, Tracker)
        tracker.begin("unet-1", {"seed": 3, "title": "a U-Net"})
        for step, losses in enumerate(LOSSES, 1):
            tracker.step("unet-1", step, losses)
        tracker.begin("spade-2", {})
        tracker.end("spade-2", "became NaN")
        tracker.end("unet-1", None)
        tracker.close()

    return play
