"""The mixed database: who meets whom, what is counted, and that it goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.synthesis.cases import Tally, read_database
from strokereg.core.synthesis.mixed import mix_case, write_mixed
from strokereg.core.train.prepared import write_prepared
from strokereg.registry.errors import RunFailed, StrokeregError

TABLE = LabelTable(("background", "csf", "white", "lesion"))


class Witness:
    """A mixer that notes whom it is given and marks the host with one random voxel."""

    def __init__(self, refuses=0):
        self.met, self.refuses = [], refuses

    def mix(self, host, donor, rng):
        self.met.append((round(float(host.image[0, 0, 0, 0]), 2), round(float(donor.image[0, 0, 0, 0]), 2)))
        if self.refuses:
            self.refuses -= 1
            return None
        labels = np.array(host.labels)
        labels[tuple(rng.integers(labels.shape))] = TABLE.lesion
        return replace(host, labels=labels)


@pytest.fixture
def make_cases(tmp_path):
    """`make_cases(True, False)`: a case each, with a lesion or without; its image says which it is: 0, 0.1, …"""

    def make(*with_lesion):
        made = []
        for number, lesion in enumerate(with_lesion):
            labels = np.full((3, 8, 8), 2, np.uint8)
            labels[1, 2:4, 2:4] = 3 if lesion else 2
            image = np.full((1, 3, 8, 8), number / 10)
            made.append(write_prepared(tmp_path / f"case{number}", str(number), image, labels, 3))
        return made

    return make


def write(folder, cases, mixer, count=6, seed=7, stop=None):
    def on_case(done):
        if done == stop:
            raise KeyboardInterrupt

    return write_mixed(folder, cases, mixer, TABLE, count, seed, on_case)


def test_hosts_take_turns_and_donors_are_others_with_a_lesion(make_cases, tmp_path):
    mixer = Witness()
    assert write(tmp_path / "out", make_cases(True, False, True), mixer, 30) == Tally(lesions=30)
    assert [host for host, _ in mixer.met] == [0.0, 0.1, 0.2] * 10
    assert {(host, donor) for host, donor in mixer.met} == {(0.0, 0.2), (0.1, 0.0), (0.1, 0.2), (0.2, 0.0)}


def test_a_case_meets_itself_only_where_no_other_has_a_lesion(make_cases, tmp_path):
    mixer = Witness()
    write(tmp_path / "one", make_cases(True), mixer, 2)
    assert set(mixer.met) == {(0.0, 0.0)}


def test_no_lesion_at_all_is_one_sentence(make_cases, tmp_path):
    with pytest.raises(RunFailed, match="none of the 2 training cases has a lesion to mix in; give more with --cases"):
        write(tmp_path / "out", make_cases(False, False), Witness())
    assert not (tmp_path / "out").exists()


def test_refusals_are_counted_and_a_host_that_finds_no_donor_stays(make_cases, tmp_path):
    cases = make_cases(True, True)
    tally = Tally()
    mix_case(cases, 0, Witness(refuses=3), TABLE, 0, tally)
    assert tally == Tally(lesions=1, redrawn=3, given_up=0)
    assert write(tmp_path / "out", cases, Witness(refuses=99), 1) == Tally(lesions=1, redrawn=9, given_up=1)
    [left] = read_database(tmp_path / "out", 3)
    assert np.array_equal(left.labels, cases[0].labels)


def test_it_goes_on_where_it_stopped_and_the_seed_decides(make_cases, tmp_path):
    cases = make_cases(True, True, False)
    whole = write(tmp_path / "whole", cases, Witness())
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "cut", cases, Witness(), stop=2)
    first = (tmp_path / "cut" / "0000" / "labels.npy").stat().st_mtime_ns
    assert write(tmp_path / "cut", cases, Witness()) == whole
    assert (tmp_path / "cut" / "0000" / "labels.npy").stat().st_mtime_ns == first
    write(tmp_path / "other", cases, Witness(), seed=8)

    def labels(name):
        return np.stack([case.labels for case in read_database(tmp_path / name, 3)])

    assert np.array_equal(labels("whole"), labels("cut"))
    assert not np.array_equal(labels("whole"), labels("other"))


class Wrong(Witness):
    def __init__(self, fault):
        self.fault = fault

    def mix(self, host, donor, rng):
        return self.fault(host)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda host: replace(host, image=host.image[:, :2]), r"Wrong: mix\(\) returned an image \(1, 2, 8, 8\)"),
        (lambda host: replace(host, image=host.image * 40), r"outside \[-1, 1\]"),
        (lambda host: replace(host, image=host.image * np.nan), r"outside \[-1, 1\]"),
    ],
)
def test_wrong_output_of_a_mixer_is_an_error(make_cases, tmp_path, fault, said):
    with pytest.raises(StrokeregError, match=said):
        write(tmp_path / "out", make_cases(True, True), Wrong(fault))
