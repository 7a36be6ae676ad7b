"""Three seeds of a U-Net trained together (stacked weights and `torch.vmap`), beside one after the other.

Batches are those of preset quick. On one thread, together is slower, since the convolutions of several networks become
one grouped convolution. A process with two threads can gain, because one small network does not keep both busy. Studies
give each core a process with one thread instead, so strokereg trains seeds in turn. Gradients are equal up to rounding.

pytest benchmarks/test_seeds_together.py -s
"""

from __future__ import annotations

import copy
import functools
import statistics
import time
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, stack_module_state

from strokereg.core.roles import Batch
from strokereg.plugins.blocks.segmentation import soft_dice
from strokereg.registry.catalogue import build
from strokereg.registry.problem import Problem

SEEDS, SIZE, BATCH, ROUNDS = 3, (64, 64), 8, 10
TOLERANCE = 1e-4  # of the largest gradient of a tensor


def batch_of(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 7, (BATCH, *SIZE), generator=generator)
    image = torch.rand(BATCH, 1, *SIZE, generator=generator) * 2 - 1
    return Batch(labels, image, (labels == 6).float()[:, None])


@pytest.mark.parametrize("threads", [1, 2])
def test_seeds_together(threads: int, request: pytest.FixtureRequest) -> None:
    request.addfinalizer(functools.partial(torch.set_num_threads, torch.get_num_threads()))
    torch.set_num_threads(threads)
    clock = time.perf_counter if threads > 1 else time.process_time  # what a busy machine changes least
    models = []
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        models.append(build("unet", Problem(labels=7, size=SIZE), {}).train())
    batches = [batch_of(seed) for seed in range(SEEDS)]
    images, masks = (torch.stack([getattr(batch, name) for batch in batches]) for name in ("image", "mask"))
    network, (stacked, _) = copy.deepcopy(models[0]), stack_module_state(models)
    optimisers = [torch.optim.AdamW(model.parameters(), lr=3e-3) for model in models]
    of_all = torch.optim.AdamW(list(stacked.values()), lr=3e-3)

    def loss_of(weights: dict[str, Tensor], image: Tensor, mask: Tensor) -> Tensor:
        logits = functional_call(network, weights, (image,))
        return F.binary_cross_entropy_with_logits(logits, mask) + soft_dice(logits, mask)

    def together() -> None:
        of_all.zero_grad(set_to_none=True)
        torch.vmap(loss_of)(stacked, images, masks).sum().backward()

    def one_by_one() -> None:
        for model, batch, optimiser in zip(models, batches, optimisers, strict=True):
            optimiser.zero_grad(set_to_none=True)
            for _, losses in model.moves(batch):
                sum(losses.values()).backward()

    def seconds_of(work: Callable[[], None]) -> float:
        begun = clock()
        work()
        for optimiser in [of_all] if work is together else optimisers:
            optimiser.step()
        return clock() - begun

    together()
    one_by_one()
    for seed, model in enumerate(models):
        for name, weight in model.named_parameters():
            apart = (stacked[name].grad[seed] - weight.grad).abs().max()
            assert apart <= TOLERANCE * weight.grad.abs().max(), name
    ratios = [seconds_of(together) / seconds_of(one_by_one) for _ in range(ROUNDS + 1)][1:]
    print(f"{threads} threads: together takes {statistics.median(ratios):.2f} of the time one after the other")
