"""What all tasks share: the cohorts are checked and described before any work."""

from __future__ import annotations

import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.simulate import Simulation, simulate_cohort
from strokereg.core.study.context import make_context
from strokereg.core.study.settings import complete_settings
from strokereg.registry.errors import InputError


@pytest.fixture
def context_with(small_cohort, tmp_path):
    """A function (external cohort) → context of a study of mixers."""
    settings = complete_settings(("carvemix",), small_cohort, "smoke")

    def make(external):
        return make_context(settings, open_cohort(small_cohort), tmp_path / "store", open_cohort(external))

    return make


def test_an_external_cohort_is_simulated_or_real_as_its_own_description_says(context_with, phantom, tmp_path):
    simulated = simulate_cohort(tmp_path / "other", Simulation(5, shape=(48, 48, 32), spacing=4.7, seed=9), workers=1)
    found = context_with(simulated).external_facts
    assert (found.name, found.cases, found.simulated) == ("other", 5, True)
    found = context_with(phantom).external_facts
    assert (found.cases, found.simulated) == (3, False)


def test_a_case_of_the_cohort_cannot_be_external(context_with, small_cohort):
    with pytest.raises(InputError, match=r"has the same image as .* of the training cases"):
        context_with(small_cohort)
