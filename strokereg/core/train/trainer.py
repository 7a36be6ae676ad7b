"""The one trainer: it plays the moves that an architecture yields, whatever its role.

A step draws its batch and all its randomness from (seed, step) alone. So a checkpoint holds weights, optimisers,
scalers and averages, but neither generator states nor a place in the data, and resuming is bit-exact on a CPU.
Under torchrun several processes play together; see `core.train.distributed`.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import nn

from strokereg.core.roles import Batch, Player
from strokereg.core.train.checkpoint import load_tree, save_tree
from strokereg.core.train.device import choose_device, choose_precision, seed_everything, sound_bf16
from strokereg.core.train.distributed import join_process_group
from strokereg.core.train.history import History
from strokereg.registry.errors import RunFailed, StrokeregError
from strokereg.registry.options import Augmented

OnStep = Callable[[int, dict[str, float]], None]


class TrainerSettings(Augmented):
    """How long and in which way to train; the same for every role.

    Args:
        steps, batch_size, seed: the length of the training, samples a step, seed of everything random.
        device: auto, cpu, cuda, cuda:N or mps.
        precision: auto, fp32, bf16 or fp16 (with a loss scaler a player).
        average: decay of the moving average of the weights that is delivered; 0 delivers the last weights.
        compile: run the network through torch.compile.
        threads: of torch on a CPU; part of the settings because sums over threads round differently.
        checkpoint_every: steps between checkpoints.
        augment: changes to the role's own augmentation; see `registry.options.Augmented`.
    """

    steps: int = Field(default=1000, ge=1)
    batch_size: int = Field(default=16, ge=1)
    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    average: float = Field(default=0.99, ge=0, lt=1)
    compile: bool = False
    threads: int = Field(default=1, ge=1)
    checkpoint_every: int = Field(default=200, ge=1)


class Trainer:
    """Trains one model in one folder.

    Args:
        model: a module with `players()` and `moves(batch)` (see `core.roles`).
        name: of the architecture, for messages.
        draw: `(step, device, progress) -> Batch`.
        folder: holds the checkpoint and the history.
        on_step: called after each step with its number and its named losses.
    """

    def __init__(
        self,
        model: nn.Module,
        name: str,
        draw: Callable[[int, torch.device, float], Batch],
        settings: TrainerSettings,
        folder: Path,
        on_step: OnStep = lambda step, losses: None,
    ):
        self.settings, self.name, self.draw, self.on_step = settings, name, draw, on_step
        self.group = join_process_group()
        self.device = choose_device(settings.device)
        self.precision = choose_precision(settings.precision, self.device)
        if self.device.type == "cpu":
            torch.set_num_threads(settings.threads)
        self.model = model.to(self.device).train()
        if settings.compile:
            self.model.compile()
        self.players: dict[str, Player] = model.players()  # type: ignore[operator]
        self.optimisers = {player: _optimiser(p) for player, p in self.players.items()}
        # bf16 has the range of fp32 and needs no scaler.
        scaling = self.precision == "fp16"
        self.scalers = {player: torch.amp.GradScaler(self.device.type, enabled=scaling) for player in self.players}
        self.averages = {
            player: [p.detach().clone() for p in self.players[player].parameters]
            for player in self.players
            if settings.average and self.players[player].average
        }
        self.checkpoint = folder / "checkpoint.safetensors"
        self.history = History(folder / "history.csv")
        self.step = 0

    def fit(self) -> nn.Module:
        """Train to the last step, from the checkpoint where there is one; returns the model to deliver, in eval mode.

        Raises:
            RunFailed: a loss is NaN or infinite; the last checkpoint stays.
        """
        # An untrained method plays as long as it wants to look at batches: it remembers, and nobody moves.
        steps = self.settings.steps if self.players else int(getattr(self.model, "looks", 0))
        if self.checkpoint.is_file():
            self._restore(load_tree(self.checkpoint, self.device))
        if self.group.is_main:
            self.history.cut(self.step)
        with sound_bf16(self.model) if self.precision == "bf16" else contextlib.nullcontext():
            self._advance(steps)
        for player, average in self.averages.items():
            with torch.no_grad():
                torch._foreach_copy_(list[torch.Tensor](self.players[player].parameters), average)
        return self.model.eval()

    def _advance(self, steps: int) -> None:
        while self.step < steps:
            progress = self.step / steps
            seed_everything(self.settings.seed, self.step)
            batch = self.group.part(self.draw(self.step, self.device, progress))
            if not self.group.is_main:  # or all would draw the same noise for other samples
                seed_everything(self.settings.seed, self.step, self.group.rank)
            losses = self._play(batch, progress)
            self.step += 1
            self.history.add(self.step, losses)
            self.on_step(self.step, losses)
            due = self.step % self.settings.checkpoint_every == 0 or self.step == steps
            if due and self.group.is_main:
                self.history.flush()
                save_tree(self.checkpoint, self._state())

    def _play(self, batch: Batch, progress: float) -> dict[str, float]:
        """One step: every move that the model yields; autocast is entered anew for each, backward runs outside."""
        moves = self.model.moves(batch)  # type: ignore[operator]
        said: dict[str, float] = {}
        while True:
            with torch.autocast(self.device.type, _DTYPES[self.precision], enabled=self.precision != "fp32"):
                move = next(moves, None)
            if move is None:
                return said
            name, losses = move
            if name not in self.players:
                known = ", ".join(self.players)
                raise StrokeregError(f"{self.name}: moved the player {name!r}; its players() names only: {known}")
            values = {f"{name}/{loss}": self.group.agree(float(value.detach())) for loss, value in losses.items()}
            for key, value in values.items():
                if not math.isfinite(value):
                    raise RunFailed(
                        f"{self.name}: the loss {key.split('/')[1]!r} of {name!r} became {value} at step {self.step}; "
                        f"the last good checkpoint is kept; lower the learning rate or train in fp32"
                    )
            self._move(name, torch.stack([value.float() for value in losses.values()]).sum(), progress)
            # A player that moves several times a step is logged by its last move.
            said.update(values)

    def _move(self, name: str, loss: torch.Tensor, progress: float) -> None:
        player, optimiser, scaler = self.players[name], self.optimisers[name], self.scalers[name]
        for group in optimiser.param_groups:
            group["lr"] = player.lr * _rate(player.schedule, progress)
        optimiser.zero_grad(set_to_none=True)
        # Only the mover's gradients are computed: nothing leaks into the other players.
        scaler.scale(loss).backward(inputs=player.parameters)
        self.group.average(player.parameters)
        if player.clip is not None:
            scaler.unscale_(optimiser)
            nn.utils.clip_grad_norm_(player.parameters, player.clip)
        scaler.step(optimiser)
        scaler.update()
        if name in self.averages:
            # Early on the average follows closely, or it would remember the random start.
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
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        for name in self.players:
            self.optimisers[name].load_state_dict(state["optimisers"][name])
            self.scalers[name].load_state_dict(state["scalers"][name])
        self.averages = state["averages"]


_DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def _optimiser(player: Player) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if player.optimiser == "adamw" else torch.optim.Adam
    return kind(player.parameters, lr=player.lr, betas=player.betas, weight_decay=player.weight_decay)


def _rate(schedule: str, progress: float) -> float:
    """Learning rate at `progress` (0 … 1) of the training, as a share of the player's own."""
    if schedule == "linear":
        return min(1.0, 2.0 * (1.0 - progress))
    if schedule == "onecycle":  # Smith 2018: cosine up over 30 %, cosine down over the rest
        if progress < 0.3:
            return 0.04 + 0.96 * (1.0 - math.cos(math.pi * progress / 0.3)) / 2.0
        return 1e-4 + (1.0 + math.cos(math.pi * (progress - 0.3) / 0.7)) / 2.0
    return 1.0
