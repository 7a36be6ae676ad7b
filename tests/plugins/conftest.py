"""Every built-in in small, found through the registry: a new one is tested without a line here.

A test that asks for `variant` (or `translator`) runs for each built-in network, and once for every value of an option
that has a choice of words (the losses of `mask-gan`); one that asks for `dims` as well runs in each of its dimensions.
Mixers are no networks; a test asks for them as `mixer`.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.core.nifti import write_volume
from strokereg.core.problem import Problem
from strokereg.core.roles import Batch, Scan
from strokereg.registry.catalogue import build, catalogue
from strokereg.registry.factory import load_class

# Whatever of these an architecture has is made this small.
SMALL = {
    "ngf": 4,
    "ndf": 4,
    "hidden": 4,
    "latent": 8,
    "widths": (4, 8),
    "filters": 4,
    "encoder": "test_resnet",
    "pool": 4,
    "blocks": 2,
    "bank": 16,
    "looks": 5,
    "lr": 2e-3,
}
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

    def ready(self, dims: int = 2) -> nn.Module:
        """In eval mode; an untrained one has looked at what it must know, a trained one has fresh weights."""
        model = self.build(dims).eval()
        for step in range(getattr(model, "looks", 0)):
            list(model.moves(make_brains(dims, 4, step)))
        return model


def variants() -> Iterator[Variant]:
    for entry in catalogue().entries:
        if entry.distribution != "strokereg":
            continue
        fields = load_class(entry).Options.model_fields
        # `encoder` is a name in one architecture and a switch in another.
        small = {name: value for name, value in SMALL.items() if name in fields and fields[name].annotation is not bool}
        if "folder" in fields:
            small["folder"] = str(mni_masks())
        choices = {name: get_args(f.annotation) for name, f in fields.items() if get_origin(f.annotation) is Literal}
        words = [(name, word) for name, known in choices.items() for word in known]
        for option, word in words or [("", "")]:
            more = {option: word} if option else {}
            spec = entry.spec
            yield Variant(spec.name, spec.role, spec.stochastic, spec.dims, {**small, **more}, word)


@functools.cache
def mni_masks() -> Path:
    """A folder of four lesion masks in MNI space, removed when Python ends."""
    folder = Path(tempfile.mkdtemp(prefix="mni-masks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    mm = np.stack(np.meshgrid(*(np.arange(low, low + 160, 4.0) for low in (-80, -108, -76)), indexing="ij"))
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = -80, -108, -76
    for number in range(4):
        centre = np.array([(-30, 30)[number % 2], 10 * number - 30, 5 * number])
        ball = ((mm - centre[:, None, None, None]) ** 2).sum(0) < (16 + 4 * number) ** 2
        write_volume(folder / f"sub-{number}_lesion.nii.gz", ball.astype(np.uint8), affine)
    return folder


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    asked = next((name for name in ("variant", "translator", "mixer") if name in metafunc.fixturenames), None)
    if asked is None:
        return
    known = [v for v in variants() if asked == v.role or (asked == "variant" and v.role != "mixer")]
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


@pytest.fixture
def head() -> Callable[..., Scan]:
    """`head(shape, lesion=(centre, radius), seed, channels)`: a scan for mixers; see `make_head`."""
    return make_head


def ball(shape: tuple[int, ...], centre: tuple[float, ...], radius: float) -> np.ndarray:
    return sum((axis - c) ** 2 for axis, c in zip(np.indices(shape), centre, strict=True)) <= radius**2


def make_head(shape=(16, 24, 20), lesion=((8, 12, 14), 3.0), seed=0, channels=1) -> Scan:
    """A round brain (2) around a ball of fluid (1), with noise, and a lesion (4) of 1.6 times the signal around it."""
    rng = np.random.default_rng(seed)
    middle = tuple(n / 2 for n in shape)
    labels = np.where(ball(shape, middle, 0.46 * min(shape)), 2, 0).astype(np.uint8)
    labels[ball(shape, middle, 2)] = 1
    if lesion is not None:
        labels[ball(shape, *lesion) & (labels == 2)] = 4
    signal = np.array([0.0, 0.15, 0.5, 0.5, 0.8])[labels] * (1 + 0.02 * rng.standard_normal((channels, *shape)))
    return Scan((signal - 1).clip(-1, 1).astype(np.float32), labels, (2, 3))
