"""The store: folders of finished tasks, which studies share.

A store is a folder of task folders; by default a study has its own, `runs`. Names end in the task's key, so a finished
task of the same name anywhere is the same work: it is linked into the study's store (copied where links cannot be
made), which costs no time and no disk, and leaves each study whole if the other is deleted. Every store is noted in the
cache; a store notes the studies that use it, so that unused folders can be found.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from strokereg.core.storage.cache import cache_folder, digest
from strokereg.core.storage.files import make_folder, replacing, write_json
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import Plan, Task, TaskKind
from strokereg.core.study.tasks import is_done, outcome_path
from strokereg.core.train.record import CHECKPOINT, PREVIOUS, RECORD, Record
from strokereg.registry.errors import InputError
from strokereg.registry.specs import Role

TASKS, ORIGIN = "tasks.json", "origin.json"
_STUDIES, _INDEX = ".studies", "stores"
_LOCKS = (".lock", ".task.lock")  # of a training, and of a task
_OWN = (".lock", ".task.lock", CHECKPOINT, PREVIOUS, ORIGIN)  # what belongs to one place only


class State(StrEnum):
    """How far a run is. A begun or trained one goes on when its command is run again."""

    DONE = "done"
    TRAINED = "trained"  # and not evaluated yet
    RUNNING = "running"
    BEGUN = "begun"


@dataclass(frozen=True)
class StoredRun:
    """One run of a store.

    Attributes:
        kind, architecture, cases, seed, steps: as far as its record says.
        arm: of a segmenter of a study; else empty.
        dice, validation_dice: of a segmenter, mean Dice (0 … 1) on test and on validation cases, if known.
        state: how far it is.
        bytes: size on disk; linked files count in both stores.
        origin: the store in which it was found, or an empty string.
        studies: folders of the studies that name it.
    """

    folder: Path
    kind: str
    architecture: str
    cases: int | None
    seed: int | None
    steps: int | None
    arm: str
    dice: float | None
    validation_dice: float | None
    state: State
    bytes: int
    origin: str
    studies: tuple[str, ...]


@dataclass(frozen=True)
class NotedArm:
    """An arm of a study, and the run of each seed."""

    name: str
    cases: int
    runs: dict[int, Path]

    @property
    def label(self) -> str:
        """`pix2pix, synthetic, n = 10`."""
        return f"{self.name}, n = {self.cases}"


def note_study(out: Path, context: StudyContext, plan: Plan, cache: Path) -> None:
    """Record which tasks a study needs, that its store is used by it, and where the store is."""
    make_folder(context.store / _STUDIES)
    folders = sorted({task.folder for task in plan.tasks.values()})
    arms = [
        {"name": arm.name, "cases": arm.cases, "runs": {str(task.seed): task.folder for task in arm.segmenters}}
        for arm in plan.arms
    ]
    write_json(out / TASKS, {"store": str(context.store.resolve()), "folders": folders, "arms": arms})
    for folder, path in ((context.store / _STUDIES, out), (make_folder(cache / _INDEX), context.store)):
        with replacing(folder / digest(str(path.resolve()))[:16]) as temporary:
            temporary.write_text(str(path.resolve()), encoding="utf-8")


def known_stores(cache: Path) -> list[Path]:
    """Every store that is recorded in the cache and still exists."""
    noted = sorted((cache / _INDEX).glob("*"))
    return [path for note in noted if (path := Path(note.read_text(encoding="utf-8"))).is_dir()]


def find_elsewhere(context: StudyContext, task: Task, stores: Iterable[Path]) -> Path | None:
    """The folder of the same task in another store, finished, or trained but evaluated on other cases."""
    for store in stores:
        place = store / task.folder
        if store.resolve() == context.store.resolve() or not place.is_dir():
            continue
        if (place / outcome_path(context, task).name).is_file():
            return place
        if task.kind is TaskKind.SEGMENTER and (place / RECORD).is_file() and Record.read(place).done:
            return place
    return None


def adopt(context: StudyContext, plan: Plan, stores: Iterable[Path]) -> int:
    """Link the finished tasks of a plan from other stores; returns their number."""
    stores = list(stores)
    found = 0
    for task in plan.tasks.values():
        if not is_done(context, task) and (place := find_elsewhere(context, task, stores)):
            found += _link(place, context.store / task.folder)
    return found


def _link(source: Path, target: Path) -> bool:
    """Link a finished task folder to a second place; False if another process works there."""
    building = target.with_name(f".building-{uuid.uuid4().hex}")
    shutil.copytree(source, building, copy_function=_link_file, ignore=lambda _, names: [n for n in names if n in _OWN])
    write_json(building / ORIGIN, {"store": str(source.parent.resolve())})
    try:
        if target.is_dir() and not _at_work(target):
            shutil.rmtree(target)
        building.rename(target)
    except OSError:  # another process was first, or is at work there
        shutil.rmtree(building, ignore_errors=True)
        return False
    return True


def _at_work(place: Path) -> bool:
    """Whether a process holds a lock of a task folder."""
    for name in _LOCKS:
        if (place / name).is_file():
            try:
                with FileLock(place / name, timeout=0):
                    pass
            except Timeout:
                return True
            except OSError:  # a store that may only be read
                continue
    return False


def _link_file(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def runs_of(store: Path) -> list[StoredRun]:
    """All runs of a store, by name."""
    needs = _needed(store)
    arms = {path.name: arm for study in needs for arm in arms_of(Path(study)) for path in arm.runs.values()}
    runs = []
    for place in sorted(store.iterdir()):
        if not place.is_dir() or place.name.startswith("."):
            continue
        kind, _, rest = place.name.partition("-")
        said: dict[str, Any] = {"kind": kind, "architecture": rest.rpartition("-")[0]}
        said |= dict.fromkeys(("cases", "seed", "steps", "validation_dice"))
        record = Record.read(place) if (place / RECORD).is_file() else None
        if record is not None:
            said = {"kind": str(record.role), "architecture": record.architecture}
            said |= {"cases": record.cohort.get("training_cases"), "validation_dice": record.validation_dice}
            said |= {"seed": record.trainer.get("seed"), "steps": record.trainer.get("steps")}
        origin = place / ORIGIN
        arm = arms.get(place.name)
        runs.append(
            StoredRun(
                folder=place,
                arm=arm.name if arm else "",
                dice=_dice(place) if record and record.role is Role.SEGMENTER else None,
                state=_state(place, record),
                bytes=sum(file.stat().st_size for file in place.rglob("*") if file.is_file()),
                origin=json.loads(origin.read_text(encoding="utf-8"))["store"] if origin.is_file() else "",
                studies=tuple(study for study, folders in needs.items() if place.name in folders),
                **said,
            )
        )
    return runs


def _dice(place: Path) -> float | None:
    """Mean Dice on the test cases, by the latest evaluation."""
    outcomes = sorted(place.glob("outcome*.json"), key=lambda path: path.stat().st_mtime)
    if not outcomes:
        return None
    cases = json.loads(outcomes[-1].read_text(encoding="utf-8")).get("cases") or {}
    return statistics.fmean(case["dice"] for case in cases.values()) if cases else None


def _state(place: Path, record: Record | None) -> State:
    if any(place.glob("outcome*.json")):
        return State.DONE
    if _at_work(place):
        return State.RUNNING
    if record is None or not record.done:
        return State.BEGUN
    # Only a study evaluates what it trained; its records name the source code of the class.
    return State.TRAINED if record.code else State.DONE


def _is_noted(store: Path) -> bool:
    """Whether any study has recorded what it needs of this store; otherwise nothing there may be deleted."""
    return (store / _STUDIES).is_dir()


def _useless(store: Path, delete: bool) -> list[Path]:
    """Folders that no study needs and no process works in, and leftovers of crashes; deleted if asked for."""
    useless = [run.folder for run in runs_of(store) if not run.studies] if _is_noted(store) else []
    useless += [place for place in store.glob("*/.building-*") if place.parent not in useless]
    gone = [place for place in useless if not _at_work(place if place.parent == store else place.parent)]
    if delete:
        for place in gone:
            shutil.rmtree(place)
    return gone


def _needed(store: Path) -> dict[str, set[str]]:
    """Study folder → names of the task folders that it needs; studies that are gone need none."""
    needs = {}
    for note in sorted((store / _STUDIES).glob("*")):
        study = Path(note.read_text(encoding="utf-8"))
        if (study / TASKS).is_file():
            said = json.loads((study / TASKS).read_text(encoding="utf-8"))
            if Path(said["store"]) == store.resolve():
                needs[str(study)] = set(said["folders"])
    return needs


def list_runs(folders: Iterable[Path | str] = ()) -> list[StoredRun]:
    """Every run of these stores.

    Args:
        folders: stores, or folders of studies; none stands for all that this machine's studies have used.

    Raises:
        InputError: a folder that is neither.
    """
    return [run for place in _stores(folders) for run in runs_of(place)]


def find_run(name: Path | str) -> Path:
    """The folder of a run: a path, or the beginning or end of a run's name in any known store.

    Raises:
        InputError: nothing, or more than one run, of that name.
    """
    if Path(name).is_dir():
        return Path(name)
    runs = [run.folder for run in list_runs()]
    found = [place for place in runs if place.name.startswith(str(name)) or place.name.endswith(str(name))]
    if len({place.name for place in found}) != 1:
        number = "no run" if not found else f"{len({place.name for place in found})} runs"
        raise InputError(f"{name}: {number} of that name in the known stores; 'strokereg runs list' shows all")
    return found[0]


def arms_of(study: Path) -> list[NotedArm]:
    """The arms of a study; none if the folder is no study."""
    if not (study / TASKS).is_file():
        return []
    said = json.loads((study / TASKS).read_text(encoding="utf-8"))
    store = Path(said["store"])
    return [
        NotedArm(arm["name"], arm["cases"], {int(seed): store / folder for seed, folder in arm["runs"].items()})
        for arm in said.get("arms", [])
    ]


def find_arm(study: Path | str, arm: str | None, seed: int | None = None) -> Path:
    """The run folder of an arm of a study.

    Args:
        study, arm: see `runs_of_arm`.
        seed: of its training; None for the one with the best Dice on the validation cases.

    Raises:
        InputError: see `runs_of_arm`.
    """
    scores = runs_of_arm(study, arm, seed)
    return max(scores, key=lambda path: scores[path])


def runs_of_arm(study: Path | str, arm: str | None, seed: int | None = None) -> dict[Path, float]:
    """Finished runs of an arm of a study → their Dice (0 … 1) on the validation cases.

    Args:
        study: folder of the study.
        arm: its name, or parts of it separated by commas, such as `pix2pix, n = 10`; None only where there is one arm.
        seed: of one training; None for all.

    Raises:
        InputError: no study, no such arm or seed, several arms that fit, or no finished training.
    """
    known = arms_of(Path(study))
    if not known:
        raise InputError(f"{study}: is not the folder of a study; give the --out of 'strokereg compare'")
    found = _fitting(known, arm)
    if len(found) != 1:
        listed = "; ".join(f"'{one.label}'" for one in found or known)
        fault = "name an arm" if arm is None else f"--arm '{arm}': {'several arms fit' if found else 'no such arm'}"
        raise InputError(f"{study}: {fault}; choose one of --arm {listed}")
    runs = found[0].runs
    if seed is not None and seed not in runs:
        raise InputError(f"{study}: --seed {seed}: the arm has the seeds {', '.join(map(str, runs))}; choose one")
    chosen = runs if seed is None else {seed: runs[seed]}
    records = {path: Record.read(path) for path in chosen.values() if (path / RECORD).is_file()}
    scores = {path: record.validation_dice or 0.0 for path, record in records.items() if record.done}
    if not scores:
        raise InputError(f"{study}: no training of '{found[0].label}' is finished; run the study again to go on")
    return scores


def _fitting(known: Sequence[NotedArm], arm: str | None) -> list[NotedArm]:
    """Arms of this name; if there is none, those whose label has all these parts."""
    if arm is None:
        return list(known)
    parts = _parts(arm)
    exact = [one for one in known if parts in (_parts(one.name), _parts(one.label))]
    return exact or [one for one in known if set(parts) <= set(_parts(one.label))]


def _parts(label: str) -> list[str]:
    return [" ".join(re.sub("=", " = ", part).split()).casefold() for part in label.split(",")]


def collect_garbage(folders: Iterable[Path | str] = (), delete: bool = False) -> tuple[list[Path], list[Path]]:
    """Find the runs that no study needs any more, and delete them if asked for.

    Returns:
        Unneeded folders, and the stores that were skipped because no study has recorded its needs there.

    Raises:
        InputError: see `list_runs`.
    """
    places = _stores(folders)
    useless = [place for each in places for place in _useless(each, delete)]
    return useless, [each for each in places if not _is_noted(each)]


def _stores(folders: Iterable[Path | str]) -> Sequence[Path]:
    places = []
    for folder in map(Path, folders):
        if (folder / TASKS).is_file():
            folder = Path(json.loads((folder / TASKS).read_text(encoding="utf-8"))["store"])
        elif (folder / "runs").is_dir():
            folder = folder / "runs"
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give the folder of a study, or its store")
        places.append(folder)
    return places or known_stores(cache_folder())
