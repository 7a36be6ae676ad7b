"""What is special about `lesion-paste`: relative signal, sound parenchyma only, no seam."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from strokereg.plugins.blocks.same_place import same_place
from strokereg.plugins.mixers.lesion_paste import LesionPaste
from strokereg.registry.problem import Problem

FLUID, TISSUE, LESION = 1, 2, 4
STILL = {"turn": 0.0, "scale": 0.0, "shift": 0.0, "warp": 0.0}


def paste(**options):
    return LesionPaste(Problem(dims=3, labels=5, size=(16,) * 3), LesionPaste.Options(**options))


def new_lesion(out, host):
    return (out.labels == LESION) & (host.labels != LESION)


def test_the_factor_is_that_of_the_lesion_and_goes_on_beyond_it(head):
    factors = paste().factors(head(channels=2))
    assert factors.shape == (2, 16, 24, 20)
    assert np.abs(factors - 1.6).max() < 0.2


@pytest.mark.parametrize("gain", [0.4, 1.2])
def test_the_signal_is_relative_to_the_host(head, gain):
    host = head(lesion=None)
    host = replace(host, image=((host.image + 1) * gain - 1).clip(-1, 1))
    out = paste().mix(host, head(seed=1), np.random.default_rng(0))
    new = new_lesion(out, host)
    ratio = (out.image[0][new] + 1).mean() / (host.image[0][new] + 1).mean()
    assert abs(ratio - 1.6) < 0.1


def test_flips_alone_put_it_here_or_on_the_other_side(head):
    host, donor = head(lesion=None), head(seed=1)
    sides = set()
    for seed in range(12):
        out = paste(**STILL).mix(host, donor, np.random.default_rng(seed))
        middle = np.argwhere(new_lesion(out, host)).mean(axis=0)
        where = same_place((8, 12, 14), donor.labels, host.labels, mirrored=middle[2] < 10)
        assert np.abs(middle - where).max() < 0.8
        sides.add(middle[2] < 10)
    assert sides == {True, False}


def test_it_lies_in_sound_parenchyma_and_the_hosts_own_lesion_stays(head):
    host = head(lesion=((8, 12, 7), 3.0))
    for seed in range(12):
        out = paste().mix(host, head(seed=1), np.random.default_rng(seed))
        if out is not None:
            assert (host.labels[new_lesion(out, host)] == TISSUE).all()
            own = host.labels == LESION
            assert (out.labels[own] == LESION).all()
            assert np.array_equal(out.image[:, own], host.image[:, own])
            assert np.array_equal(out.image[:, host.labels == FLUID], host.image[:, host.labels == FLUID])


def test_the_edge_fades(head):
    host = head(lesion=None)
    out = paste(**STILL, edge=1.5).mix(host, head(seed=1), np.random.default_rng(0))
    new = new_lesion(out, host)
    ratio = (out.image[0] + 1) / np.maximum(host.image[0] + 1, 1e-3)
    away = np.round(
        np.sqrt(sum((a - c) ** 2 for a, c in zip(np.indices(new.shape), np.argwhere(new).mean(0), strict=True)))
    )
    by_distance = [ratio[(away == d) & (host.labels == TISSUE)].mean() for d in (1, 4, 5, 7)]
    assert by_distance[0] > by_distance[1] > by_distance[2] > by_distance[3]
    assert abs(by_distance[3] - 1) < 0.02


def test_a_real_lesion_keeps_its_contrast_elsewhere_in_its_brain(real_data):
    from strokereg.core.cohort.case import read_case
    from strokereg.core.cohort.open import read_folder
    from strokereg.core.roles import Sample
    from strokereg.core.scan.grid import Preparation
    from strokereg.core.train.prepared import prepare_image

    case = read_case(read_folder(real_data / "isles22").cases[0])
    image, frame = prepare_image(case, Preparation())
    brain = image[0] > -0.85
    labels = brain.astype(np.uint8)
    labels[brain & (frame.image(case.mask.astype(np.float32)) >= 0.5)] = 2  # no tissue labels come with it
    scan = Sample(image, labels, (1,))
    mixer = LesionPaste(Problem(dims=3, labels=3, size=(16,) * 3), LesionPaste.Options())
    outcomes = [mixer.mix(scan, scan, np.random.default_rng(seed)) for seed in range(8)]
    assert sum(out is not None for out in outcomes) >= 4
    sound = (image[0][labels == 1] + 1).mean()
    real = (image[0][labels == 2] + 1).mean() / sound
    for out in filter(None, outcomes):
        new = (out.labels == 2) & (labels != 2)
        assert 0.8 * real < (out.image[0][new] + 1).mean() / sound < 1.25 * real
