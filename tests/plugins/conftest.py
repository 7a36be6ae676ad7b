"""Every built-in in small, found through the registry: a new one is tested without a line here.

A test that asks for `variant` (or `translator`) runs for each built-in, and once for every value of an option that
has a choice of words (the losses of `mask-gan`); one that asks for `dims` as well runs in each of its dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from torch import nn

from strokereg.core.problem import Problem
from strokereg.core.roles import Batch
from strokereg.registry.catalogue import build, catalogue
from strokereg.registry.factory import load_class

# Whatever of these an architecture has is made this small.
SMALL = {"ngf": 4, "ndf": 4, "hidden": 4, "latent": 8, "widths": (4, 8), "pool": 6, "lr": 2e-3}
EDGE = 16


@dataclass(frozen=True)
class Variant:
    """A built-in with small options."""

    name: str
    role: str
    stochastic: bool
    dims: tuple[int, ...]
    options: dict[str, Any]
    choice: str = ""

    def problem(self, dims: int = 2) -> Problem:
        return Problem(dims=dims, labels=5, channels=1, size=(EDGE,) * dims)

    def build(self, dims: int = 2, seed: int = 0, **options: Any) -> nn.Module:
        torch.manual_seed(seed)
        return build(self.name, self.problem(dims), {**self.options, **options})


def variants() -> Iterator[Variant]:
    for entry in catalogue().entries:
        if entry.distribution != "strokereg":
            continue
        fields = load_class(entry).Options.model_fields
        small = {name: value for name, value in SMALL.items() if name in fields}
        choices = {name: get_args(f.annotation) for name, f in fields.items() if get_origin(f.annotation) is Literal}
        words = [(name, word) for name, known in choices.items() for word in known]
        for option, word in words or [("", "")]:
            more = {option: word} if option else {}
            spec = entry.spec
            yield Variant(spec.name, spec.role, spec.stochastic, spec.dims, {**small, **more}, word)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = next((name for name in ("variant", "translator") if name in metafunc.fixturenames), None)
    if asked is None:
        return
    known = [v for v in variants() if asked in ("variant", v.role)]
    names = ["-".join(filter(None, (v.name, v.choice))) for v in known]
    if "dims" not in metafunc.fixturenames:
        metafunc.parametrize(asked, known, ids=names)
        return
    rows = [(v, d, f"{name}-{d}D") for v, name in zip(known, names, strict=True) for d in v.dims]
    metafunc.parametrize((asked, "dims"), [row[:2] for row in rows], ids=[row[2] for row in rows])


@pytest.fixture
def brains() -> Callable[..., Batch]:
    """`brains(dims, count, seed)`: round heads of four tissues with a lesion each, and the image that belongs to it."""
    return make_brains


def make_brains(dims: int = 2, count: int = 2, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*[torch.linspace(-1, 1, EDGE)] * dims, indexing="ij")
    radius = sum(axis**2 for axis in axes).sqrt()
    labels = torch.zeros(count, *radius.shape, dtype=torch.int64)
    for row in labels:
        row[radius < 0.9], row[radius < 0.7], row[radius < 0.3] = 1, 2, 3
        centre = torch.rand(dims, generator=generator) * 0.6 - 0.3
        row[sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)).sqrt() < 0.35] = 4
    shades = torch.tensor([-1.0, -0.7, -0.4, -0.5, 0.6])
    noise = 0.02 * torch.randn(labels.shape, generator=generator) * (labels > 0)
    return Batch(labels, (shades[labels] + noise)[:, None].clamp(-1, 1), (labels == 4).float()[:, None])
