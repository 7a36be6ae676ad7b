"""The mixed database: new cases, each made by a mixer out of two training cases.

As `core.synthesis.cases` writes translated cases: prepared cases in numbered folders, seeded, continued where an
earlier call stopped.
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
    """The host of the mixed case with this number: every case in turn."""
    return cases[index % len(cases)]


def mix_case(
    cases: Sequence[PreparedCase],
    index: int,
    mixer: Mixer,
    table: LabelTable,
    seed: int,
    tally: Tally,
) -> Sample:
    """The mixed case with this number; its host as it is where no donor fits.

    Args:
        cases: hosts and donors; the donor is another case than the host wherever another has a lesion.
        seed: together with `index`, of all that is drawn.
        tally: counts the donors that did not fit.

    Raises:
        RunFailed: no case has a lesion.
        StrokeregError: the mixer gives something else than a case on the host's grid.
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
    """Write `count` mixed cases as prepared cases `folder/0000` …; finished ones are kept as they are.

    Returns:
        The tally over all cases, the same whether or not an earlier call had begun.

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


def _check(mixed: Sample, host: Sample, who: str) -> None:
    if mixed.image.shape != host.image.shape or mixed.labels.shape != host.labels.shape:
        raise StrokeregError(
            f"{who}: mix() gave an image {mixed.image.shape} with labels {mixed.labels.shape}; "
            f"its host has {host.image.shape} and {host.labels.shape}"
        )
    if not np.isfinite(mixed.image).all() or np.abs(mixed.image).max() > 1.0:
        raise StrokeregError(f"{who}: mix() gave intensities outside [-1, 1]; clip them")
