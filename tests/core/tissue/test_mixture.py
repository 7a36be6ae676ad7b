"""The mixture finds each kind by its intensity and place, whichever is bright, and leaves misfits to the atlas."""

from __future__ import annotations

import numpy as np
import pytest

from strokereg.core.tissue.mixture import fit, smooth

KINDS = np.repeat([0, 1, 2], [3000, 9000, 8000])  # fluid, grey, white


def scan_of(means, seed=0):
    """Intensities of noisy tissues, and shares that know where each tissue lies four times in five."""
    rng = np.random.default_rng(seed)
    values = np.array(means)[KINDS] + rng.normal(0, 0.08, len(KINDS))
    believed = np.where(rng.random(len(KINDS)) < 0.8, KINDS, rng.integers(0, 3, len(KINDS)))
    shares = np.full((5, len(KINDS)), 0.02)
    for kind, rows in enumerate(((0, 1), (2, 3), (4,))):
        for row in rows:
            shares[row, believed == kind] = 0.9 / len(rows)
    return values.astype(np.float32), (shares / shares.sum(axis=0)).astype(np.float32)


def kinds_of(belief):
    return np.array([0, 0, 1, 1, 2])[belief.argmax(axis=0)]


@pytest.mark.parametrize("means", [(0.3, 1.1, 0.9), (0.2, 0.7, 1.1), (2.5, 1.1, 0.8)], ids=["FLAIR", "T1w", "T2w"])
def test_kinds_are_found_whichever_is_bright(means):
    values, shares = scan_of(means)
    found = fit(values, shares, np.ones(len(values), bool))
    np.testing.assert_allclose(found.belief.sum(axis=0), 1.0, atol=1e-4)
    by_place = np.mean(kinds_of(shares) == KINDS)
    assert np.mean(kinds_of(found.belief) == KINDS) > 0.93 > by_place + 0.05


def test_a_lesion_is_left_out_of_the_fit_and_labelled_like_the_rest():
    values, shares = scan_of((0.3, 1.1, 0.9))
    used = np.ones(len(values), bool)
    used[-2000:] = False
    lesion = values.copy()
    lesion[~used] = 3.0
    alone, among = (fit(v, shares, used) for v in (values, lesion))
    np.testing.assert_array_equal(among.belief[:, used], alone.belief[:, used])
    assert among.evidence == alone.evidence


def test_bright_spots_in_white_matter_stay_what_the_atlas_says():
    values, shares = scan_of((0.3, 1.1, 0.9))
    shares[:, -500:] = np.array([0.01, 0.01, 0.02, 0.01, 0.95])[:, None]
    values[-500:] = 2.2
    assert np.mean(kinds_of(fit(values, shares, np.ones(len(values), bool)).belief)[-500:] == 2) > 0.95


def test_the_right_place_has_more_evidence():
    values, shares = scan_of((0.3, 1.1, 0.9))
    used = np.ones(len(values), bool)
    wrong = shares[:, np.random.default_rng(1).permutation(len(values))]
    assert fit(values, shares, used).evidence > fit(values, wrong, used).evidence + 0.05


def test_single_voxels_join_their_neighbours():
    brain = np.ones((7, 7, 1), bool)
    belief = np.tile(np.array([[0.1], [0.1], [0.45], [0.1], [0.25]], np.float32), 49)
    belief[2, 24], belief[4, 24] = 0.3, 0.4
    assert belief[:, 24].argmax() == 4
    assert (smooth(belief, brain, np.ones(3)).argmax(axis=0) == 2).all()
