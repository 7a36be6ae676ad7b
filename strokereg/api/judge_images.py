"""Translators held against true images, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.core.errors import InputError

if TYPE_CHECKING:
    from strokereg.core.study.executor import Watcher
    from strokereg.core.study.painters import Painters

#: Where it goes when nobody says where.
OUT = Path("strokereg-images")


def judge_images(
    data: Path | str,
    models: Sequence[str] = (),
    out: Path | str = OUT,
    preset: str = "quick",
    workers: int | None = None,
    watcher: Watcher | None = None,
    command: str = "",
    **changes: Any,
) -> Painters:
    """Train translators on the training cases of a cohort and judge their images of all other cases.

    Args:
        data: cohort folder.
        models: translators; none stands for all that are installed and fit `dims`.
        out: folder of the runs, of `judge.json` and `sheet.png`; called again on it, finished work is found.
        preset, **changes: see `api.study.study_settings`.
        workers: processes; by default one a core, or one on a GPU.
        watcher: told how it goes; see `core.study.executor.Watcher`.
        command: as `judge.json` shows it.

    Raises:
        InputError: unknown model, wrong options, or data that cannot be used.
        RunFailed: the segmenter that lends its features could not be trained.
    """
    from strokereg.api.study import study_settings, typed_options
    from strokereg.core.cache import cache_folder
    from strokereg.core.cohort import open_cohort
    from strokereg.core.device import choose_device
    from strokereg.core.study.executor import LocalExecutor, Silent, default_workers
    from strokereg.core.study.painters import judge_images as run
    from strokereg.registry.catalogue import build, catalogue, find

    dims = changes.get("dims") or 2
    fitting = [catalogue().label(entry) for entry in catalogue().select(role="translator") if dims in entry.spec.dims]
    settings = study_settings(preset, models=tuple(models or fitting), **changes)
    roles = {settings.segmenters[0]: "segmenter"} | dict.fromkeys(settings.models, "translator")
    registered = {name: find(name, role) for name, role in roles.items()}
    for name in changes.get("options") or {}:
        if name not in registered:
            raise InputError(f"--set {name}.…: {name} is not among the models; name it with --models")
    settings = typed_options(settings, registered)
    return run(
        settings, open_cohort(Path(data)), Path(out), cache_folder() / "prepared", registered, build,
        LocalExecutor(workers or default_workers(choose_device(settings.device))), watcher or Silent(), command,
    )  # fmt: skip
