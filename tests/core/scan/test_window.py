"""Sliding windows: whatever the size, every voxel is seen, blended smoothly, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from strokereg.core.scan.window import slide


class Recorder:
    """A network that gives back its first channel, and remembers the shapes that it was given."""

    def __init__(self):
        self.shapes = []

    def __call__(self, windows):
        assert windows.flags.c_contiguous
        self.shapes.append(windows.shape)
        return windows[:, :1]


def field(*shape):
    return np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)


@pytest.mark.parametrize("patch", [(24, 16), (32, 32), (5, 24, 16), (9, 30, 40)])
def test_a_scan_that_fits_is_run_in_one_piece_bit_for_bit(patch):
    image, run = field(2, 5, 24, 16), Recorder()
    assert np.array_equal(slide(run, image, patch), image[0])
    assert run.shapes == [(5, 2, 24, 16) if len(patch) == 2 else (1, 2, 5, 24, 16)]


@pytest.mark.parametrize(
    ("shape", "patch"),
    [
        ((1, 3, 48, 33), (32, 16)),
        ((2, 20, 40, 40), (16, 32)),
        ((1, 20, 33, 48), (16, 32, 16)),
        ((1, 7, 9, 50), (3, 4, 5)),
    ],
)
def test_windows_of_one_size_cover_all_and_their_weights_sum_to_one(shape, patch):
    image, run = field(*shape), Recorder()
    np.testing.assert_allclose(slide(run, image, patch), image[0], atol=1e-6)
    assert {seen[2:] for seen in run.shapes} == {patch}
    assert max(seen[0] for seen in run.shapes) <= (16 if len(patch) == 2 else 1)


def test_neighbouring_windows_overlap_by_half_at_least():
    run = Recorder()
    slide(run, field(1, 1, 16, 33), (16, 16))
    assert len(run.shapes) == 4  # starts at 0, 6, 11 and 17: never more than 8 apart


def test_windows_are_blended_without_a_seam():
    """Each window says its own constant: the result passes from one to the other in small steps."""
    said = iter([0.0, 1.0])
    blended = slide(lambda windows: np.full_like(windows[:, :1], next(said)), field(1, 1, 32, 48), (32, 32))[0]
    assert np.ptp(blended, axis=0).max() < 1e-6
    row = blended[0]
    assert row[0] == 0.0
    assert row[-1] == 1.0
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 0.3


def test_the_centre_of_a_window_counts_most():
    said = iter([0.0, 1.0])
    row = slide(lambda windows: np.full_like(windows[:, :1], next(said)), field(1, 1, 32, 48), (32, 32))[0, 0]
    assert row[20] < 0.1 < 0.9 < row[27]  # near the centre (15.5) of the first, then of the second (31.5)


def test_flips_take_the_mean_with_the_left_right_mirror_image():
    ramp = np.linspace(0, 1, 16, dtype=np.float32)

    def run(windows):  # knows left from right, as no network should
        return windows * ramp

    image = field(1, 3, 8, 16)
    plain, mean = slide(run, image, (8, 16)), slide(run, image, (8, 16), flips=True)
    np.testing.assert_allclose(plain, image[0] * ramp, rtol=1e-6)
    np.testing.assert_allclose(mean, image[0] * (ramp + ramp[::-1]) / 2, rtol=1e-5)
    mirrored = slide(run, image[..., ::-1], (8, 16), flips=True)
    np.testing.assert_allclose(mirrored[..., ::-1], mean, rtol=1e-5)


def test_flips_run_every_window_twice():
    run = Recorder()
    image = field(1, 40, 16, 16)
    np.testing.assert_allclose(slide(run, image, (16, 16), flips=True), image[0], rtol=1e-6)
    assert [shape[0] for shape in run.shapes] == [16, 16, 16, 16, 8, 8]


def test_it_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import strokereg.core.scan.window"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
