"""The table of subjects and sites."""

from __future__ import annotations

import pytest

from strokereg.core.cohort.participants import Participants, read_participants, sites_of
from strokereg.registry.errors import FileFault


def test_columns_rows_and_sites(tmp_path):
    assert read_participants(tmp_path) == Participants()
    (tmp_path / "participants.tsv").write_text("participant_id\tsite\tage\nsub-2\tA\t70\nsub-1\tn/a\t\n")
    (tmp_path / "participants.json").write_text('{"age": {"Description": "Age in years"}}')
    found = read_participants(tmp_path)
    assert found.columns == {"site": "site", "age": "Age in years"}
    assert found.lines() == [["sub-1", "n/a", "n/a"], ["sub-2", "A", "70"]]
    assert sites_of(tmp_path) == {"sub-2": "A"}
    (tmp_path / "participants.json").write_text("{")
    with pytest.raises(FileFault, match=r"participants\.json: not valid JSON"):
        read_participants(tmp_path)
