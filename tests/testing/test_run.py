"""A suite: order, needs, and expected failures."""

from __future__ import annotations

import pytest

from strokereg.registry.errors import InputError
from strokereg.registry.specs import Role
from strokereg.testing import CHECKS


def test_a_check_whose_need_fails_is_skipped(suite):
    tried = suite("NoMoves")
    assert tried.outcome(CHECKS["builds"]).status == "failed"
    skipped = tried.outcome(CHECKS["weights-round-trip"])
    assert (skipped.status, skipped.message) == ("skipped", "needs eval-repeats, which did not pass")


def test_each_check_runs_once_and_in_order(suite):
    tried = suite("SoundMixer", Role.MIXER)
    names = [outcome.check for outcome in tried]
    assert names[:3] == ["spec-is-lazy", "builds", "builds-with-defaults"]
    first = tried.outcome(CHECKS["builds"])
    assert tried.outcome(CHECKS["builds"]) is first


def test_an_expected_failure_has_a_reason_and_must_come(suite):
    check = CHECKS["leaves-its-cases-alone"]
    outcome = suite("WritingMixer", Role.MIXER, expected={check.name: "its own copy"}).outcome(check)
    assert (outcome.status, outcome.message) == ("expected", "its own copy")
    outcome = suite("SoundMixer", Role.MIXER, expected={check.name: "its own copy"}).outcome(check)
    assert outcome.status == "failed"
    assert "was expected to fail (its own copy), but passes" in outcome.message
    assert "remove it from the list" in outcome.message


@pytest.mark.parametrize(
    ("expected", "said"),
    [({"bf61": "why"}, r"there is no such check \(did you mean bf16"), ({"bf16": " "}, "without a reason; give one")],
)
def test_a_wrong_expectation_is_one_sentence(suite, expected, said):
    with pytest.raises(InputError, match=said):
        suite("Sound", expected=expected)
