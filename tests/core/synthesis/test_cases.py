"""Synthetic cases: lesions in parenchyma, background empty, redraws counted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.synthesis import cases
from strokereg.core.synthesis.cases import (
    CaseMaker,
    SynthesisSettings,
    Tally,
    draw_labels,
    read_database,
    render,
    render_drafts,
    write_cases,
    write_database,
)
from strokereg.core.synthesis.composition import Composition
from strokereg.core.synthesis.placement import Prior, learn_prior, remove_lesion
from strokereg.core.train.prepared import write_prepared
from strokereg.registry.problem import Problem
from strokereg.testing.pretend import PretendedDevice

TABLE = LabelTable(("background", "csf", "white", "lesion"))


class Everywhere(nn.Module):
    """A generator whose masks cover a square that the noise chooses: all, or only fluid."""

    noise = 2

    def __init__(self, fluid_only: bool = False):
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))
        self.fluid_only = fluid_only

    def forward(self, z):
        mask = -torch.ones(len(z), 1, 16, 16)
        mask[:, :, 4:8, 4:8] = 1.0
        if self.fluid_only:
            mask[:] = -1.0
            mask[:, :, 7:9, 7:9] = 1.0
        return mask + self.anchor


class Plain(nn.Module):
    """A translator that returns the labels as intensities, including the background."""

    def __init__(self):
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(()))

    def forward(self, labels):
        return labels[:, None].float() / 4.0 + self.anchor


@pytest.fixture
def anatomy(tmp_path):
    labels = np.zeros((5, 16, 16), np.uint8)
    labels[1:4, 2:14, 2:14] = 2
    labels[1:4, 6:10, 6:10] = 1
    labels[2, 10:13, 10:13] = 3  # an old lesion
    return write_prepared(tmp_path / "anatomy", "a", np.zeros((1, 5, 16, 16)), labels, 3)


NOWHERE = Prior(np.zeros((0, 3)), 2)  # leaves every mask where the generator drew it


def compose(anatomy, generator, prior, seed=1):
    tally = Tally()
    problem = Problem(labels=4, size=(16, 16))
    settings = SynthesisSettings(generator, Plain(), False, TABLE, problem, prior, 1.0)
    (draft,) = draw_labels([remove_lesion(anatomy.labels, 3)], settings, [(0, seed)], tally)
    return draft.labels, tally


def test_lesions_lie_in_parenchyma_and_on_slices_with_brain(anatomy):
    labels, tally = compose(anatomy, Everywhere(), NOWHERE)
    assert labels.shape == (3, 16, 16)
    tissue = remove_lesion(anatomy.labels, 3)[1:4]
    for plane, before in zip(labels, tissue, strict=True):
        assert (plane == 3).sum() == 12  # the square of 16 without its 4 voxels of fluid
        assert ((plane == 3) <= ((before == 2) | (before[:, ::-1] == 2))).all()
    assert tally == Tally(lesions=3, redrawn=0, given_up=0)


def test_lesions_go_where_the_training_lesions_lie(anatomy):
    prior = learn_prior([anatomy], 2)  # the old lesion: behind, on one side
    rows, columns = [], []
    for seed in range(20):
        labels, tally = compose(anatomy, Everywhere(), prior, seed)
        assert tally.given_up == 0
        rows += [np.argwhere(plane == 3)[:, 0].mean() for plane in labels]
        columns += [np.argwhere(plane == 3)[:, 1].mean() for plane in labels]
    assert np.mean(rows) == pytest.approx(11.0, abs=0.5)
    assert {round(c / 3) for c in columns} >= {1, 4}  # either side
    again, _ = compose(anatomy, Everywhere(), prior, 19)
    assert np.array_equal(again, labels)


def test_masks_that_keep_their_place_are_not_moved(anatomy):
    generator = Everywhere()
    generator.keeps_place = True
    labels, _ = compose(anatomy, generator, learn_prior([anatomy], 2))
    for plane in labels:
        assert np.argwhere(plane == 3).min() >= 4
        assert np.argwhere(plane == 3).max() <= 7


def test_lesions_that_never_fit_are_drawn_again_counted_and_given_up(anatomy):
    labels, tally = compose(anatomy, Everywhere(True), NOWHERE)
    assert (labels != 3).all()
    assert tally == Tally(lesions=3, redrawn=27, given_up=3)


def test_a_volume_gets_one_lesion_at_a_place_of_the_prior(tmp_path):
    class Ball(nn.Module):
        noise = 1

        def forward(self, z):
            mask = -torch.ones(len(z), 1, 16, 16, 16)
            mask[:, :, 6:9, 6:9, 6:9] = 1.0
            return mask

    labels = np.full((16, 16, 16), 2, np.uint8)
    labels[2:5, 3:6, 12:15] = 3
    case = write_prepared(tmp_path / "case", "a", np.zeros((1, 16, 16, 16)), labels, 3)
    problem = Problem(dims=3, labels=4, size=(16, 16, 16))
    settings = SynthesisSettings(Ball(), Plain(), False, TABLE, problem, learn_prior([case], 3), 1.0)
    made = draw_labels([remove_lesion(labels, 3)], settings, [(0, 2)], Tally())[0].labels
    z, y, x = np.argwhere(made[0] == 3).mean(axis=0)
    assert made.shape == (1, 16, 16, 16)
    assert (z, y) == (pytest.approx(3, abs=2), pytest.approx(4, abs=2))
    assert min(x, 15 - x) == pytest.approx(2, abs=2)


def test_background_of_a_translated_image_is_empty():
    labels = np.zeros((1, 16, 16), np.uint8)
    labels[0, 4:8, 4:8] = 2
    image = render(Plain(), labels, stochastic=False)
    assert image.shape == (1, 1, 16, 16)
    assert (image[0, 0][labels[0] == 0] == -1.0).all()
    assert (image[0, 0][labels[0] == 2] == 0.5).all()


def test_a_database_goes_on_where_it_stopped(anatomy, tmp_path):
    problem = Problem(labels=4, size=(16, 16))

    def write(folder, stop=None):
        def on_case(done):
            if done == stop:
                raise KeyboardInterrupt

        prior = learn_prior([anatomy], problem.dims)
        settings = SynthesisSettings(Everywhere(), Plain(), False, TABLE, problem, prior)
        return write_database(folder, [anatomy], settings, 4, 7, on_case)

    whole = write(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "cut", stop=2)
    first = (tmp_path / "cut" / "0000" / "image.npy").stat().st_mtime_ns
    assert write(tmp_path / "cut") == whole
    assert (tmp_path / "cut" / "0000" / "image.npy").stat().st_mtime_ns == first
    pairs = zip(read_database(tmp_path / "whole", 3), read_database(tmp_path / "cut", 3), strict=True)
    for a, b in pairs:
        assert np.array_equal(a.labels, b.labels)
        assert np.array_equal(a.image, b.image)


class Network(nn.Module):
    """A generator or translator with real layers, which notes how many rows it gets at a time."""

    noise = 5

    def __init__(self, dims=2, translates=False):
        super().__init__()
        torch.manual_seed(3)
        self.dims, self.translates, self.rows = dims, translates, []
        self.dense = nn.Linear(5, 16**dims)
        self.conv = (nn.Conv2d if dims == 2 else nn.Conv3d)(1, 1, 3, padding=1)

    def forward(self, *given):
        *labels, z = given
        self.rows.append(len(z))
        out = self.conv(self.dense(z).reshape(-1, 1, *(16,) * self.dims))
        return (out + labels[0][:, None]).tanh() if self.translates else 20 * out


def settings_of(anatomy, dims=2):
    problem = Problem(dims=dims, labels=4, size=(16,) * dims)
    generator, translator = Network(dims).eval(), Network(dims, translates=True).eval()
    return SynthesisSettings(generator, translator, True, TABLE, problem, learn_prior([anatomy], dims), 0.7)


@pytest.mark.parametrize("dims", [2, 3])
def test_cases_that_are_made_together_are_those_that_are_made_alone(anatomy, dims):
    settings = settings_of(anatomy, dims)
    maker = CaseMaker([anatomy], settings, 6, 9)
    together = [made for _, made in maker.cases(lambda index: False)]
    tissue, tally = remove_lesion(anatomy.labels, 3), Tally()
    for index, (image, labels) in enumerate(together):
        drafts = draw_labels([tissue], settings, [(9, index)], tally)
        [(own_image, own_labels)] = render_drafts(drafts, settings)
        assert np.array_equal(labels, own_labels)
        np.testing.assert_allclose(image, own_image, atol=1e-5)
    assert maker.tally == tally
    assert tally.lesions > 0


def test_the_networks_get_full_batches(anatomy):
    settings = settings_of(anatomy)
    list(CaseMaker([anatomy], settings, 4, 0).cases(lambda index: False))
    assert settings.translator.rows == [12]  # three slices with brain of each case
    volumes = settings_of(anatomy, 3)
    list(CaseMaker([anatomy], volumes, 17, 0).cases(lambda index: False))
    assert volumes.translator.rows == [16, 1]


def test_the_lesion_of_an_anatomy_is_removed_once(anatomy, tmp_path, monkeypatch):
    removed = []

    def watched(labels, lesion):
        removed.append(labels)
        return remove_lesion(labels, lesion)

    monkeypatch.setattr(cases, "remove_lesion", watched)
    write_database(tmp_path / "made", [anatomy, anatomy], settings_of(anatomy), 9, 0)
    assert len(removed) == 2
    monkeypatch.setattr(cases, "_KEPT", 0)  # no room for any
    write_database(tmp_path / "again", [anatomy, anatomy], settings_of(anatomy), 9, 0)
    assert len(removed) == 2 + 9
    for a, b in zip(read_database(tmp_path / "made", 3), read_database(tmp_path / "again", 3), strict=True):
        assert np.array_equal(a.image, b.image)


def test_a_case_that_cannot_be_written_ends_the_synthesis(anatomy):
    def write(index, image, labels):
        written.append(index)
        if index == 3:
            raise OSError("the disk is full")

    written, done, maker = [], [], CaseMaker([anatomy], settings_of(anatomy), 9, 0)
    with pytest.raises(OSError, match="the disk is full"):
        done.extend(write_cases(maker.cases(lambda index: index == 1), write))
    assert done == [0, 1, 2]
    assert {0, 2, 3} <= set(written)
    assert 1 not in written


def test_only_what_is_missing_is_made_again_with_the_same_voxels(anatomy):
    settings = settings_of(anatomy)
    everything = dict(CaseMaker([anatomy], settings, 9, 0).cases(lambda index: False))
    maker = CaseMaker([anatomy], settings, 9, 0)
    rest = dict(maker.cases(lambda index: index not in (2, 8)))
    assert [index for index, made in rest.items() if made is not None] == [2, 8]
    for index in (2, 8):
        assert np.array_equal(rest[index][0], everything[index][0])
        assert np.array_equal(rest[index][1], everything[index][1])


def test_a_network_on_a_gpu_draws_what_it_draws_on_the_cpu(anatomy):
    """Random numbers of a case come from the CPU, so its lesions do not depend on the device."""
    settings = settings_of(anatomy)
    with PretendedDevice() as device:
        put = dataclasses.replace(
            settings, generator=device.put(settings.generator), translator=device.put(settings.translator)
        )
        drafts = draw_labels([remove_lesion(anatomy.labels, 3)], put, [(0, 0)], Tally())
        [(image, labels)] = render_drafts(drafts, put)
    assert image.shape == (1, 3, 16, 16)
    assert labels.shape == (3, 16, 16)
    assert device.reads == {"cpu": 11}  # ten draws of masks, which read as ones and never fit, and the images


class AtHeights(Everywhere):
    """Covers as many columns as its noise says, which is the height that was asked for."""

    def forward(self, z):
        mask = -torch.ones(len(z), 1, 16, 16)
        for row, height in zip(mask, z[:, 0].round().int().tolist(), strict=True):
            row[0, 10:14, 4 : 4 + height] = 1.0
        return mask

    def for_heights(self, z, heights):
        return torch.stack([heights, z[:, 1]], 1)


def test_slices_in_mni_space_get_masks_of_their_own_height_which_stay(anatomy):
    prior, problem, tally = Prior(np.full((1, 3), 0.2), 2), Problem(labels=4, size=(16, 16)), Tally()
    settings = SynthesisSettings(AtHeights(), Plain(), False, TABLE, problem, prior, 1.0)
    tissue = remove_lesion(anatomy.labels, 3)
    [draft] = draw_labels([tissue], settings, [(0, 1)], tally, [np.array([0.0, 2.0, 4.0, 6.0, 0.0])])
    for plane, width in zip(draft.labels, (2, 4, 6), strict=True):
        _, columns = np.nonzero(plane == 3)
        assert columns.min() == 4
        assert columns.max() == 3 + width


class TwoContrasts(Plain):
    """Shows the labels as intensities, and as their opposite."""

    def forward(self, labels):
        return torch.cat([super().forward(labels), -super().forward(labels)], dim=1)


def shown(labels):
    return np.stack([labels / 4.0, -labels / 4.0])


@pytest.fixture
def scan(tmp_path, anatomy):
    """The anatomy as a scan with texture of its own, in two contrasts."""
    image = np.random.default_rng(5).uniform(-0.3, 0.3, (2, *anatomy.labels.shape)).astype(np.float32)
    return write_prepared(tmp_path / "scan", "s", np.where(anatomy.labels > 0, image, -1.0), anatomy.labels, 3)


def editing(compose=Composition.EDITED, dims=2):
    """Settings of a synthesis that puts a lesion into every slice, or into the volume, and leaves it there."""
    problem = Problem(dims=dims, labels=4, channels=2, size=(16,) * dims)
    generator = Everywhere() if dims == 2 else Network(3).eval()
    return SynthesisSettings(
        generator, TwoContrasts(), False, TABLE, problem, Prior(np.zeros((0, 3)), dims), 1.0, compose
    )


def made_of(scan, seed, count=1, **changes):
    return [made for _, made in CaseMaker([scan], editing(**changes), count, seed).cases(lambda index: False)]


def test_an_edited_image_is_the_scan_changed_by_what_its_labels_change(scan):
    mirrored = set()
    for seed in range(6):
        [(image, labels)] = made_of(scan, seed)
        fits = []
        for turn in (1, -1):
            host, own = np.asarray(scan.image)[:, 1:4, :, ::turn], np.asarray(scan.labels)[1:4, :, ::turn]
            expected = np.where(own > 0, host + shown(labels) - shown(own), -1.0)
            fits.append(np.allclose(image, expected, atol=1e-6))
            if fits[-1]:
                assert ((own == 3) & (labels == 2)).any()  # the host's own lesion goes
                assert ((own != 3) & (labels == 3)).any()  # another comes
                assert np.array_equal(image[:, labels == own], host[:, labels == own])
        assert sum(fits) == 1
        mirrored.add(fits.index(True))
    assert mirrored == {0, 1}


def test_an_edited_volume_lies_on_the_network_grid(scan):
    [(image, labels)] = made_of(scan, 0, dims=3)
    assert image.shape == (2, 16, 16, 16)
    assert labels.shape == (16, 16, 16)
    assert (image[:, labels == 0] == -1.0).all()
    assert image[:, labels > 0].std() > 0.1  # the scan's texture; a translation has none


def test_labels_that_stay_give_the_scan_itself(scan):
    """No lesion before and none after: nothing is left of the translator."""
    tissue = remove_lesion(scan.labels, 3)
    healthy = write_prepared(scan.folder.parent / "healthy", "h", scan.image, tissue, 3)
    settings = dataclasses.replace(editing(), lesion_share=0.0)
    [(_, (image, labels))] = CaseMaker([healthy], settings, 1, 0).cases(lambda index: False)
    hosts = [np.asarray(scan.image)[:, 1:4, :, ::turn] for turn in (1, -1)]
    assert any(np.array_equal(image, host) for host in hosts)
    assert (labels != 3).all()


def test_edited_cases_depend_on_their_seed_only(scan):
    first, again = (made_of(scan, 3, count=5) for _ in range(2))
    for (image, labels), (same_image, same_labels) in zip(first, again, strict=True):
        assert np.array_equal(image, same_image)
        assert np.array_equal(labels, same_labels)
    translated = made_of(scan, 3, count=5, compose=Composition.TRANSLATED)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, translated, strict=True))  # the same lesions


def test_both_edits_every_other_case_of_each_anatomy(scan):
    maker = CaseMaker([scan, scan, scan, scan], editing(Composition.BOTH), 8, 3)
    kinds = [maker.composition(index) for index in range(8)]
    assert kinds == [Composition.TRANSLATED, Composition.EDITED] * 2 + [Composition.EDITED, Composition.TRANSLATED] * 2
    for kind, (index, (image, labels)) in zip(kinds, maker.cases(lambda index: False), strict=True):
        flat = np.allclose(image[0], np.where(labels > 0, labels / 4.0, -1.0))
        assert flat == (kind is Composition.TRANSLATED), index
