"""The record of a run: plain data that says what was trained, on what, how, and with which result.

It lies as `run.json` in the run folder, beside `weights.safetensors` and `history.csv`. Torch-free, and
holding no code: an architecture is named, never pointed to, so a stranger's run folder can load nothing that
the registry does not know.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.storage.files import own_file, write_json
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem

RECORD, WEIGHTS, HISTORY, CHECKPOINT = (
    "run.json",
    "weights.safetensors",
    "history.csv",
    "checkpoint.safetensors",
)


class Record(BaseModel):
    """What a run folder says of itself.

    Attributes:
        architecture, role, distribution, version: who trained, from which installed distribution.
        code: digest of the source of that class, where a study keeps it; see `registry.factory`.
        factory: the class behind the name, for the reader; never imported from here.
        labels: names of the label table, lesion last.
        cohort: name and content key of the cohort, whether it is simulated, and the fold where there is one.
        validation: names of the cases that thresholds were chosen on, and that no weight has seen.
        trainer: the trainer's settings.
        done: False until weights are final.
        versions: of Python, torch and strokereg.
    """

    model_config = ConfigDict(extra="forbid")

    architecture: str
    role: str
    distribution: str = ""
    version: str = ""
    code: str = ""
    factory: str = ""
    problem: Problem
    options: dict[str, Any] = {}
    preparation: Preparation
    labels: tuple[str, ...]
    cohort: dict[str, Any] = {}
    validation: tuple[str, ...] = ()
    trainer: dict[str, Any] = {}
    postprocessing: Postprocessing | None = None
    done: bool = False
    versions: dict[str, str] = {}

    def fold_in(self, root: Path | str) -> int | None:
        """The fold that this run was trained in, where `root` is its own cohort; None for `split.tsv`."""
        own = str(Path(root).resolve()) == self.cohort.get("path")
        return self.cohort.get("fold") if own else None

    def write(self, folder: Path) -> None:
        """Write `run.json`: temporary name, then renamed."""
        write_json(folder / RECORD, self.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path | str) -> Record:
        """Read the record of a run folder.

        Raises:
            InputError: no run folder, a record that is damaged, or one that lies elsewhere.
        """
        path = own_file(Path(folder), RECORD)
        if not path.is_file():
            raise InputError(f"{folder}: not a run folder (no {RECORD}); give one that 'strokereg train' made")
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise InputError(f"{path}: not a run record ({reason}); train again") from error
