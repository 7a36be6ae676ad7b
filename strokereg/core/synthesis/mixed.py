"""The mixed database: a mixer makes each new case from two training cases.

As in `core.synthesis.cases`, prepared cases are written to numbered folders. The result depends on the seed only, and
an interrupted call can be continued.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.roles import Mixer, Sample
from strokereg.core.synthesis.cases import Tally
from strokereg.core.train.prepared import PreparedCase, write_prepared
from strokereg.registry.errors import RunFailed, StrokeregError

_TRIES = 10  # donors until a host stays as it is


def host_of(cases: Sequence[PreparedCase], index: int) -> PreparedCase:
    """The host of the mixed case with this number; all cases are used in turn."""
    return cases[index % len(cases)]


def mix_case(
    cases: Sequence[PreparedCase],
    index: int,
    mixer: Mixer,
    table: LabelTable,
    seed: int,
    tally: Tally,
) -> Sample:
    """Make the mixed case with this number; if no donor fits, return its host unchanged.

    Args:
        cases: hosts and donors; the donor is not the host itself, unless no other case has a lesion.
        seed: with `index`, the seed of all random numbers.
        tally: counts donors that did not fit.

    Raises:
        RunFailed: no case has a lesion.
        StrokeregError: the mixer does not return a case on the grid of the host.
    """
    host = host_of(cases, index)
    with_lesion = [case for case in cases if case.mask.any()]
    donors = [case for case in with_lesion if case is not host] or with_lesion
    if not donors:
        raise RunFailed(f"none of the {len(cases)} training cases has a lesion to mix in; give more with --cases")
    rng = np.random.default_rng([seed, index])
    tally.lesions += 1
    before = _scan(host, table)
    for attempt in range(_TRIES):
        tally.redrawn += attempt > 0
        mixed = mixer.mix(before, _scan(donors[int(rng.integers(len(donors)))], table), rng)
        if mixed is not None:
            _check(mixed, before, type(mixer).__name__)
            return mixed
    tally.given_up += 1
    return before


def write_mixed(
    folder: Path,
    cases: Sequence[PreparedCase],
    mixer: Mixer,
    table: LabelTable,
    count: int,
    seed: int,
    on_case: Callable[[int], None] = lambda done: None,
) -> Tally:
    """Write `count` mixed cases as prepared cases `folder/0000` …; finished cases are not changed.

    Returns:
        The tally over all cases, including those of earlier calls.

    Raises:
        RunFailed, StrokeregError: see `mix_case`.
    """
    tally = Tally()
    for index in range(count):
        mixed = mix_case(cases, index, mixer, table, seed, tally)
        place = folder / f"{index:04d}"
        if not place.is_dir():
            write_prepared(place, place.name, mixed.image, mixed.labels, table.lesion)
        on_case(index + 1)
    return tally


def _scan(case: PreparedCase, table: LabelTable) -> Sample:
    return Sample(case.image, case.labels, table.parenchyma)


def _check(mixed: Sample, host: Sample, name: str) -> None:
    if mixed.image.shape != host.image.shape or mixed.labels.shape != host.labels.shape:
        raise StrokeregError(
            f"{name}: mix() returned an image {mixed.image.shape} with labels {mixed.labels.shape}; "
            f"its host has {host.image.shape} and {host.labels.shape}"
        )
    if not np.isfinite(mixed.image).all() or np.abs(mixed.image).max() > 1.0:
        raise StrokeregError(f"{name}: mix() returned intensities outside [-1, 1]; clip them")
