"""The headroom at several step counts: a study each, whose trainings `compare` finds."""

from __future__ import annotations

import pytest

from strokereg.core.report.results import Results
from strokereg.core.study.compare import RunOptions
from strokereg.core.study.headroom import measure_headroom
from strokereg.registry.errors import InputError


@pytest.mark.slow
def test_each_step_count_is_a_study(small_cohort, tmp_path):
    found = measure_headroom((4, 2), small_cohort, tmp_path, "smoke", RunOptions(workers=2))
    assert [measured.steps for measured in found] == [2, 4]
    for measured in found:
        results = Results.read(tmp_path / f"{measured.steps}-steps" / "results.json")
        assert [(arm.training, arm.cases) for arm in results.arms] == [("clinical", 3), ("clinical", 6)]
        few, everything = (arm.summary.dice.mean for arm in results.arms)
        assert (measured.few, measured.everything) == (few, everything)
        assert measured.headroom.contrast.difference == pytest.approx(everything - few)


def test_wrong_counts_are_refused():
    with pytest.raises(InputError, match="give different numbers"):
        measure_headroom((5, 5))
    with pytest.raises(InputError, match="--cases: asks for all training cases"):
        measure_headroom((5,), cases=(0,))
