"""Compare generators with real masks: train on 80 % of a folder and evaluate on the rest.

The held-out 20 % are split in two. All sets are compared with the first half. The second half shows the distance
between two sets of real masks, which is the best result to expect. `mask-warp`, which only deforms training masks, is
the simple baseline.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from strokereg.core.evaluate.generated_mask_quality import MaskReference, MaskScores
from strokereg.core.evaluate.generated_mask_sheet import draw_sheet
from strokereg.core.roles import Batch, noise
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.view import Convention
from strokereg.core.storage.files import in_own_folder, keep_foreign, make_folder, write_json
from strokereg.core.synthesis.mask_folder import MniGrid, mni_brain, read_masks
from strokereg.core.train.device import seed_everything
from strokereg.core.train.record import Record
from strokereg.core.train.runs import train_run, versions
from strokereg.core.train.trainer import TrainerSettings
from strokereg.registry.catalogue import build, find
from strokereg.registry.errors import InputError
from strokereg.registry.factory import read_options
from strokereg.registry.installed import Entry
from strokereg.registry.options import parse
from strokereg.registry.problem import Problem

#: Called with a description of the current work, the number of finished units, and the number of all units.
OnProgress = Callable[[str, int, int], None]

#: Default output folder and default generators.
OUT = Path("strokereg-masks")
MODELS = ("mask-gan", "mask-warp")

_LABELS = ("background", "brain", "lesion")
_AT_ONCE = 8  # masks per forward pass


class GeneratorEvaluation(BaseModel):
    """The results, as in `evaluation.json`.

    Attributes:
        sets: the second half of the held-out masks first, then one set per generator.
        training: number of training masks.
        held_out: number of masks that all sets are compared with.
    """

    model_config = ConfigDict(extra="forbid")

    command: str = ""
    folder: str
    dims: int
    spacing: float
    seed: int
    steps: int
    training: int
    held_out: int
    sets: list[MaskScores]
    versions: dict[str, str]


@dataclass(frozen=True)
class Supply:
    """Real masks in three parts that share no file, and the brains of the training masks.

    Attributes:
        training, held_out, second: bool [N, *S].
        brains: brain of each training mask, bool [N, *S].
    """

    training: np.ndarray
    held_out: np.ndarray
    second: np.ndarray
    brains: np.ndarray

    def batch(self, seed: int, size: int) -> Callable[[int, torch.device, float], Batch]:
        """Return a function of the step that draws training masks with equal probability, without augmentation."""

        def draw(step: int, device: torch.device, progress: float) -> Batch:
            chosen = np.random.default_rng([seed, step]).integers(len(self.training), size=size)
            mask = torch.from_numpy(self.training[chosen])
            labels = torch.from_numpy(self.brains[chosen]).long()
            labels[mask] = len(_LABELS) - 1
            image = labels[:, None].float() - 1.0
            return Batch(labels.to(device), image.to(device), mask[:, None].float().to(device), progress)

        return draw


def evaluate_generators(
    masks: Path | str,
    models: Sequence[str] = MODELS,
    out: Path | str = OUT,
    *,
    settings: Mapping[str, Any] | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    spacing: float = 4.0,
    dims: int = 3,
    command: str = "",
    convention: Convention = Convention.RADIOLOGICAL,
    on_progress: OnProgress = lambda what, done, total: None,
) -> GeneratorEvaluation:
    """Train generators on 80 % of a folder of real masks and compare what they generate with the rest.

    Args:
        masks: folder of NIfTI lesion masks in MNI space.
        models: generators.
        out: folder for `evaluation.json`, `sheet.png` and the runs; finished trainings in it are reused.
        settings: settings of the trainer, see `core.train.trainer.TrainerSettings`; the seed also splits the masks.
        options: generator → its options.
        spacing: isotropic voxel edge of the grid in mm.
        dims: 3 for volumes, 2 for the slice of each mask with the largest lesion area.
        convention: orientation of the pictures.

    Raises:
        InputError: unknown generator, wrong options, or masks that cannot be used.
        RunFailed: a loss became NaN or infinite.
    """
    folder, out = Path(masks), Path(out)
    entries = {name: find(name, "generator") for name in models}
    for name in options or {}:
        if name not in entries:
            raise InputError(f"--set {name}.…: {name} is not among the models; name it with --models")
    typed = {name: read_options(entries[name], values) for name, values in (options or {}).items()}
    if not 2.0 <= spacing <= 12.0:
        raise InputError(f"--spacing {spacing:g}: is outside the range of 2 to 12 mm; choose a value in it")
    trainer = parse(TrainerSettings, {"batch_size": 8 if dims == 3 else 16, **(settings or {})}, "evaluate generator")
    grid = MniGrid.of(spacing)
    problem = Problem(dims=dims, labels=len(_LABELS), size=grid.shape[3 - dims :])
    for name in entries:
        build(name, problem, typed.get(name, {}))  # report wrong options before reading any mask
    keep_foreign([out / "evaluation.json", out / "sheet.png"], in_own_folder("evaluation.json", "versions"))
    make_folder(out)
    volumes = read_masks(folder, grid, lambda done, total: on_progress("reading masks", done, total))
    supply = split_masks(volumes, mni_brain(grid), dims, trainer.seed)
    reference = MaskReference(supply.held_out, supply.training, spacing)
    sets = {"real, held out": supply.second}
    scores = [reference.score("real, held out", supply.second)]
    for name, entry in entries.items():
        begun = time.perf_counter()
        record = _record(name, entry, problem, typed.get(name, {}), trainer, supply, grid)
        model = train_run(
            out / "runs" / name.replace(":", "."),
            record,
            supply.batch(trainer.seed, trainer.batch_size),
            lambda step, losses, name=name: on_progress(f"training {name}", step, trainer.steps),  # type: ignore
        )
        sets[name] = _draw(model, len(supply.second), trainer.seed)
        scores.append(reference.score(name, sets[name], round(time.perf_counter() - begun, 1)))
    draw_sheet({"real, training": supply.training, **sets}, supply.brains[0], out / "sheet.png", convention)
    evaluated = GeneratorEvaluation(
        command=command, folder=folder.name, dims=dims, spacing=spacing, seed=trainer.seed, steps=trainer.steps,
        training=len(supply.training), held_out=len(supply.held_out), sets=scores, versions=versions(),
    )  # fmt: skip
    write_json(out / "evaluation.json", evaluated.model_dump(mode="json"))
    return evaluated


def split_masks(masks: np.ndarray, brain: np.ndarray, dims: int, seed: int) -> Supply:
    """Split masks at random: four fifths for training, one tenth as the reference, one tenth as the second real set.

    Args:
        masks: bool [N, Z, Y, X].
        brain: bool [Z, Y, X].
        dims: 2 takes the slice of each mask with the largest area, and the brain at that height.
    """
    brains = np.broadcast_to(brain, masks.shape)
    if dims == 2:
        height = masks.sum(axis=(2, 3)).argmax(axis=1)
        masks, brains = masks[np.arange(len(masks)), height], brain[height]
    order = np.random.default_rng([seed, 0]).permutation(len(masks))
    held = len(masks) // 5
    second, held_out, training = order[: held // 2], order[held // 2 : held], order[held:]
    return Supply(masks[training], masks[held_out], masks[second], brains[training])


@torch.inference_mode()
def _draw(model: nn.Module, count: int, seed: int) -> np.ndarray:
    """Generate masks, bool [count, *S], with the same threshold as a study."""
    seed_everything(seed, 1)
    parts = [
        model(noise(model, min(_AT_ONCE, count - start)))[:, 0].cpu().numpy() > 0 for start in range(0, count, _AT_ONCE)
    ]
    return np.concatenate(parts)


def _record(
    name: str,
    entry: Entry,
    problem: Problem,
    options: Mapping[str, Any],
    settings: TrainerSettings,
    supply: Supply,
    grid: MniGrid,
) -> Record:
    z, y, x = grid.shape
    return Record(
        architecture=name,
        role=entry.spec.role,
        distribution=entry.distribution,
        version=entry.version,
        factory=entry.spec.factory,
        problem=problem,
        options=dict(options),
        preparation=Preparation(spacing=(grid.spacing,) * 3, size=(x, y, z)),
        labels=_LABELS,
        cohort={
            "name": "masks in MNI space",
            "key": hashlib.sha256(np.packbits(supply.training).tobytes()).hexdigest()[:16],
            "training_cases": len(supply.training),
        },
        trainer=settings.model_dump(),
    )


def rows_of(evaluated: GeneratorEvaluation) -> Sequence[tuple[str, ...]]:
    """The cells of the table as text, one row per set."""
    rows = []
    for s in evaluated.sets:
        low, middle, high = s.volume
        rows.append(
            (
                s.name,
                f"{100 * s.empty:.0f}",
                f"{middle:.3g} ({low:.2g}–{high:.3g})",
                *(_cell(value) for value in s.distances.values()),
                _cell(s.location),
                "–" if s.nearest is None else f"{s.nearest[0]:.2f} ({s.nearest[1]:.2f})",
                "–" if s.seconds is None else f"{s.seconds / 60:.1f}",
            )
        )
    return rows


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
