"""MLflow reads what its tracker writes."""

from __future__ import annotations

import sys

import pytest

from strokereg.core.train.tracking import open_tracking
from strokereg.registry.catalogue import trackers
from strokereg.registry.errors import InputError
from strokereg.registry.factory import build_tracker


@pytest.mark.slow
def test_mlflow_keeps_what_its_client_reads(play, losses, tmp_path, monkeypatch):
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
    kept = client.get_metric_history(runs["unet-1"].info.run_id, "translator/l1")
    assert [(metric.step, metric.value) for metric in kept] == [
        (step, row["translator/l1"]) for step, row in enumerate(losses, 1)
    ]


def test_a_missing_library_is_one_sentence(tmp_path, monkeypatch):
    for module in [known for known in sys.modules if known.split(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match=r"--track mlflow: the package mlflow is missing; run pip install 'strokereg"):
        open_tracking(["mlflow"], tmp_path)
