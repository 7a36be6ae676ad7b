"""Checks of mixers, which take and return volumes in NumPy."""

from __future__ import annotations

from typing import cast

import numpy as np

from strokereg.core.roles import Mixer, Sample
from strokereg.core.train.device import seed_everything
from strokereg.registry.specs import Role
from strokereg.testing.check import require, rule
from strokereg.testing.subject import Subject
from strokereg.testing.toys import LABELS, LESION, head

_MIXER = (Role.MIXER,)
_TRIES = 8


def _mix(subject: Subject, host: Sample, donor: Sample, seed: int = 0) -> Sample | None:
    problem = subject.problem(channels=len(host.image))
    return cast(Mixer, subject.build(problem=problem)).mix(host, donor, np.random.default_rng(seed))


def _fits(made: Sample | None, host: Sample) -> None:
    if made is None:
        return
    require(isinstance(made, Sample), f"mix() returns a {type(made).__name__}")
    for name, now, before in (("image", made.image, host.image), ("labels", made.labels, host.labels)):
        require(now.shape == before.shape, f"the {name} has the shape {now.shape}, the host's {before.shape}")
        require(now.dtype == before.dtype, f"the {name} is {now.dtype}, the host's {before.dtype}")
    require(np.isfinite(made.image).all() and np.abs(made.image).max() <= 1, "intensities are outside [-1, 1]")
    require(made.labels.max() < len(LABELS), f"there is a label {made.labels.max()}; the lesion, the last, is {LESION}")


@rule(
    "mix() returns a Sample on the host's grid, float32 in [-1, 1] with uint8 labels, or None",
    "copy the host's arrays, change the copies and clip intensities",
    _MIXER,
)
def mixes_on_the_hosts_grid(subject: Subject) -> None:
    for channels in (1, 2):
        host = head(lesion=None, channels=channels)
        made = [
            _mix(subject, head(lesion=None, channels=channels), head(seed=1, channels=channels), seed)
            for seed in range(_TRIES)
        ]
        for one in made:
            _fits(one, host)
        changed = [one for one in made if one is not None and (one.image != host.image).any()]
        require(changed, f"in {_TRIES} tries to mix a lesion into a healthy brain, nothing changed")


@rule(
    "host and donor may differ in shape",
    "bring the donor's part onto the host's grid, or return None",
    _MIXER,
    needs=("mixes-on-the-hosts-grid",),
)
def takes_other_shapes(subject: Subject) -> None:
    host, donor = head(lesion=((8, 8, 7), 2.0)), head((14, 26, 20), ((7, 15, 14), 2.5), seed=1)
    for seed in range(_TRIES):
        _fits(_mix(subject, host, donor, seed), host)


@rule(
    "mix() does not modify host and donor, which the study uses again",
    "copy arrays before you change them",
    _MIXER,
)
def leaves_its_cases_alone(subject: Subject) -> None:
    host, donor = head(lesion=None), head(seed=1)
    arrays = (host.image, host.labels, donor.image, donor.labels)
    kept = [array.copy() for array in arrays]
    for seed in range(_TRIES):
        _mix(subject, host, donor, seed)
    require(all(map(np.array_equal, kept, arrays)), "the arrays of host or donor changed")


@rule(
    "all random numbers come from rng",
    "draw only from the generator that mix() is given",
    _MIXER,
)
def the_generator_decides(subject: Subject) -> None:
    host, donor = head(lesion=None), head(seed=1)
    for seed in range(_TRIES):
        made = []
        for elsewhere in (0, 1):
            seed_everything(elsewhere)
            made.append(_mix(subject, host, donor, seed))
        first, again = made
        require((first is None) == (again is None), "the same rng gives a case once and None once")
        if first is not None and again is not None:
            require(np.array_equal(first.image, again.image), "the same rng gives two different images")
            require(np.array_equal(first.labels, again.labels), "the same rng gives two different label maps")
