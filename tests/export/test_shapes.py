"""Sizes at the edges of what a network must take."""

import pytest

from strokereg.core.scan.grid import Preparation
from strokereg.core.train.record import Record
from strokereg.export.shapes import sizes_of
from strokereg.registry.problem import Problem


def record(dims: int, **preparation) -> Record:
    return Record(
        architecture="a",
        role="segmenter",
        problem=Problem(dims=dims, size=(32,) * dims),
        preparation=Preparation(**preparation),
        labels=("background", "white", "lesion"),
    )


def test_axes_are_reversed_and_2d_leaves_z_out():
    prepared = {"size": (20, 40, 50), "multiple": (8, 16, 4)}
    assert sizes_of(record(3, **prepared)).steps == (4, 16, 8)
    assert sizes_of(record(3, **prepared)).smallest == (52, 48, 24)
    assert sizes_of(record(2, **prepared)).smallest == (48, 24)


def test_the_network_may_ask_for_coarser_steps():
    sizes = sizes_of(record(3, size=(30, 30, 30), multiple=(8, 12, 1)), own=8)
    assert sizes.steps == (8, 24, 8)
    assert sizes.smallest == (32, 48, 32)


def test_the_smallest_has_two_steps():
    assert sizes_of(record(2, size=(16, 16, 1), multiple=(16, 16, 1))).smallest == (32, 32)
    assert sizes_of(record(3, size=(16, 16, 7), multiple=(16, 16, 1))).smallest == (7, 32, 32)


@pytest.mark.parametrize("dims", [2, 3])
def test_edges_cover_one_and_many_items_and_are_not_square(dims):
    sizes = sizes_of(record(dims))
    assert {batch for batch, _ in sizes.edges} == {1, 2, 3}
    assert any(len(set(size)) > 1 for _, size in sizes.edges)
    for size in [sizes.example, *(size for _, size in sizes.edges)]:
        assert all(edge % step == 0 for edge, step in zip(size, sizes.steps, strict=True))
    assert len(set(sizes.example)) == dims
