"""The record of a run: what was trained, on which data, with which settings and result.

It is the file `run.json` of the run folder, beside `weights.safetensors` and `history.csv`. It is torch-free data and
gives its architecture by registered name, so a run folder of unknown origin cannot make strokereg load foreign code.
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
from strokereg.registry.specs import Role

RECORD, WEIGHTS = "run.json", "weights.safetensors"
HISTORY, CHECKPOINT = "history.csv", "checkpoint.safetensors"
PREVIOUS = "checkpoint-previous.safetensors"  # used where the last one is damaged


class Start(BaseModel):
    """The run whose weights a training began with.

    Attributes:
        path, run: its folder, and the name of that.
        weights: digest of its weights.
        cohort, steps: what it was trained on, and for how many steps.
        adapt: layers of another shape began anew.
    """

    model_config = ConfigDict(extra="forbid")

    path: str
    run: str
    weights: str
    cohort: str = ""
    steps: int = 0
    adapt: bool = False


class Record(BaseModel):
    """The content of `run.json`.

    Attributes:
        architecture, role, distribution, version: the architecture and the distribution that registered it.
        code: digest of the source of its class, in runs of a study; see `registry.factory.source_key`.
        factory: the class of the architecture, for information only; it is never imported from here.
        labels: names of the label table, lesion last.
        cohort: name and content key of the cohort, whether it is simulated, and the fold if any.
        validation: names of the cases that weights and postprocessing were chosen on; no weight was trained on them.
        trainer: the trainer's settings.
        start: the run whose weights it began with; None for random ones.
        postprocessing: of a segmenter, chosen on the validation cases.
        chosen_step: of a segmenter, the step whose averaged weights had the best validation Dice and were delivered.
        validation_dice: of a segmenter, mean Dice (0 … 1) on the validation cases, with postprocessing, on the grids
            of the scans.
        done: False until the weights are final.
        earlier_steps: numbers of steps that earlier calls asked for, before the training went on with more.
        versions: of Python, torch and strokereg.
        hardware: processor, cores, memory, GPU and threads of the machine.
    """

    model_config = ConfigDict(extra="forbid")

    architecture: str
    role: Role
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
    start: Start | None = None
    postprocessing: Postprocessing | None = None
    chosen_step: int | None = None
    validation_dice: float | None = None
    done: bool = False
    earlier_steps: tuple[int, ...] = ()
    versions: dict[str, str] = {}
    hardware: dict[str, str | int | float] = {}

    def fold_in(self, root: Path | str) -> int | None:
        """The fold of this run if `root` is its own cohort; None for another cohort or for `split.tsv`."""
        own = str(Path(root).resolve()) == self.cohort.get("path")
        return self.cohort.get("fold") if own else None

    def write(self, folder: Path) -> None:
        """Write `run.json` atomically."""
        write_json(folder / RECORD, self.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path | str) -> Record:
        """Read the record of a run folder.

        Raises:
            InputError: not a run folder, a damaged record, or a link that leads out of the folder.
        """
        path = own_file(Path(folder), RECORD)
        if not path.is_file():
            raise InputError(f"{folder}: not a run folder (no {RECORD}); give one that 'strokereg train' made")
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise InputError(f"{path}: not a run record ({reason}); train again") from error


def differences(before: Record, now: Record) -> dict[str, str]:
    """What makes two records those of different trainings; nothing if they are of the same.

    The outcome, the place of the cohort and the machine do not count. Of the device, its kind counts: a GPU rounds
    differently from a CPU, but not from another GPU of its kind.

    Returns:
        Field, such as `trainer.steps` → the difference in words, as an option of the command where there is one.
    """
    old, new = _fields(before), _fields(now)
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    said = {name: _said(name, old.get(name), new.get(name)) for name in changed}
    derived = [name for name in said if name in _DERIVED]
    for name in derived[1 if len(derived) == len(said) else 0 :]:  # follow from other differences
        del said[name]
    return said


#: Fields that follow from the data and the settings.
_DERIVED = ("problem.labels", "problem.size", "problem.channels", "preparation.size", "preparation.multiple", "labels")
#: Field → its option, where the two have other names.
_OPTIONS = {"cohort.training_cases": "--cases", "cohort.fold": "--fold", "problem.dims": "--dims", "start": "--from"}
_CODE = ("distribution", "version", "code", "factory")
_OUTCOME = ("done", "postprocessing", "chosen_step", "validation_dice", "earlier_steps", "versions", "hardware")


def _fields(record: Record) -> dict[str, Any]:
    """Field → value, with tables as `table.field`, without what does not make the training."""
    identity = record.model_dump(
        mode="json",
        exclude={
            **dict.fromkeys(_OUTCOME, True),
            "cohort": {"path", "name"},
            "trainer": {"checkpoint_seconds"},
            "start": {"path", "run"},
        },
    )
    if record.role is not Role.SEGMENTER:  # which chooses its weights on them
        del identity["validation"]
    if "device" in identity["trainer"]:
        identity["trainer"]["device"] = identity["trainer"]["device"].partition(":")[0]
    tables = {name: identity.pop(name) for name in ("problem", "options", "preparation", "cohort", "trainer")}
    return identity | {f"{table}.{name}": value for table, values in tables.items() for name, value in values.items()}


def _said(name: str, old: Any, new: Any) -> str:
    if name in _CODE:
        return f"other code: {name} {old or 'unknown'}, now {new or 'unknown'}"
    table, _, field = name.rpartition(".")
    if name == "start":
        return "another --from" if old and new else f"{'no ' if old is None else ''}--from before"
    if name in _DERIVED or name in ("cohort.key", "validation"):
        return "other data"
    option = {"options": f"--set {field}", "trainer": f"--{field.replace('_', '-')}", "preparation": f"--{field}"}
    shown = _OPTIONS.get(name, option.get(table, name))
    if name == "preparation.spacing" and all(len(set(edges or ())) == 1 for edges in (old, new)):
        old, new = (f"{edges[0]:g}" for edges in (old, new))
    return f"{shown} {_short(old)}, now {_short(new)}"


def _short(value: Any) -> str:
    """A value as it is typed."""
    if value is None:
        return "not given"
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items()) or "not given"
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
