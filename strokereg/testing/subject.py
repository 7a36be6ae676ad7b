"""One architecture under test: built small, in one dimension, with whatever several checks can share."""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable, Mapping
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
from strokereg.testing.toys import LABELS, brains

_EDGES = {2: (16, 32, 64), 3: (16, 32)}  # sizes that are tried until one suits the network


class Subject:
    """An architecture with its options, in one of its dimensions.

    Args:
        entry: as the catalogue gives it.
        dims: 2 or 3.
        options: of the architecture; make it small with them.
        edge: voxels a side of the toy brains; by default the smallest of 16, 32 and 64 that the network takes.
    """

    def __init__(self, entry: Entry, dims: int, options: Mapping[str, Any] | None = None, edge: int | None = None):
        self.entry, self.dims, self.options = entry, dims, dict(options or {})
        self.spec, self.role = entry.spec, entry.spec.role
        if edge is not None:
            self.edge = edge

    @property
    def title(self) -> str:
        """For messages."""
        return self.spec.name if self.role == "mixer" else f"{self.spec.name}, {self.dims}D"

    @functools.cached_property
    def edge(self) -> int:
        """Voxels a side: the smallest at which the network is built and computes; 16 where it never does."""
        for edge in _EDGES[self.dims]:
            try:
                model = self.build(problem=self._problem(edge, 1))
                batch = brains(self.dims, 2, edge=edge)
                with torch.no_grad():
                    model(*self.inputs(model, batch))
            except Exception:  # which error it is does not matter: the check `builds` tells of it
                continue
            return edge
        return _EDGES[self.dims][0]

    def require_options(self) -> None:
        """Hold the options against the architecture's table.

        Raises:
            InputError: an unknown option or a wrong value.
        """
        parse(getattr(load_class(self.entry), "Options", Options), self.options, self.spec.name)

    def problem(self, channels: int = 1) -> Problem:
        """What it is built for."""
        return self._problem(self.edge, channels)

    def _problem(self, edge: int, channels: int) -> Problem:
        return Problem(dims=self.dims, labels=len(LABELS), channels=channels, size=(edge,) * self.dims)

    def build(self, seed: int = 0, problem: Problem | None = None) -> nn.Module:
        """A fresh one, in training mode."""
        torch.manual_seed(seed)
        return build_entry(self.entry, problem or self.problem(), self.options)

    def batch(self, count: int = 2, seed: int = 0) -> Batch:
        """Toy brains of its size."""
        return brains(self.dims, count, seed, self.edge)

    def inputs(self, model: nn.Module, batch: Batch) -> tuple[Tensor, ...]:
        """The arguments of `forward` for this role."""
        z = noise(model, len(batch.labels), torch.Generator().manual_seed(1)) if self.stochastic else None
        if self.role == "generator":
            assert z is not None
            return (z,)
        if self.role == "segmenter":
            return (batch.image,)
        return (batch.labels,) if z is None else (batch.labels, z)

    @property
    def stochastic(self) -> bool:
        """Whether its `forward` takes noise."""
        return self.role == "generator" or (self.role == "translator" and self.spec.stochastic)

    @functools.cached_property
    def ready(self) -> nn.Module:
        """In eval mode with fresh weights; an untrained method has looked at what it must know. Leave it as it is."""
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
        """A trainer of a fresh network on the CPU.

        Args:
            draw: by default toy brains, others at every step.
            seed: of the first weights; `settings` has one of the training.
        """
        folder.mkdir(exist_ok=True)
        plain = {"device": "cpu", "precision": "fp32", "steps": 4, "checkpoint_every": 2}
        asked = TrainerSettings.model_validate(plain | settings)
        shown = draw or (lambda step, device, progress: self.batch(2, seed=step))
        return kind(self.build(seed), self.spec.name, shown, asked, folder, on_step)

    @staticmethod
    def folder() -> _Folder:
        """A temporary folder, as a context."""
        return _Folder()


class _Folder:
    def __enter__(self) -> Path:
        self.path = Path(tempfile.mkdtemp(prefix="strokereg-check-"))
        return self.path

    def __exit__(self, *error: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
