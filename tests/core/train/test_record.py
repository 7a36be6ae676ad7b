"""`run.json`: what it holds, and what is not a record."""

from __future__ import annotations

import pytest

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.scan.grid import Preparation
from strokereg.core.train.record import RECORD, Record, Start, differences
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


BEFORE = record(
    options={"lr": 0.001},
    trainer={"steps": 100, "batch_size": 16, "device": "cuda:0", "augment": {}},
    cohort={"key": "a", "training_cases": 10},
    code="1f0c",
)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": {"lr": 0.01, "depth": 3}}, ["--set lr 0.001, now 0.01", "--set depth not given, now 3"]),
        ({"trainer": BEFORE.trainer | {"batch_size": 8}}, ["--batch-size 16, now 8"]),
        ({"trainer": BEFORE.trainer | {"augment": {"motion": 0.1}}}, ["--augment not given, now motion=0.1"]),
        ({"cohort": {"key": "a", "training_cases": 50}}, ["--cases 10, now 50"]),
        ({"cohort": {"key": "b", "training_cases": 10}}, ["other data"]),
        ({"code": "2b"}, ["other code: code 1f0c, now 2b"]),
        ({"start": Start(path="/run", run="run", weights="0")}, ["no --from before"]),
        (
            {"preparation": Preparation(spacing=(2.0,) * 3, size=(96, 96, 1))},
            ["--spacing 3, now 2"],
        ),
        ({"problem": Problem(size=(96, 96))}, ["other data"]),
        ({"trainer": BEFORE.trainer | {"device": "cuda:1"}, "done": True, "earlier_steps": (50,)}, []),
        ({"hardware": {"cores": 64}, "versions": {"torch": "3"}}, []),
    ],
)
def test_a_difference_is_said_as_the_option_that_makes_it(changes, said):
    assert list(differences(BEFORE, BEFORE.model_copy(update=changes)).values()) == said
