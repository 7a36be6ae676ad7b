"""MLflow: logs to the server in `MLFLOW_TRACKING_URI`, or else to files in the folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strokereg.registry.errors import InputError

_EXPERIMENT = "strokereg"
_AT_ONCE = 200  # metrics in each request; single requests would take longer than a step of a small network


class MlflowTracker:
    """Logs facts as parameters and losses as metrics."""

    def __init__(self, folder: Path) -> None:
        # By default MLflow sends usage data to its makers, and refuses to write files instead of a database.
        for name in ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_FILE_STORE"):
            os.environ.setdefault(name, "true")
        try:
            from mlflow.entities import Metric, Param
            from mlflow.tracking import MlflowClient
        except ImportError as error:
            raise InputError(
                "--track mlflow: the package mlflow is missing; run pip install 'strokereg[mlflow]'"
            ) from error
        self._metric, self._param = Metric, Param
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or folder.resolve().as_uri())
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        self._experiment = found.experiment_id if found else self._client.create_experiment(_EXPERIMENT)
        self._runs: dict[str, str] = {}
        self._waiting: dict[str, list[Any]] = {}

    def begin(self, run: str, facts: Mapping[str, Any]) -> None:
        """Create a run with this name; a resumed training is a new run."""
        made = self._client.create_run(self._experiment, run_name=run)
        self._runs[run], self._waiting[run] = made.info.run_id, []
        self._client.log_batch(made.info.run_id, params=[self._param(name, str(fact)) for name, fact in facts.items()])

    def step(self, run: str, step: int, losses: Mapping[str, float]) -> None:
        """Collect the losses, and send them from time to time."""
        now = int(time.time() * 1000)
        self._waiting[run] += [self._metric(name, value, now, step) for name, value in losses.items()]
        if len(self._waiting[run]) >= _AT_ONCE:
            self._send(run)

    def end(self, run: str, failure: str | None) -> None:
        """Send the remaining losses and the outcome."""
        self._send(run)
        if failure is not None:
            self._client.set_tag(self._runs[run], "failure", failure)
        self._client.set_terminated(self._runs.pop(run), "FINISHED" if failure is None else "FAILED")

    def close(self) -> None:
        """Does nothing, because no connection is kept open."""

    def _send(self, run: str) -> None:
        while self._waiting[run]:
            part, self._waiting[run] = self._waiting[run][:_AT_ONCE], self._waiting[run][_AT_ONCE:]
            self._client.log_batch(self._runs[run], metrics=part)
