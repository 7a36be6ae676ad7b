"""The trainer of all roles: it runs the moves that an architecture yields.

The batch and all random numbers of a step depend only on (seed, step). A checkpoint therefore holds weights,
optimisers, scalers and averages, but no generator states and no position in the data, and resuming is bit-exact on a
CPU. For several processes under torchrun, see `core.train.distributed`.

On a GPU, no step waits for the host: losses stay on the device and are read every `READ_EVERY` steps, and checkpoints
are written in the background.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from strokereg.core.roles import Batch, Player
from strokereg.core.train.checkpoint import BackgroundWriter, load_checkpoint
from strokereg.core.train.device import (
    allow_tf32,
    choose_device,
    choose_precision,
    compile_networks,
    repeatable,
    seed_everything,
    sound_bf16,
)
from strokereg.core.train.distributed import join_process_group
from strokereg.core.train.record import CHECKPOINT, HISTORY
from strokereg.core.train.tracking import VALIDATION_DICE, History
from strokereg.core.train.validation import Validator
from strokereg.registry.errors import RunFailed, StrokeregError
from strokereg.registry.options import Augmented

OnStep = Callable[[int, dict[str, float]], None]

#: Steps between two readings of the losses on a GPU. On a CPU they are read in every step.
READ_EVERY = 20
#: Largest share of a training's time that evaluations on validation cases should take.
SHARE = 0.15
_PASSES = 4  # forward passes that cost as much as one training sample with its gradient and augmentation


class TrainerSettings(Augmented):
    """Settings of the trainer, the same for every role.

    Args:
        steps: optimiser steps.
        batch_size: samples a step.
        seed: seed of all random numbers.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto, fp32, tf32 (fp32 with faster products on a CUDA GPU), bf16, or fp16 (with one loss scaler for
            each player).
        deterministic: use deterministic algorithms only, so that a GPU repeats a training bit by bit; slower there.
        average: decay of the moving average of the weights, which is the result; 0 gives the last weights.
        compile: run the networks through torch.compile.
        threads: torch threads (affects results on a CPU, because sums over threads round differently).
        checkpoint_seconds: time between checkpoints; 0 writes one at every reading of the losses.
        evaluations: times that a segmenter is evaluated on the validation cases during training, at equal distances
            and at most as often as `SHARE` allows. The best averaged weights are delivered; 0 delivers the last ones.
        patience: stop after so many evaluations without a better one; 0 never stops early.
        augment: changes to the augmentation of the role; see `registry.options.Augmented`.
    """

    steps: int = Field(default=1000, ge=1)
    batch_size: int = Field(default=16, ge=1)
    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    deterministic: bool = False
    average: float = Field(default=0.99, ge=0, lt=1)
    compile: bool = False
    threads: int = Field(default=1, ge=1)
    checkpoint_seconds: float = Field(default=60.0, ge=0)
    evaluations: int = Field(default=20, ge=0)
    patience: int = Field(default=0, ge=0)

    def evaluation_interval(self, samples: int) -> int:
        """Steps between two evaluations on validation cases, so that these take at most `SHARE` of the time.

        It is derived from numbers of samples and not from a clock, so that every machine evaluates at the same steps.

        Args:
            samples: see `Validator.samples`.
        """
        most = int(SHARE * _PASSES * self.steps * self.batch_size / max(samples, 1))
        return math.ceil(self.steps / max(1, min(self.evaluations, most)))


@dataclass
class Best:
    """The best averaged weights so far, on the CPU, with the step and the validation Dice (0 … 1) that they have."""

    step: int
    dice: float
    weights: dict[str, torch.Tensor]


class Trainer:
    """Trains one model in one folder.

    Args:
        model: a module with `players()` and `moves(batch)`; see `core.roles`.
        name: name of the architecture, for messages.
        draw: `(step, device, progress) -> Batch`; under torchrun, the part of this process.
        folder: where the checkpoint and the history are kept.
        on_step: called with the number and the named losses of each step, once they are read. After an evaluation it is
            called again with the Dice as `VALIDATION_DICE`.
        validator: evaluates the model on validation cases; None for all but segmenters.
    """

    def __init__(
        self,
        model: nn.Module,
        name: str,
        draw: Callable[[int, torch.device, float], Batch],
        settings: TrainerSettings,
        folder: Path,
        on_step: OnStep = lambda step, losses: None,
        validator: Validator | None = None,
    ):
        self.settings, self.name, self.draw, self.on_step = settings, name, draw, on_step
        self.group = join_process_group(settings.device)
        self.device = choose_device(settings.device)
        self.precision = choose_precision(settings.precision, self.device)
        if self.precision == "tf32":
            allow_tf32(True)
        torch.set_num_threads(settings.threads)
        self.model = model.to(self.device).train()
        if settings.compile:
            compile_networks(self.model)
        self.players: dict[str, Player] = model.players()  # type: ignore[operator]
        self.optimisers = {player: _optimiser(p, self.device) for player, p in self.players.items()}
        # bf16 has the range of fp32 and needs no scaler.
        scaling = self.precision == "fp16"
        self.scalers = {player: torch.amp.GradScaler(self.device.type, enabled=scaling) for player in self.players}
        self.averages = {
            player: [p.detach().clone() for p in self.players[player].parameters]
            for player in self.players
            if settings.average and self.players[player].average
        }
        self.checkpoint = folder / CHECKPOINT
        self.history = History(folder / HISTORY)
        self.step = 0
        self.read_every = 1 if self.device.type == "cpu" else READ_EVERY
        self._unread: list[tuple[int, list[str], list[torch.Tensor]]] = []  # steps, names and values of their losses
        self._saved = time.monotonic()
        self.validator = validator if settings.evaluations else None
        self.every = settings.evaluation_interval(self.validator.samples) if self.validator else 0
        self.best: Best | None = None

    def fit(self) -> nn.Module:
        """Train to the last step, starting from the checkpoint if there is one.

        Returns:
            The model in eval mode, with its best averaged weights if it was validated, else with the last ones.

        Raises:
            RunFailed: a loss is NaN or infinite, and the last checkpoint is kept; or an operation of a deterministic
                training has no deterministic algorithm.
            OutputFailed: a checkpoint cannot be written, for example because the disk is full; the last one is kept.
        """
        # An untrained method has no players, but may see `looks` batches to fill its buffers.
        steps = self.settings.steps if self.players else int(getattr(self.model, "looks", 0))
        if (state := load_checkpoint(self.checkpoint)) is not None:
            self._restore(state)
        if self.group.is_main:
            self.history.cut(self.step)
        with contextlib.ExitStack() as stack:
            stack.enter_context(repeatable(self.name, self.device, self.settings.deterministic))
            if self.precision == "bf16":
                stack.enter_context(sound_bf16(self.model))
            self._advance(steps, stack.enter_context(BackgroundWriter()))
        if self.best:
            self.model.load_state_dict(self.best.weights)
        else:
            self._swap_averages()
        return self.model.eval()

    def _advance(self, steps: int, writer: BackgroundWriter) -> None:
        while self.step < steps and not self._has_stopped():
            progress = self.step / steps
            seed_everything(self.settings.seed, self.step)
            batch = self.draw(self.step, self.device, progress)
            if not self.group.is_main:  # so that processes draw different noise for their samples
                seed_everything(self.settings.seed, self.step, self.group.rank)
            losses = self._play(batch, progress)
            self.step += 1
            self._unread.append((self.step, list(losses), list(losses.values())))
            validate = bool(self.every) and (self.step % self.every == 0 or self.step == steps)
            # All processes read at the same steps, because they average what they read.
            if self.step % self.read_every == 0 or self.step == steps or validate:
                self._read()
                if validate:
                    self._validate()
                due = time.monotonic() - self._saved >= self.settings.checkpoint_seconds
                due = due or self.step == steps or self._has_stopped()
                if due and self.group.is_main:
                    self.history.flush()
                    writer.save(self.checkpoint, self._state())
                    self._saved = time.monotonic()

    def _validate(self) -> None:
        """Evaluate the averaged weights, and keep them if they are the best; of equals, the earlier ones."""
        assert self.validator
        self._swap_averages()
        # The mean over processes is the same number everywhere, so that all of them stop at the same step.
        dice = float(self.group.mean(torch.tensor([self.validator(self.model.eval())], device=self.device)))
        if self.best is None or dice > self.best.dice:
            weights = {name: value.detach().to("cpu", copy=True) for name, value in self.model.state_dict().items()}
            self.best = Best(self.step, dice, weights)
        self._swap_averages()
        self.model.train()
        self.history.add(self.step, {VALIDATION_DICE: dice})
        self.on_step(self.step, {VALIDATION_DICE: dice})

    def _has_stopped(self) -> bool:
        """Whether the last `patience` evaluations found nothing better."""
        patience = self.settings.patience
        return bool(patience and self.best and self.step // self.every - self.best.step // self.every >= patience)

    def _swap_averages(self) -> None:
        """Exchange the weights and their averages."""
        with torch.no_grad():
            for player, average in self.averages.items():
                weights = list[torch.Tensor](self.players[player].parameters)
                kept = [weight.clone() for weight in weights]
                torch._foreach_copy_(weights, average)
                torch._foreach_copy_(average, kept)

    def _play(self, batch: Batch, progress: float) -> dict[str, torch.Tensor]:
        """Run all moves of one step. Each move is computed under its own autocast; backward runs outside of it.

        Returns:
            The losses on the device, by `player/loss`; of a player that moves several times, those of its last move.
        """
        moves = self.model.moves(batch)  # type: ignore[operator]
        dtype, played = _DTYPES[self.precision], dict[str, torch.Tensor]()
        while True:
            with torch.autocast(self.device.type, dtype, enabled=dtype is not None):
                move = next(moves, None)
            if move is None:
                return played
            name, losses = move
            if name not in self.players:
                known = ", ".join(self.players)
                raise StrokeregError(
                    f"{self.name}: moves() yields the player {name!r}, but players() has only: {known}"
                )
            values = torch.stack([value.float().reshape(()) for value in losses.values()])
            self._move(name, values.sum(), progress)
            played.update(zip((f"{name}/{loss}" for loss in losses), values.detach(), strict=True))

    def _read(self) -> None:
        """Read the losses of the last steps, in one copy from the device, and pass them on.

        Raises:
            RunFailed: one of them is NaN or infinite.
        """
        kept = [value for _, _, values in self._unread for value in values]
        numbers = iter(self.group.mean(torch.stack(kept)).tolist() if kept else ())
        unread, self._unread = self._unread, []
        for step, names, _ in unread:
            losses = {name: next(numbers) for name in names}
            for key, value in losses.items():
                if not math.isfinite(value):
                    player, _, loss = key.partition("/")
                    raise RunFailed(
                        f"{self.name}: the loss {loss!r} of {player!r} became {value} at step {step - 1}; "
                        f"the last good checkpoint is kept; lower the learning rate or train in fp32"
                    )
            self.history.add(step, losses)
            self.on_step(step, losses)

    def _move(self, name: str, loss: torch.Tensor, progress: float) -> None:
        player, optimiser, scaler = self.players[name], self.optimisers[name], self.scalers[name]
        for group in optimiser.param_groups:
            group["lr"] = player.lr * _rate(player.schedule, progress)
        optimiser.zero_grad(set_to_none=True)
        # Gradients are computed for this player only, so the other players are not affected.
        scaler.scale(loss).backward(inputs=player.parameters)
        self.group.average(player.parameters)
        if player.clip is not None:
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(player.parameters, player.clip)
        scaler.step(optimiser)
        scaler.update()
        if name in self.averages:
            # Early on the average follows the weights closely, or it would keep the random start.
            decay = min(self.settings.average, (1.0 + self.step) / (10.0 + self.step))
            with torch.no_grad():
                torch._foreach_lerp_(self.averages[name], list[torch.Tensor](player.parameters), 1.0 - decay)

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.optimisers.items()},
            "scalers": {name: scaler.state_dict() for name, scaler in self.scalers.items()},
            "averages": self.averages,
            "best": vars(self.best) if self.best else None,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        for name in self.players:
            self.optimisers[name].load_state_dict(state["optimisers"][name])
            if state["scalers"][name]:  # of fp16; any other precision leaves none
                self.scalers[name].load_state_dict(state["scalers"][name])
        # In place: the optimisers and averages stay on their devices, and step counters stay on the CPU.
        for name, average in self.averages.items():
            torch._foreach_copy_(average, state["averages"][name])
        self.best = Best(**state["best"]) if state["best"] else None


_DTYPES = {"fp32": None, "tf32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def _optimiser(player: Player, device: torch.device) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if player.optimiser == "adamw" else torch.optim.Adam
    # Fused, it keeps its step counters on the GPU and never asks whether a scaled gradient overflowed.
    fused = True if device.type == "cuda" else None
    return kind(player.parameters, lr=player.lr, betas=player.betas, weight_decay=player.weight_decay, fused=fused)


def _rate(schedule: str, progress: float) -> float:
    """Learning rate at `progress` (0 … 1) of the training, as a share of the player's rate."""
    if schedule == "linear":
        return min(1.0, 2.0 * (1.0 - progress))
    if schedule == "onecycle":  # Smith 2018: cosine up over 30 %, cosine down over the rest
        if progress < 0.3:
            return 0.04 + 0.96 * (1.0 - math.cos(math.pi * progress / 0.3)) / 2.0
        return 1e-4 + (1.0 + math.cos(math.pi * (progress - 0.3) / 0.7)) / 2.0
    return 1.0
