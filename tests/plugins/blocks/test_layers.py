"""The blocks that several architectures share."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.roles import delivered_weights
from strokereg.plugins.blocks.layers import (
    HistoryPool,
    PatchDiscriminator,
    halvings,
    least_squares,
    normal_weights,
    one_hot,
)


def item(value: float) -> torch.Tensor:
    return torch.full((1, 1, 2, 2), value)


def test_the_pool_fills_then_swaps_and_keeps():
    torch.manual_seed(0)
    pool = HistoryPool(4, 1, 2, 2)
    for value in range(4):  # while it fills, everything passes through
        assert torch.equal(pool.swap(item(value)), item(value))
    assert pool.items[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    older = 0
    for value in range(4, 204):
        before = set(pool.items[:, 0, 0, 0].tolist())
        shown = pool.swap(item(value))[0, 0, 0, 0].item()
        after = set(pool.items[:, 0, 0, 0].tolist())
        if shown == value:
            assert after == before
        else:
            older += 1
            assert after == before - {shown} | {value}
    assert 70 < older < 130  # about half


def test_the_pool_shows_images_of_several_steps_ago():
    torch.manual_seed(1)
    pool = HistoryPool(8, 1, 2, 2)
    ages = [step - pool.swap(item(step))[0, 0, 0, 0].item() for step in range(200)]
    assert max(ages) > 8


def test_the_pool_travels_in_the_state():
    pool, other = HistoryPool(3, 1, 2, 2), HistoryPool(3, 1, 2, 2)
    pool.swap(torch.rand(5, 1, 2, 2))
    other.load_state_dict(pool.state_dict())
    assert set(pool.state_dict()) == {"items", "filled"}
    fresh = torch.rand(4, 1, 2, 2)
    torch.manual_seed(5)
    first = pool.swap(fresh)
    torch.manual_seed(5)
    assert torch.equal(first, other.swap(fresh))
    assert torch.equal(pool.items, other.items)


def test_a_batch_is_exchanged_at_once():
    """Each item is either new or one of those of before, none is lost and none is there twice."""
    torch.manual_seed(0)
    pool = HistoryPool(6, 1, 2, 2)
    known = torch.arange(300.0).reshape(50, 6)
    for batch in known:
        before = pool.items[:, 0, 0, 0].tolist() if len(pool.items) else []
        shown = pool.swap(batch.reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2))[:, 0, 0, 0].tolist()
        after = pool.items[:, 0, 0, 0].tolist()
        assert sorted(shown + after) == sorted(before + batch.tolist() if before else 2 * batch.tolist())
        if before:
            assert all(mine in (new, *before) for mine, new in zip(shown, batch.tolist(), strict=True))


def test_a_pool_that_gets_full_within_a_batch_and_a_batch_larger_than_the_pool():
    torch.manual_seed(0)
    pool, batch = HistoryPool(4, 1, 2, 2), torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 1, 2, 2)
    assert torch.equal(pool.swap(batch), batch)
    assert torch.equal(pool.swap(batch + 3), batch + 3)
    assert pool.items[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert int(pool.filled) == 4
    shown = pool.swap(torch.arange(10.0, 110.0).reshape(100, 1, 1, 1).expand(100, 1, 2, 2))[:, 0, 0, 0].tolist()
    assert sorted([*shown, *pool.items[:, 0, 0, 0].tolist()]) == [0, 1, 2, 3, *range(10, 110)]


def test_a_pool_takes_no_memory_before_the_training_and_is_not_delivered():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), HistoryPool(50, 1, 64, 64))
    assert network[1].items.numel() == 0
    network[1].swap(torch.rand(1, 1, 64, 64))
    assert network[1].items.shape == (50, 1, 64, 64)
    assert set(delivered_weights(network)) == {"0.weight", "0.bias"}


def test_a_pool_of_none_is_no_pool():
    fresh = torch.rand(2, 1, 2, 2)
    assert HistoryPool(0, 1, 2, 2).swap(fresh) is fresh


def test_what_the_pool_gave_is_not_changed_by_it_later():
    torch.manual_seed(0)
    pool = HistoryPool(1, 1, 2, 2)
    pool.swap(item(1))
    given = torch.cat([pool.swap(item(value)) for value in range(2, 12)])
    copy = given.clone()
    pool.swap(torch.rand(20, 1, 2, 2))
    assert torch.equal(given, copy)


def test_one_hot():
    hot = one_hot(torch.tensor([[[0, 2], [1, 2]]]), 3)
    assert hot.shape == (1, 3, 2, 2)
    assert torch.equal(hot.sum(1), torch.ones(1, 2, 2))
    assert hot[0, 2].tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("size", "most", "smallest", "expected"),
    [((64, 64), 5, 4, 4), ((64, 64), 2, 4, 2), ((96, 80), 5, 2, 4), ((20, 64), 5, 4, 2), ((15, 16), 5, 4, 0)],
)
def test_halvings(size, most, smallest, expected):
    assert halvings(size, most, smallest) == expected


def test_normal_weights():
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(32, 64, 3)
    normal_weights(torch.nn.Sequential(layer))
    assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert not layer.bias.any()


def test_each_patch_has_its_own_logit():
    critic = PatchDiscriminator(2, 3, (4, 8, 8), strided=2)
    assert critic(torch.randn(2, 3, 32, 48)).shape == (2, 1, 8, 12)


def test_least_squares():
    assert least_squares(torch.tensor([0.0, 2.0]), 1.0).item() == 1.0
