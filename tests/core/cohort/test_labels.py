"""Label tables: where lesions may lie, what is read and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.cohort.labels import TISSUES, LabelTable
from strokereg.registry.errors import InputError


def test_labels_know_where_a_lesion_may_lie():
    assert [TISSUES.names[i] for i in TISSUES.parenchyma] == ["cortical-grey", "deep-grey", "white"]
    assert LabelTable(("background", "brain", "lesion")).parenchyma == (1,)


def test_a_table_is_written_and_read_again(tmp_path):
    TISSUES.write(tmp_path / "dseg.tsv")
    assert LabelTable.read(tmp_path / "dseg.tsv") == TISSUES
    with pytest.raises(InputError, match="cannot be read"):
        LabelTable.read(tmp_path / "absent.tsv")


def test_values_outside_the_table_are_named():
    TISSUES.check(np.arange(7), "dseg.nii.gz")
    with pytest.raises(InputError, match=r"dseg\.nii\.gz: holds the label value 7, 8, 9, 10, 11 …, but .* ends at 6"):
        TISSUES.check(np.arange(13), "dseg.nii.gz")
