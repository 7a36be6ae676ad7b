"""One architecture under test, in 2D or 3D, with what several checks share."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from strokereg.core.roles import Batch, noise
from strokereg.core.train.trainer import OnStep, Trainer, TrainerSettings
from strokereg.registry.factory import build_entry, load_class
from strokereg.registry.installed import Entry
from strokereg.registry.options import Options, parse
from strokereg.registry.problem import Problem
from strokereg.registry.specs import ArchitectureSpec, Role
from strokereg.testing.toys import LABELS, brains

_EDGES = {2: (16, 32, 64), 3: (16, 32)}  # the first that the network takes is used


class Subject:
    """An architecture with its options, in one of its dimensions.

    Args:
        entry: entry of the catalogue.
        dims: 2 or 3.
        options: of the architecture; a small one is checked faster.
        edge: voxels a side of the toy brains; by default the smallest of 16, 32 and 64 that the network takes.
    """

    def __init__(self, entry: Entry, dims: int, options: Mapping[str, Any] | None = None, edge: int | None = None):
        self.entry, self.dims, self.options = entry, dims, dict(options or {})
        assert isinstance(entry.spec, ArchitectureSpec)
        self.spec, self.role = entry.spec, entry.spec.role
        if edge is not None:
            self.edge = edge

    @property
    def title(self) -> str:
        """Name for messages."""
        return self.spec.name if self.role is Role.MIXER else f"{self.spec.name}, {self.dims}D"

    @functools.cached_property
    def edge(self) -> int:
        """Voxels a side: the smallest at which the network can be built and run; 16 if there is none."""
        for edge in _EDGES[self.dims]:
            try:
                model = self.build(problem=self._problem(edge, 1))
                batch = brains(self.dims, 2, edge=edge)
                with torch.no_grad():
                    model(*self.inputs(model, batch))
            except Exception:  # reported by the check `builds`
                continue
            return edge
        return _EDGES[self.dims][0]

    def require_options(self) -> None:
        """Validate the options.

        Raises:
            InputError: an unknown option or a wrong value.
        """
        parse(getattr(load_class(self.entry), "Options", Options), self.options, self.spec.name)

    def problem(self, channels: int = 1) -> Problem:
        """The sizes to build for."""
        return self._problem(self.edge, channels)

    def _problem(self, edge: int, channels: int) -> Problem:
        return Problem(dims=self.dims, labels=len(LABELS), channels=channels, size=(edge,) * self.dims)

    def build(self, seed: int = 0, problem: Problem | None = None) -> nn.Module:
        """A network with fresh weights, in training mode."""
        torch.manual_seed(seed)
        return build_entry(self.entry, problem or self.problem(), self.options)

    def batch(self, count: int = 2, seed: int = 0) -> Batch:
        """A batch of toy brains."""
        return brains(self.dims, count, seed, self.edge)

    def inputs(self, model: nn.Module, batch: Batch) -> tuple[Tensor, ...]:
        """The arguments of `forward` for this role."""
        z = noise(model, len(batch.labels), torch.Generator().manual_seed(1)) if self.stochastic else None
        if self.role is Role.SEGMENTER:
            return (batch.image,)
        given = () if self.role is Role.GENERATOR else (batch.labels,)
        return given if z is None else (*given, z)

    @property
    def stochastic(self) -> bool:
        """Whether its `forward` takes noise."""
        return self.role is Role.GENERATOR or (self.role is Role.TRANSLATOR and self.spec.stochastic)

    @functools.cached_property
    def fresh(self) -> nn.Module:
        """The network with fresh weights, in eval mode; an untrained method has seen its batches. Do not modify it."""
        model = self.build().eval()
        for step in range(getattr(model, "looks", 0)):
            list(model.moves(self.batch(4, step)))  # type: ignore[operator]
        return model

    def trainer(
        self,
        folder: Path,
        draw: Callable[[int, torch.device, float], Batch] | None = None,
        seed: int = 0,
        on_step: OnStep = lambda step, losses: None,
        kind: type[Trainer] = Trainer,
        **settings: Any,
    ) -> Trainer:
        """A trainer for a fresh network on the CPU.

        Args:
            draw: by default new toy brains at every step.
            seed: seed of the first weights; the seed of the training is one of `settings`.
            settings: of the trainer.
        """
        folder.mkdir(exist_ok=True)
        plain = {"device": "cpu", "precision": "fp32", "steps": 4, "checkpoint_seconds": 0}
        draw = draw or (lambda step, device, progress: self.batch(2, seed=step))
        typed = TrainerSettings.model_validate(plain | settings)
        return kind(self.build(seed), self.spec.name, draw, typed, folder, on_step)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="strokereg-check-", ignore_cleanup_errors=True) as path:
        yield Path(path)
