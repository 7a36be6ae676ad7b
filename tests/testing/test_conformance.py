"""Architectures by name: registered ones and classes."""

from __future__ import annotations

import pytest

from strokereg.registry.errors import InputError
from strokereg.testing.conformance import check, suites_of


def test_a_registered_name_has_a_suite_for_each_dimension_and_a_mixer_one():
    assert [suite.subject.title for suite in suites_of("unet")] == ["unet, 2D", "unet, 3D"]
    assert [suite.subject.title for suite in suites_of("unet", dims=(3,))] == ["unet, 3D"]
    assert [suite.subject.title for suite in suites_of("carvemix")] == ["carvemix"]


def test_a_class_is_checked_without_registration():
    [suite] = suites_of("acme_faults:DeafToNoise", role="translator", edge=16)
    assert (suite.subject.spec.name, suite.subject.spec.stochastic) == ("deaf-to-noise", True)
    assert suite.subject.edge == 16
    [suite] = suites_of("acme_faults:Sound", role="translator")
    assert not suite.subject.spec.stochastic


@pytest.mark.parametrize(
    ("name", "role", "said"),
    [
        ("acme_faults:Sound", None, "is not registered; give its role"),
        ("acme_faults:Sound", "reader", "there is no role 'reader'"),
        ("acme_faults:Absent", "translator", "cannot be imported"),
        ("unte", None, "did you mean unet"),
    ],
)
def test_a_wrong_name_is_one_sentence(name, role, said):
    with pytest.raises(InputError, match=said):
        suites_of(name, role=role)


def test_all_outcomes_are_returned_and_reported():
    seen = []
    outcomes = check("acme_faults:WritingMixer", role="mixer", on_outcome=seen.append)
    assert seen == outcomes
    assert {outcome.check for outcome in outcomes if outcome.status == "failed"} == {"leaves-its-cases-alone"}
    with pytest.raises(InputError, match="unet has no option 'depth'"):
        check("unet", options={"depth": 3})
