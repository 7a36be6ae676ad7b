from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from strokereg.core.report.results import Arm, Results
from strokereg.core.report.statistics import contrast, holm
from strokereg.core.report.summary import evaluated_cases, scores, summarise


def by_name(results: Results) -> dict[str, Arm]:
    return {arm.name: arm for arm in results.arms}


def test_headroom_is_all_cases_minus_few(results: Results) -> None:
    arms = by_name(results)
    (room,) = results.headroom
    assert (room.cases, room.all_cases) == (10, 36)
    names = evaluated_cases(arms["clinical only"])
    full, few = (scores(arms[n].seeds, names) for n in ("clinical only, all cases", "clinical only"))
    assert room.contrast == contrast(full, few)


def test_contrasts_are_against_clinical_only_with_as_many_cases(results: Results) -> None:
    arms = by_name(results)
    assert arms["clinical only"].contrast is None
    assert arms["clinical only, all cases"].contrast is None
    arm = arms["pix2pix + clinical"]
    names = evaluated_cases(arm)
    expected = contrast(scores(arm.seeds, names), scores(arms["clinical only"].seeds, names))
    assert arm.contrast is not None
    assert arm.contrast.model_copy(update={"adjusted_p": None}) == expected
    assert arm.share == pytest.approx(expected.difference / results.headroom[0].contrast.difference)


def test_p_values_are_adjusted_over_the_arms(results: Results) -> None:
    tested = [arm.contrast for arm in results.arms if arm.contrast]
    assert len(tested) == 4
    assert [c.adjusted_p for c in tested] == pytest.approx(holm([c.p for c in tested if c.p is not None]))


def test_arms_of_one_name_but_other_cases_keep_their_own_p_value(results: Results) -> None:
    more = [arm.model_copy(update={"cases": 20}) for arm in results.arms if arm.cases == 10]
    swapped = {"clinical only": "spade + clinical", "spade + clinical": "clinical only"}
    seeds = {arm.name: arm.seeds for arm in more}
    more = [arm.model_copy(update={"seeds": seeds[swapped.get(arm.name, arm.name)]}) for arm in more]
    arms = summarise(results.study, [*results.arms, *more]).arms
    found = [arm.contrast for arm in arms if arm.contrast]
    assert len(found) == 8
    assert [c.adjusted_p for c in found] == pytest.approx(holm([c.p for c in found if c.p is not None]))


def test_strata_split_the_cases(results: Results) -> None:
    for arm in results.arms:
        assert arm.summary is not None
        strata = {stratum.name: stratum.cases for stratum in arm.summary.strata}
        assert strata["all"] == strata["< 5 ml"] + strata["≥ 5 ml"] == 40
    first = results.arms[0].seeds[0].cases
    assert strata["< 5 ml"] == sum(case.volume_ml < 5 for case in first.values())


def test_spread_is_over_seeds_of_the_mean_over_cases(results: Results) -> None:
    arm = results.arms[0]
    means = [np.mean([case.dice for case in seed.cases.values()]) for seed in arm.seeds]
    assert arm.summary is not None
    assert arm.summary.dice.mean == pytest.approx(np.mean(means))
    assert arm.summary.dice.sd == pytest.approx(np.std(means, ddof=1))
    assert arm.summary.external_dice is not None
    assert arm.summary.external_dice.seeds == 5


def test_undefined_distances_are_left_out(build_results: Callable[..., Results]) -> None:
    results = build_results(test=8, seeds=2)
    arm = results.arms[0]
    name = evaluated_cases(arm)[0]
    for seed in arm.seeds:
        seed.cases[name] = seed.cases[name].model_copy(update={"hd95_mm": None})
    again = summarise(results.study, results.arms).arms[0]
    assert again.summary is not None
    metrics = again.summary.strata[0].metrics
    assert (metrics["hd95_mm"].cases, metrics["dice"].cases) == (7, 8)


def test_no_headroom_no_share(build_results: Callable[..., Results]) -> None:
    results = build_results(gains=0.0)
    assert not results.headroom[0].contrast.above_zero
    assert all(arm.share is None for arm in results.arms)


def test_no_arm_with_all_cases_no_headroom(results: Results) -> None:
    arms = [arm for arm in results.arms if arm.cases == 10]
    assert summarise(results.study, arms).headroom == []


def test_a_failed_arm_is_not_evaluated(results: Results) -> None:
    arms = [arm.model_copy(update={"seeds": []}) if arm.translator == "spade" else arm for arm in results.arms]
    again = by_name(summarise(results.study, arms))
    assert again["spade + clinical"].summary is None
    assert again["spade + clinical"].contrast is None
    assert again["pix2pix + clinical"].contrast is not None


def test_failed_baseline_leaves_arms_without_contrast(results: Results) -> None:
    arms = [arm.model_copy(update={"seeds": []}) if arm.name == "clinical only" else arm for arm in results.arms]
    again = summarise(results.study, arms)
    assert again.headroom == []
    assert all(arm.contrast is None and arm.share is None for arm in again.arms)
    assert by_name(again)["spade + clinical"].summary is not None
