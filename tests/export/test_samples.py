"""Cases as inputs of a graph."""

import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.train.record import Record
from strokereg.export.samples import samples_of
from strokereg.registry.errors import InputError


def test_samples_of_a_cohort_without_its_cases_say_what_is_missing(unet_run, phantom):
    record = Record.read(unet_run)
    wanted = record.model_copy(
        update={"preparation": record.preparation.model_copy(update={"channels": ("dwi", "T2w")})}
    )
    with pytest.raises(InputError, match="sub-01: has no T2w image"):
        samples_of(wanted, open_cohort(phantom))
