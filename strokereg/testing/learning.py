"""The short training that several checks share: one batch, until it is learnt or patience ends."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from strokereg.core.roles import Batch, noise
from strokereg.testing.subject import Subject

#: The distance that is measured must fall to this share of what it was.
SHARE = 0.5
_STEPS = {2: 200, 3: 120}  # patience
_LOOK = 10  # steps between measurements
_LEAST_RATE = {"generator": 2e-3, "translator": 2e-3, "segmenter": 1e-2}


@dataclass(frozen=True)
class Learnt:
    """The outcome: the network in eval mode, what was measured before and after, and how many steps it took."""

    model: nn.Module
    what: str
    start: float
    end: float
    steps: int


class _Enough(Exception):
    """Ends a training early."""


@functools.cache
@torch.enable_grad()
def learn(subject: Subject) -> Learnt:
    """Train on one batch until the distance is half of what it was; each subject once.

    Learning rates are constant and raised to `_LEAST_RATE`, as the point is whether the losses lead anywhere, not
    whether the architecture's own rate suits so short a training.
    """
    batch, steps = _batch(subject), _STEPS[subject.dims]
    curves: dict[str, list[float]] = {}
    now = [float("inf"), 0]

    def on_step(step: int, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            curves.setdefault(name, []).append(value)
        if step % _LOOK == 0:
            now[:] = [measure(), step]
            if now[0] <= SHARE * start:
                raise _Enough

    settings = {"steps": steps, "checkpoint_every": steps}
    with subject.folder() as folder:
        trainer = subject.trainer(folder, lambda *_: batch, on_step=on_step, **settings)
        for name, player in trainer.players.items():
            rate = max(player.lr, _LEAST_RATE[subject.role])
            trainer.players[name] = dataclasses.replace(player, lr=rate, schedule="constant")
        what, measure = _measure(subject, trainer.model, batch, curves)
        start = measure()
        with contextlib.suppress(_Enough):
            trainer.fit()
    return Learnt(trainer.model.eval(), what, start, now[0], int(now[1]))


def lively(subject: Subject) -> nn.Module:
    """It in eval mode, after the short training: first weights may be zero where it counts.

    Where it cannot be trained, as other checks tell, with its first weights all the same.
    """
    try:
        return learn(subject).model if subject.ready.players() else subject.ready  # type: ignore[operator]
    except Exception:
        return subject.ready


def _batch(subject: Subject) -> Batch:
    if subject.role != "generator":
        return subject.batch()
    one = subject.batch(1)  # a generator is shown one mask only, and comes to draw it
    tensors = (one.labels, one.image, one.mask)
    return Batch(*(tensor.repeat(4, *(1,) * (tensor.ndim - 1)) for tensor in tensors))


def _measure(
    subject: Subject, model: nn.Module, batch: Batch, curves: dict[str, list[float]]
) -> tuple[str, Callable[[], float]]:
    """What is measured, and how; by the task itself, so that a loss that is scaled or mislabelled does not count."""
    if subject.role == "translator" and not getattr(subject.spec, "paired", True):
        # No image belongs to these labels: the best of its own losses must fall.
        return "the loss that fell most", lambda: min(
            (sum(c[-3:]) / max(sum(c[:3]), 1e-9) for c in curves.values() if sum(c[:3]) > 0), default=1.0
        )

    @torch.no_grad()
    def distance() -> float:
        model.eval()
        if subject.role == "translator":
            value = (model(*subject.inputs(model, batch)) - batch.image).abs().mean()
        elif subject.role == "generator":
            drawn = model(noise(model, 16, torch.Generator().manual_seed(0))).sigmoid()
            value = (drawn - batch.mask[:1]).abs().mean()
        else:
            lesion = model(batch.image).sigmoid()
            value = 1.0 - 2.0 * (lesion * batch.mask).sum() / (lesion.sum() + batch.mask.sum())
        model.train()
        return float(value)

    names = {
        "translator": "the mean absolute distance from the image",
        "generator": "the mean absolute distance of drawn masks from the one that was shown",
        "segmenter": "1 - soft Dice",
    }
    return names[subject.role], distance
