"""Every built-in in small, found through the registry: a new one is tested without a line here.

A test that asks for `translator` runs for each built-in translator, and once for every value of an option that has a
choice of words (the generators of `pix2pix`); one that asks for `mixer` runs for each mixer, and one that asks for
`check` for every check of the conformance kit on every built-in.
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

from strokereg.core.roles import Batch, Sample
from strokereg.core.scan.nifti import write_volume
from strokereg.registry.catalogue import build, catalogue
from strokereg.registry.factory import load_class
from strokereg.registry.problem import Problem
from strokereg.testing import BoundCheck, suites_of, toys

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
    "levels": 2,
    "sampling_steps": 1,
    "lr": 2e-3,
}
EDGE = 16


@dataclass(frozen=True)
class Variant:
    """A built-in with small options."""

    name: str
    role: str
    options: dict[str, Any]
    choice: str = ""

    @property
    def title(self) -> str:
        return "-".join(filter(None, (self.name, self.choice)))

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
        # `encoder` is a name in one architecture and a switch in another.
        small = {name: value for name, value in SMALL.items() if name in fields and fields[name].annotation is not bool}
        if "folder" in fields and "pretraining" not in fields:  # mask-gan trains without one
            small["folder"] = str(mni_masks())
        choices = {name: get_args(f.annotation) for name, f in fields.items() if get_origin(f.annotation) is Literal}
        words = [(name, word) for name, known in choices.items() for word in known]
        for option, word in words or [("", "")]:
            more = {option: word} if option else {}
            yield Variant(entry.spec.name, entry.spec.role, {**small, **more}, word)


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
    if "check" in metafunc.fixturenames:
        metafunc.parametrize("check", list(checks()))
    role = next((name for name in ("translator", "mixer") if name in metafunc.fixturenames), None)
    if role is not None:
        known = [variant for variant in variants() if variant.role == role]
        metafunc.parametrize(role, known, ids=[variant.title for variant in known])


def checks() -> Iterator[Any]:
    """Every check that concerns a built-in, in each of its dimensions."""
    seen = set()
    for variant in variants():
        expected = {"builds-with-defaults": "needs a folder of masks"} if "folder" in variant.options else {}
        # The losses of a generator are a choice of words too, and its exported graph is one and the same.
        drawn = variant.role == "generator" and variant.name in seen
        seen.add(variant.name)
        for suite in suites_of(variant.name, options=variant.options, edge=EDGE, expected=expected):
            name = f"{variant.title}-{suite.subject.dims}D"
            for check in suite.checks:
                exports = check.name.endswith("-as-claimed")
                # ONNX takes most of the time, so it is tried in one dimension; `strokereg check` tries it in both.
                twice = check.name.startswith("onnx") and suite.subject.dims == 2 and 3 in suite.subject.spec.dims
                if not (exports and (drawn or twice)):
                    marks = [pytest.mark.slow] if exports else []
                    yield pytest.param(BoundCheck(suite, check), id=f"{name}-{check.name}", marks=marks)


@pytest.fixture
def brains() -> Callable[..., Batch]:
    """`brains(dims, count, seed)`: see `strokereg.testing.toys`."""
    return toys.brains


@pytest.fixture
def head() -> Callable[..., Sample]:
    """`head(shape, lesion=(centre, radius), seed, channels)`: see `strokereg.testing.toys`."""
    return toys.head
