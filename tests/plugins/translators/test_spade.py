"""`spade`: labels at every scale, and sizes that are no square."""

from __future__ import annotations

import torch

from strokereg.plugins.translators.spade import Spade
from strokereg.registry.problem import Problem


def network(size=(16, 16)) -> Spade:
    torch.manual_seed(0)
    return Spade(Problem(dims=len(size), labels=5, size=size), Spade.Options(ngf=4, ndf=4, hidden=4)).eval()


@torch.no_grad()
def test_a_lesion_of_one_voxel_reaches_the_coarsest_scale():
    """Label maps are max-pooled, so it is not averaged away."""
    model, labels, z = network(), torch.ones(1, 16, 16, dtype=torch.int64), torch.zeros(1, 100)
    edited = labels.clone()
    edited[0, 5, 6] = 4
    coarsest = []
    model.generator.blocks[0].register_forward_pre_hook(lambda module, given: coarsest.append(given[1]))
    change = (model(edited, z) - model(labels, z)).abs()[0, 0]
    assert change[5, 6] > 0
    assert coarsest[0].shape == (1, 5, 4, 4)
    assert coarsest[0][0, 4].nonzero().tolist() == [[1, 1]]
    assert not coarsest[1][0, 4].any()


@torch.no_grad()
def test_the_dense_map_is_resized_for_other_sizes():
    model = network((16, 48))
    assert model.multiple == 4
    assert model(torch.zeros(2, 16, 48, dtype=torch.int64), torch.zeros(2, 100)).shape == (2, 1, 16, 48)
    assert model(torch.zeros(1, 32, 20, dtype=torch.int64), torch.zeros(1, 100)).shape == (1, 1, 32, 20)
