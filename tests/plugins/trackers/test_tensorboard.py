"""TensorBoard reads what its tracker writes."""

from __future__ import annotations

import sys

import pytest

from strokereg.core.train.tracking import open_tracking
from strokereg.registry.catalogue import trackers
from strokereg.registry.errors import InputError
from strokereg.registry.factory import build_tracker


@pytest.mark.slow
def test_tensorboard_writes_what_tensorboard_reads(play, losses, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    play(build_tracker(trackers().find("tensorboard"), tmp_path))
    events = accumulator.EventAccumulator(str(tmp_path / "unet-1"), {"scalars": 0})
    events.Reload()
    assert [(scalar.step, scalar.value) for scalar in events.Scalars("translator/l1")] == [
        (step, pytest.approx(row["translator/l1"])) for step, row in enumerate(losses, 1)
    ]
    assert (tmp_path / "spade-2").is_dir()


def test_a_missing_library_is_one_sentence(tmp_path, monkeypatch):
    for module in [
        known for known in sys.modules if known.split(".")[0] == "tensorboard" or known == "torch.utils.tensorboard"
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(
        InputError, match=r"--track tensorboard: the package tensorboard is missing; run pip install 'strokereg"
    ):
        open_tracking(["tensorboard"], tmp_path)
