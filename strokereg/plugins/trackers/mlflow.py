"""MLflow: to the server that `MLFLOW_TRACKING_URI` names, else to MLflow's files in the folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strokereg.registry.errors import InputError

_EXPERIMENT = "strokereg"
_AT_ONCE = 200  # metrics a message: every one alone would cost more than a small network's step


class MlflowTracker:
    """Logs facts as parameters and losses as metrics."""

    def __init__(self, folder: Path) -> None:
        # Of itself MLflow tells its makers of its use. And it keeps files only where it is asked to twice, since it
        # wants databases, which need SQL packages.
        for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_FILE_STORE"):
            os.environ.setdefault(name, "true")
        try:
            from mlflow.entities import Metric, Param
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise InputError(
                "--track mlflow: the package mlflow is missing; pip install 'strokereg[mlflow]'"
            ) from error
        self._metric, self._param = Metric, Param
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or folder.resolve().as_uri())
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        self._experiment = found.experiment_id if found else self._client.create_experiment(_EXPERIMENT)
        self._runs: dict[str, str] = {}
        self._waiting: dict[str, list[Any]] = {}

    def begin(self, run: str, facts: Mapping[str, Any]) -> None:
        """Make a run of that name; a training that goes on after an interruption is another run."""
        made = self._client.create_run(self._experiment, run_name=run)
        self._runs[run], self._waiting[run] = made.info.run_id, []
        self._client.log_batch(made.info.run_id, params=[self._param(name, str(fact)) for name, fact in facts.items()])

    def step(self, run: str, step: int, losses: Mapping[str, float]) -> None:
        """Keep the losses, and send what has gathered now and then."""
        now = int(time.time() * 1000)
        self._waiting[run] += [self._metric(name, value, now, step) for name, value in losses.items()]
        if len(self._waiting[run]) >= _AT_ONCE:
            self._send(run)

    def end(self, run: str, failure: str | None) -> None:
        """Send the rest, and how it ended."""
        self._send(run)
        if failure is not None:
            self._client.set_tag(self._runs[run], "failure", failure)
        self._client.set_terminated(self._runs.pop(run), "FINISHED" if failure is None else "FAILED")

    def close(self) -> None:
        """Nothing is kept open between messages."""

    def _send(self, run: str) -> None:
        while self._waiting[run]:
            part, self._waiting[run] = self._waiting[run][:_AT_ONCE], self._waiting[run][_AT_ONCE:]
            self._client.log_batch(self._runs[run], metrics=part)
