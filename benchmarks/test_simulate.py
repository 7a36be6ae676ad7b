"""Simulating one case at the size of ISLES'22 (112×112×73, 2 mm), on one core. The aim is 4 s at most.

pytest benchmarks/test_simulate.py
"""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.simulate.anatomy import load_anatomy
from strokereg.core.simulate.folder import write_subject
from strokereg.core.simulate.subject import simulate_subject


@pytest.mark.parametrize("volume_ml", [2.0, 60.0])
def test_one_case(benchmark, volume_ml):
    anatomy = load_anatomy(None)
    subject = benchmark.pedantic(
        lambda: simulate_subject(np.random.default_rng(0), anatomy, volume_ml), rounds=5, warmup_rounds=1
    )
    assert subject.lesion.any()


def test_one_case_and_its_files(benchmark, tmp_path):
    anatomy = load_anatomy(None)

    def make():
        return write_subject(tmp_path, "sub-0001", simulate_subject(np.random.default_rng(0), anatomy, 10.0))

    assert benchmark.pedantic(make, rounds=5, warmup_rounds=1)["lesion_ml"] > 5


def test_the_embedded_head(benchmark):
    anatomy = benchmark.pedantic(lambda: load_anatomy.__wrapped__(None), rounds=3)
    assert anatomy.labels.any()
