"""What is in the stores: runs listed, shown, and cleared away."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from strokereg.registry.errors import InputError

if TYPE_CHECKING:
    from strokereg.core.study.store import StoredRun


def list_runs(folders: Iterable[Path | str] = ()) -> list[StoredRun]:
    """Every run of these stores.

    Args:
        folders: stores, or folders of studies; none stands for all that this machine's studies have used.

    Raises:
        InputError: a folder that is neither.
    """
    from strokereg.core.study import store

    return [run for place in _stores(folders) for run in store.list_runs(place)]


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
        told = "no run" if not found else f"{len({place.name for place in found})} runs"
        raise InputError(f"{name}: {told} of that name in the known stores; 'strokereg runs list' shows all")
    return found[0]


def collect_garbage(folders: Iterable[Path | str] = (), delete: bool = False) -> tuple[list[Path], list[Path]]:
    """Find, and delete if asked for, what no study needs any more.

    Returns:
        The useless folders, and the stores that were left alone because no study has noted its needs there.

    Raises:
        InputError: see `list_runs`.
    """
    from strokereg.core.study import store

    places = _stores(folders)
    useless = [place for each in places for place in store.collect_garbage(each, delete)]
    return useless, [each for each in places if not store.is_noted(each)]


def _stores(folders: Iterable[Path | str]) -> Sequence[Path]:
    import json

    from strokereg.core.storage.cache import cache_folder
    from strokereg.core.study.store import TASKS, known_stores

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
