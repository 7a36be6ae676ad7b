"""Synthetic cases a second: several at a time with the anatomies kept, beside one by one as before.

The heads have the size of ISLES'22 and a lesion each; networks are small, so that what is around them shows.
Rounds alternate, so that a busy machine slows both ways down alike.

pytest benchmarks/test_synthesis.py -s
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.synthesis.cases import (
    SynthesisSettings,
    Tally,
    draw_labels,
    read_database,
    render_drafts,
    write_database,
)
from strokereg.core.synthesis.placement import learn_prior, remove_lesion
from strokereg.core.train.prepared import PreparedCase, write_prepared
from strokereg.registry.catalogue import build
from strokereg.registry.problem import Problem

SIZES = {2: (64, 64), 3: (32, 48, 48)}
ANATOMIES, COUNT, ROUNDS = 2, 8, 3
TABLE = LabelTable(("background", "csf", "grey matter", "white matter", "lesion"))


@pytest.fixture(scope="module")
def anatomies(tmp_path_factory: pytest.TempPathFactory) -> list[PreparedCase]:
    """Round heads, 73 × 112 × 112 voxels."""
    folder = tmp_path_factory.mktemp("anatomies")
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in (73, 112, 112)), indexing="ij")
    made = []
    for number in range(ANATOMIES):
        radius = z**2 + y**2 + x**2
        labels = np.select([radius < 0.1, radius < 0.4, radius < 0.8], [1, 3, 2], 0).astype(np.uint8)
        labels[(z - 0.1 * number) ** 2 + (y - 0.5) ** 2 + (x - 0.3) ** 2 < 0.02] = 4
        image = np.zeros((1, *labels.shape), np.float32)
        made.append(write_prepared(folder / str(number), str(number), image, labels, 4))
    return made


def made_together(folder: Path, anatomies: list[PreparedCase], settings: SynthesisSettings) -> None:
    write_database(folder, anatomies, settings, COUNT, 0)


def made_alone(folder: Path, anatomies: list[PreparedCase], settings: SynthesisSettings) -> None:
    for index in range(COUNT):
        tissue = remove_lesion(anatomies[index % len(anatomies)].labels, TABLE.lesion)
        [made] = render_drafts(draw_labels([tissue], settings, [(0, index)], Tally()), settings)
        write_prepared(folder / f"{index:04d}", str(index), *made, TABLE.lesion)


@pytest.mark.parametrize("dims", [2, 3])
def test_cases_a_second(dims: int, anatomies: list[PreparedCase], tmp_path: Path) -> None:
    problem = Problem(dims=dims, labels=TABLE.count, size=SIZES[dims])
    torch.manual_seed(0)
    networks = [build(name, problem, {"ngf": 8, "ndf": 8}).eval() for name in ("mask-gan", "pix2pix")]
    settings = SynthesisSettings(*networks, False, TABLE, problem, learn_prior(anatomies, dims))
    rounds = []
    for number in range(ROUNDS + 1):
        spent = {}
        for way in (made_together, made_alone):
            folder = tmp_path / f"{way.__name__}-{number}"
            begun = time.perf_counter(), time.process_time()
            way(folder, anatomies, settings)
            spent[way] = time.perf_counter() - begun[0], time.process_time() - begun[1]
            assert len(read_database(folder, TABLE.lesion)) == COUNT
        rounds.append(spent)
    for clock, name in enumerate(("wall", "CPU")):
        after, before = ([spent[way][clock] for spent in rounds[1:]] for way in (made_together, made_alone))
        share = statistics.median(a / b for a, b in zip(after, before, strict=True))
        rates = (COUNT / statistics.median(seconds) for seconds in (after, before))
        print("\n{}D, {} time: {:.1f} cases/s, before {:.1f}: {:.2f} of the time".format(dims, name, *rates, share))
