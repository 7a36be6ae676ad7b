"""The built-in trackers over their real libraries, and a training that they watch."""

from __future__ import annotations

import sys

import pytest

from strokereg.cli.main import main
from strokereg.core.train.record import HISTORY, RECORD, WEIGHTS
from strokereg.core.train.tracking import Tracker, open_tracking
from strokereg.registry.catalogue import forget, trackers
from strokereg.registry.errors import InputError
from strokereg.registry.factory import build_tracker

LOSSES = [{"painter/l1": 1.0 / step, "painter/gan": 0.5} for step in range(1, 251)]

FAILS = """
import strokereg

class Fails:
    def __init__(self, folder): pass
    def begin(self, run, facts): pass
    def step(self, run, step, losses): raise OSError("no space left")
    def end(self, run, failure): pass
    def close(self): pass

@strokereg.hookimpl
def strokereg_trackers():
    yield strokereg.TrackerSpec(name="fails", factory="fails:Fails", summary="raises at the first step")
"""


def play(tracker) -> None:
    assert isinstance(tracker, Tracker)
    tracker.begin("unet-1", {"seed": 3, "title": "a U-Net"})
    for step, losses in enumerate(LOSSES, 1):
        tracker.step("unet-1", step, losses)
    tracker.begin("spade-2", {})
    tracker.end("spade-2", "became NaN")
    tracker.end("unet-1", None)
    tracker.close()


@pytest.mark.slow
def test_tensorboard_writes_what_tensorboard_reads(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    play(build_tracker(trackers().find("tensorboard"), tmp_path))
    events = accumulator.EventAccumulator(str(tmp_path / "unet-1"), {"scalars": 0})
    events.Reload()
    assert [(scalar.step, scalar.value) for scalar in events.Scalars("painter/l1")] == [
        (step, pytest.approx(losses["painter/l1"])) for step, losses in enumerate(LOSSES, 1)
    ]
    assert (tmp_path / "spade-2").is_dir()


@pytest.mark.slow
def test_mlflow_keeps_what_its_client_reads(tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_FILE_STORE"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    play(build_tracker(trackers().find("mlflow"), tmp_path / "kept"))
    from mlflow.tracking import MlflowClient

    client = MlflowClient((tmp_path / "kept").as_uri())
    experiment = client.get_experiment_by_name("strokereg")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert {name: run.info.status for name, run in runs.items()} == {"unet-1": "FINISHED", "spade-2": "FAILED"}
    assert runs["unet-1"].data.params == {"seed": "3", "title": "a U-Net"}
    assert runs["spade-2"].data.tags["failure"] == "became NaN"
    kept = client.get_metric_history(runs["unet-1"].info.run_id, "painter/l1")
    assert [(metric.step, metric.value) for metric in kept] == [
        (step, losses["painter/l1"]) for step, losses in enumerate(LOSSES, 1)
    ]


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_missing_library_is_one_sentence(tmp_path, monkeypatch, name):
    for module in [known for known in sys.modules if known.split(".")[0] == name or known == "torch.utils.tensorboard"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=rf"--track {name}: the package {name} is missing; run pip install 'strokereg"):
        open_tracking([name], tmp_path)


def words(cohort, out):
    few = ["--steps", "4", "--batch-size", "2", "--spacing", "8", "--cases", "3"]
    return ["train", "unet", "--data", str(cohort), "--out", str(out), *few]


def test_a_tracker_that_raises_changes_nothing(small_cohort, tmp_path, capsys):
    (tmp_path / "fails.py").write_text(FAILS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STROKEREG_PLUGINS", str(tmp_path / "fails.py"))
        forget()
        assert main([*words(small_cohort, tmp_path / "watched" / "run"), "--track", "fails"]) == 0
    forget()
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("tracker fails: failed in step (OSError: no space left); it is dropped") == 1
    assert main(words(small_cohort, tmp_path / "alone" / "run")) == 0
    for name in (WEIGHTS, HISTORY, RECORD):
        watched, alone = ((tmp_path / place / "run" / name).read_bytes() for place in ("watched", "alone"))
        assert watched == alone


def test_an_unknown_tracker_shows_before_anything_is_written(small_cohort, tmp_path, capsys):
    assert main([*words(small_cohort, tmp_path / "run"), "--track", "tensorbord"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "no tracker is named 'tensorbord' (did you mean tensorboard?)" in said
    assert not (tmp_path / "run").exists()
