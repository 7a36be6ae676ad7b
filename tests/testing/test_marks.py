"""The kit as pytest marks."""

from __future__ import annotations

import pytest

from strokereg.testing import BoundCheck, Broken, parametrize, parametrize_with_checks


def test_one_test_for_each_check_with_a_readable_name():
    mark = parametrize_with_checks("acme_faults:SoundMixer", role="mixer")
    names, rows = mark.args
    assert names == "check"
    assert "sound-mixer-leaves-its-cases-alone" in [row.id for row in rows]


def bound(suite, name):
    return next(BoundCheck(suite, check) for check in suite.checks if check.name == name)


def test_outcomes_become_those_of_pytest(suite):
    bound(suite("SoundMixer", "mixer"), "leaves-its-cases-alone")()
    with pytest.raises(Broken, match="Fix: copy arrays before you change them"):
        bound(suite("WritingMixer", "mixer"), "leaves-its-cases-alone")()
    with pytest.raises(pytest.skip.Exception, match="not part of an installed distribution"):
        bound(suite("SoundMixer", "mixer"), "spec-is-lazy")()
    expected = suite("WritingMixer", "mixer", expected={"leaves-its-cases-alone": "its own copy"})
    with pytest.raises(pytest.xfail.Exception, match="its own copy"):
        bound(expected, "leaves-its-cases-alone")()


def test_suites_made_by_hand(suite):
    mark = parametrize([suite("SoundMixer", "mixer")])
    assert len(mark.args[1]) == len(suite("SoundMixer", "mixer").checks)
