"""What the dry run times: a few steps of a training, but all of what an untrained method looks at."""

from __future__ import annotations

import pytest

from strokereg.core.study import calibrate
from strokereg.core.study.plan import Plan, plan_training


@pytest.mark.parametrize(("architecture", "looks"), [("mask-warp", True), ("mask-gan", False)])
def test_an_untrained_method_is_timed_to_its_end(
    small_cohort, tmp_path, small_context, monkeypatch, architecture, looks
):
    """However many steps are asked for it looks as often as it likes, so more steps must not cost more."""
    monkeypatch.setattr(calibrate, "_SECONDS", 0.0)  # a training ends at its fourth step
    seconds = []
    for steps in (1_000, 1_000_000):
        changes = {"generators": (architecture,), "steps": {"segmenter": 4, "generator": steps}}
        context = small_context(small_cohort, tmp_path / "store", **changes)
        task = plan_training(Plan(), context, "generator", architecture, 3, 0)
        seconds.append(calibrate.measure(context, task, {}).of(task))
    assert (seconds[1] < 50 * seconds[0]) == looks
