"""What holds for every built-in mixer beside the contract, which `test_conformance` holds it to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from strokereg.core.roles import Mixer
from strokereg.registry.catalogue import build

TISSUE, FLUID, LESION = 2, 1, 4


def mixed(mixer, host, donor, seed=0, channels=1, **options):
    made = build(mixer.name, mixer.problem(3).model_copy(update={"channels": channels}), options)
    assert isinstance(made, Mixer)
    return made.mix(host, donor, np.random.default_rng(seed))


@pytest.mark.parametrize("channels", [1, 2])
def test_a_lesion_more_on_the_hosts_own_grid(mixer, head, channels):
    host = head(lesion=((8, 8, 7), 2.0), channels=channels)
    donor = head((14, 26, 20), ((7, 15, 14), 2.5), seed=1, channels=channels)
    out = mixed(mixer, host, donor, channels=channels)
    new = (out.labels == LESION) & (host.labels != LESION)
    assert new.sum() > 10
    sound = (out.labels == TISSUE) & (host.labels == TISSUE)
    for image in out.image + 1:
        assert image[new].mean() > 1.3 * image[sound].mean()


def test_background_stays_and_nothing_far_off_changes(mixer, head):
    host, donor = head(lesion=None), head(seed=1)
    outcomes = [mixed(mixer, host, donor, seed) for seed in range(8)]
    assert sum(out is None for out in outcomes) < 4  # a shift may bring it out of the parenchyma
    for out in filter(None, outcomes):
        assert np.array_equal(out.labels == 0, host.labels == 0)
        assert (out.image[:, host.labels == 0] == -1).all()
        changed = (out.image != host.image).any(axis=0)
        assert changed.any()
        assert changed.mean() < 0.3


def test_a_donor_without_lesion_is_refused(mixer, head):
    assert mixed(mixer, head(), head(lesion=None)) is None


def test_a_host_without_room_is_refused(mixer, head):
    host = head(lesion=None)
    if mixer.name == "carvemix":
        host.labels[:, :, 10:] = 0  # no brain there
        host.labels[8, 12, -1] = TISSUE  # and yet the box reaches as far
    else:
        host.labels[host.labels == TISSUE] = FLUID
    assert mixed(mixer, host, head(seed=1)) is None


def test_a_scan_cannot_be_changed_by_name(head):
    with pytest.raises(dataclasses.FrozenInstanceError):
        head().image = None
