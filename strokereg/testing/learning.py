"""The short training that several checks share: one batch, until the network has learnt it or the steps run out."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from strokereg.core.roles import Batch, noise
from strokereg.registry.specs import Role, TranslatorSpec
from strokereg.testing.subject import Subject, temporary_folder

#: The measured distance must fall to this share of its first value.
SHARE = 0.5
_STEPS = {2: 200, 3: 120}  # at most
_EVERY = 10  # steps between measurements
_LEAST_RATE = {Role.GENERATOR: 2e-3, Role.TRANSLATOR: 2e-3, Role.SEGMENTER: 1e-2}


@dataclass(frozen=True)
class Learnt:
    """The outcome: the network in eval mode, what was measured, its first and last value, and the number of steps."""

    model: nn.Module
    what: str
    start: float
    end: float
    steps: int


class _Enough(Exception):
    """Ends the training early."""


@functools.cache
@torch.enable_grad()
def learn(subject: Subject) -> Learnt:
    """Train on one batch until the distance is half of its first value. The result is cached for each subject.

    Learning rates are constant and raised to `_LEAST_RATE`: the check is about the losses, and the architecture's own
    rate may be too low for so short a training.
    """
    batch, steps = _batch(subject), _STEPS[subject.dims]
    curves: dict[str, list[float]] = {}
    now = [float("inf"), 0]

    def on_step(step: int, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            curves.setdefault(name, []).append(value)
        if step % _EVERY == 0:
            now[:] = [measure(), step]
            if now[0] <= SHARE * start:
                raise _Enough

    settings = {"steps": steps, "checkpoint_seconds": 1e9}
    with temporary_folder() as folder:
        trainer = subject.trainer(folder, lambda *_: batch, on_step=on_step, **settings)
        for name, player in trainer.players.items():
            rate = max(player.lr, _LEAST_RATE[subject.role])
            trainer.players[name] = dataclasses.replace(player, lr=rate, schedule="constant")
        what, measure = _measure(subject, trainer.model, batch, curves)
        start = measure()
        with contextlib.suppress(_Enough):
            trainer.fit()
    return Learnt(trainer.model.eval(), what, start, now[0], int(now[1]))


def trained(subject: Subject) -> nn.Module:
    """The network after the short training, in eval mode, because first weights may be zero where it matters.

    An untrained method, or a network whose training fails (which other checks report), has its first weights.
    """
    try:
        return learn(subject).model if subject.fresh.players() else subject.fresh  # type: ignore[operator]
    except Exception:
        return subject.fresh


def _batch(subject: Subject) -> Batch:
    if subject.role is not Role.GENERATOR:
        return subject.batch()
    one = subject.batch(1)  # a generator sees one mask only and learns to draw it
    tensors = (one.labels, one.image, one.mask)
    return Batch(*(tensor.repeat(4, *(1,) * (tensor.ndim - 1)) for tensor in tensors))


def _measure(
    subject: Subject, model: nn.Module, batch: Batch, curves: dict[str, list[float]]
) -> tuple[str, Callable[[], float]]:
    """What is measured, and how: the task itself, because a loss may be scaled or have the wrong sign."""
    if isinstance(subject.spec, TranslatorSpec) and not subject.spec.paired:
        # No image belongs to these labels, so the loss that falls most is measured.
        return "the loss that fell most", lambda: min(
            (sum(c[-3:]) / max(sum(c[:3]), 1e-9) for c in curves.values() if sum(c[:3]) > 0), default=1.0
        )

    @torch.no_grad()
    def distance() -> float:
        model.eval()
        if subject.role is Role.TRANSLATOR:
            value = (model(*subject.inputs(model, batch)) - batch.image).abs().mean()
        elif subject.role is Role.GENERATOR:
            drawn = model(noise(model, 16, torch.Generator().manual_seed(0))).sigmoid()
            value = (drawn - batch.mask[:1]).abs().mean()
        else:
            lesion = model(batch.image).sigmoid()
            value = 1.0 - 2.0 * (lesion * batch.mask).sum() / (lesion.sum() + batch.mask.sum())
        model.train()
        return float(value)

    names = {
        Role.TRANSLATOR: "the mean absolute distance from the image",
        Role.GENERATOR: "the mean absolute distance of drawn masks from the one that was shown",
        Role.SEGMENTER: "1 - soft Dice",
    }
    return names[subject.role], distance
