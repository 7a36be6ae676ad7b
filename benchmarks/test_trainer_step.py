"""A step of the trainer beside a bare loop with the same network, batch and optimisers, and the host reads of a step.

Both compute the same losses, gradients, updates and averages; the trainer also seeds, logs and checks. CPU time is
measured, in rounds that alternate, so that a busy machine slows both down alike.

pytest benchmarks/test_trainer_step.py -s
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from torch import nn

from strokereg.core.roles import Batch
from strokereg.core.train import trainer as trainer_module
from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.registry.catalogue import build, catalogue, spec_of
from strokereg.registry.problem import Problem
from strokereg.registry.specs import Role
from strokereg.testing.pretend import PretendedDevice

LABELS, ROUNDS, STEPS, LIMIT = 7, 10, 4, 1.03
NETWORKS = catalogue().available("strokereg:*", role=(Role.GENERATOR, Role.TRANSLATOR, Role.SEGMENTER))
#: `mask-library` has no training step; before it is used, it looks at label maps of a few batches in NumPy.
TRAINED = [name for name in NETWORKS if name != "mask-library"]


def batch_of(count: int, size: tuple[int, ...]) -> Batch:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, LABELS, (count, *size), generator=generator)
    image = torch.rand(count, 1, *size, generator=generator) * 2 - 1
    return Batch(labels, image, (labels == LABELS - 1).float()[:, None])


def bare_loop(model: nn.Module, batch: Batch) -> Callable[[], None]:
    """As one would write it for one architecture, averaged weights included."""
    players: dict[str, Any] = model.players()  # type: ignore[operator]
    optimisers = {
        name: (torch.optim.AdamW if p.optimiser == "adamw" else torch.optim.Adam)(
            p.parameters, lr=p.lr, betas=p.betas, weight_decay=p.weight_decay
        )
        for name, p in players.items()
    }
    averages = {name: [p.detach().clone() for p in player.parameters] for name, player in players.items()}

    def step() -> None:
        for name, losses in model.moves(batch):  # type: ignore[operator]
            optimisers[name].zero_grad(set_to_none=True)
            sum(losses.values()).backward(inputs=players[name].parameters)
            if players[name].clip is not None:
                nn.utils.clip_grad_norm_(players[name].parameters, players[name].clip)
            optimisers[name].step()
            if players[name].average:
                with torch.no_grad():
                    torch._foreach_lerp_(averages[name], players[name].parameters, 0.01)
            [float(value.detach()) for value in losses.values()]

    return step


@pytest.mark.parametrize(("name", "options"), [("unet", {}), ("pix2pix", {"ngf": 16, "ndf": 16})])
def test_a_step_costs_what_its_computation_costs(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    problem = Problem(labels=LABELS, size=(80, 80))
    batch = batch_of(4, problem.size)
    torch.manual_seed(0)
    step = bare_loop(build(name, problem, options).train(), batch)
    torch.manual_seed(0)
    settings = TrainerSettings(steps=10**6, device="cpu", precision="fp32", checkpoint_seconds=10**6)
    ours = Trainer(build(name, problem, options), name, lambda *_: batch, settings, tmp_path)

    def bare() -> None:
        for _ in range(STEPS):
            step()

    def trained() -> None:
        with pytest.raises(_Enough):
            ours.fit()

    ours.on_step = _stop_every(STEPS)
    seconds: dict[str, list[float]] = {"bare": [], "trained": []}
    for round_ in range(ROUNDS + 1):
        for kind, work in (("bare", bare), ("trained", trained)):
            begun = time.process_time()
            work()
            if round_:  # the first warms up
                seconds[kind].append(time.process_time() - begun)
    ratios = [ours_ / theirs for ours_, theirs in zip(seconds["trained"], seconds["bare"], strict=True)]
    print(f"{name}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) of a bare loop")
    assert statistics.median(ratios) <= LIMIT


class _Enough(Exception):
    """Ends a round of the trainer."""


def _stop_every(steps: int) -> Callable[[int, dict[str, float]], None]:
    def stop(step: int, losses: dict[str, float]) -> None:
        if step % steps == 0:
            raise _Enough

    return stop


@pytest.fixture
def pretended() -> Iterator[PretendedDevice]:
    device = PretendedDevice("cuda")
    with device, mock.patch.object(trainer_module, "choose_device", return_value=device.device):
        yield device


@pytest.mark.parametrize(("name", "dims"), [(name, dims) for name in TRAINED for dims in spec_of(name).dims])
def test_host_reads_of_three_steps(name: str, dims: int, tmp_path: Path, pretended: PretendedDevice) -> None:
    """On a pretended GPU, optimisers, clipping and averages included, before the losses are read."""
    problem = Problem(dims=dims, labels=LABELS, size=(32,) * dims)
    batch = batch_of(2, problem.size)
    network = pretended.put(build(name, problem, {}))
    network.to = lambda device: network  # type: ignore[assignment, method-assign]
    there = Batch(*(pretended.tensor(value) for value in (batch.labels, batch.image, batch.mask)))
    ours = Trainer(network, name, lambda *_: there, TrainerSettings(steps=3, precision="fp32"), tmp_path)
    with mock.patch.object(ours, "_read"), mock.patch.object(ours, "_state", dict):
        ours.fit()
    print(f"{name} {dims}D: {pretended.reads.total()} reads, {pretended.copies} copies that wait")
    assert pretended.reads.total() + pretended.copies == 0
