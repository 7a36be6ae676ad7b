"""`run.json`: what it holds, and what is not a record."""

from __future__ import annotations

import pytest

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.scan.grid import Preparation
from strokereg.core.train.record import RECORD, Record
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem
from strokereg.registry.specs import Role


def record(**changes):
    plain = {"architecture": "unet", "role": "segmenter", "problem": Problem(), "preparation": Preparation()}
    return Record(labels=TISSUES.names, **plain, **changes)


def test_a_record_is_read_as_it_was_written(tmp_path):
    written = record(options={"widths": [4, 8]}, cohort={"fold": 2}, validation=("sub-1",), done=True)
    written.write(tmp_path)
    assert Record.read(tmp_path) == written
    assert Record.read(tmp_path).role is Role.SEGMENTER


def test_a_record_is_data_and_nothing_else(tmp_path):
    for content in ("!!python/object/apply:os.system ['true']", '{"architecture": "unet", "run": "rm"}', "\x80\x04"):
        (tmp_path / RECORD).write_text(content)
        with pytest.raises(InputError, match="not a run record"):
            Record.read(tmp_path)


def test_the_fold_counts_in_its_own_cohort_only(tmp_path):
    own = record(cohort={"path": str(tmp_path.resolve()), "fold": 3})
    assert own.fold_in(tmp_path) == 3
    assert own.fold_in(tmp_path / "other") is None
    assert record(cohort={"path": str(tmp_path.resolve())}).fold_in(tmp_path) is None
