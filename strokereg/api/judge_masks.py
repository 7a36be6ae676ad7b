"""Generators held against real masks, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.core.errors import InputError

if TYPE_CHECKING:
    from strokereg.core.judge_masks import JudgedMasks

#: Where it goes when nobody says where, and who is judged when nobody is named.
OUT = Path("strokereg-masks")
MODELS = ("mask-gan", "mask-warp")


def judge_masks(
    masks: Path | str,
    models: Sequence[str] = MODELS,
    out: Path | str = OUT,
    *,
    settings: Mapping[str, Any] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    spacing: float = 4.0,
    dims: int = 3,
    command: str = "",
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> JudgedMasks:
    """Train generators on four fifths of a folder of real masks and judge what they draw on the rest.

    Args:
        masks: folder of NIfTI lesion masks in MNI space.
        models: generators.
        out: folder of `judge.json`, `sheet.png` and the runs; called again on it, finished trainings are found.
        settings: of the trainer, see `core.trainer.TrainerSettings`.
        options: generator → its own options.
        spacing: of the grid in mm, isotropic.
        dims: 3 for whole masks, 2 for the slice of each in which the lesion is largest.
        on_progress: told what is done, how far, and of how much.

    Raises:
        InputError: unknown generator, wrong options, or masks that cannot be used.
        RunFailed: a loss became NaN or infinite.
    """
    from strokereg.core.judge_masks import judge_masks as run
    from strokereg.core.options import parse
    from strokereg.core.trainer import TrainerSettings
    from strokereg.registry.catalogue import build, find
    from strokereg.registry.factory import read_options

    registered = {name: find(name, "generator") for name in models}
    for name in options or {}:
        if name not in registered:
            raise InputError(f"--set {name}.…: {name} is not among the models; name it with --models")
    typed = {name: read_options(registered[name], values) for name, values in (options or {}).items()}
    if not 2.0 <= spacing <= 12.0:
        raise InputError(f"--spacing {spacing:g}: whole brains are judged on a coarse grid; give 2 to 12 mm")
    trainer = parse(TrainerSettings, {"batch_size": 8 if dims == 3 else 16, **(settings or {})}, "judge masks")
    return run(
        Path(masks), registered, build, Path(out), trainer, typed, spacing, dims, command, on_progress
    )  # fmt: skip
