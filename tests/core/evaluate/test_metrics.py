from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import ndimage

from strokereg.core.cohort.open import read_folder
from strokereg.core.evaluate.metrics import score
from strokereg.registry.errors import InputError

SPACING = (1.0, 2.0, 3.0)


def box(shape: tuple[int, int, int], *corners: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for corner in corners:
        mask[corner] = True
    return mask


def blobs(rng: np.random.Generator, shape: tuple[int, int, int], share: float = 0.08) -> np.ndarray:
    """Smooth random components."""
    field = ndimage.gaussian_filter(rng.normal(size=shape), 1.2)
    return field > np.quantile(field, 1 - share)


def components(mask: np.ndarray) -> list[set[tuple[int, ...]]]:
    """26-connected components by flood fill, without scipy."""
    left = {tuple(int(v) for v in p) for p in np.argwhere(mask)}
    found = []
    while left:
        grown, front = set(), [left.pop()]
        while front:
            point = front.pop()
            grown.add(point)
            for step in itertools.product((-1, 0, 1), repeat=3):
                near = tuple(a + b for a, b in zip(point, step, strict=True))
                if near in left:
                    left.remove(near)
                    front.append(near)
        found.append(grown)
    return found


def surface(mask: np.ndarray) -> np.ndarray:
    """Voxels with a face towards the outside, in mm, by looking at all six neighbours."""
    points = {tuple(int(v) for v in p) for p in np.argwhere(mask)}
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    edge = [p for p in sorted(points) if any(tuple(np.add(p, s)) not in points for s in steps)]
    return np.array(edge, dtype=float).reshape(-1, 3) * SPACING


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = blobs(rng, (9, 10, 8)), blobs(rng, (9, 10, 8), 0.12)
    got = score(prediction, truth, SPACING)

    real, called = components(truth), components(prediction)
    found = sum(any(lesion & other for other in called) for lesion in real)
    wrong = sum(not any(lesion & other for other in real) for lesion in called)
    a, b = surface(prediction), surface(truth)
    distance = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    there, back = distance.min(1), distance.min(0)

    assert got.dice == pytest.approx(2 * (truth & prediction).sum() / (truth.sum() + prediction.sum()))
    assert got.lesion_f1 == pytest.approx(2 * found / (2 * found + wrong + len(real) - found))
    assert got.count_difference == abs(len(real) - len(called))
    assert got.volume_ml == pytest.approx(truth.sum() * 6e-3)
    assert got.predicted_ml == pytest.approx(prediction.sum() * 6e-3)
    assert got.volume_difference_ml == pytest.approx(abs(got.volume_ml - got.predicted_ml))
    assert got.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))
    assert got.surface_dice == pytest.approx(((there <= 2).sum() + (back <= 2).sum()) / (len(a) + len(b)))


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_monai(seed: int) -> None:
    import torch
    from monai import metrics

    rng = np.random.default_rng(seed)
    truth = blobs(rng, (30, 28, 24), 0.04)
    prediction = ndimage.binary_dilation(truth) ^ blobs(rng, (30, 28, 24), 0.01)
    got = score(prediction, truth, SPACING)
    a, b = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, truth))
    dice = metrics.compute_dice(a, b).item()
    hd95 = metrics.compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=SPACING).item()
    nsd = metrics.compute_surface_dice(a, b, [2.0], include_background=True, spacing=SPACING).item()
    assert got.dice == pytest.approx(dice, abs=1e-5)
    assert got.hd95_mm == pytest.approx(hd95, abs=1e-4)
    assert got.surface_dice == pytest.approx(nsd, abs=1e-5)


def test_the_definitions_of_isles22_on_a_real_mask(real_data) -> None:
    """Its four metrics, written anew from the paper, and distances by scipy's distance transform."""
    from scipy.spatial.distance import dice as dissimilarity

    from strokereg.core.scan.nifti import read_volume

    volume = read_volume(read_folder(real_data / "isles22").cases[0].mask)
    truth, spacing = volume.data > 0, volume.spacing
    prediction = np.roll(truth, 2, axis=0) ^ np.roll(truth, (9, 20, 3), axis=(0, 1, 2))
    got = score(prediction, truth, spacing)
    whole = np.ones((3, 3, 3))
    (real, n_real), (called, n_called) = ndimage.label(truth, whole), ndimage.label(prediction, whole)
    hits = sum(prediction[real == lesion].any() for lesion in range(1, n_real + 1))
    false = sum(not truth[called == lesion].any() for lesion in range(1, n_called + 1))
    assert got.dice == pytest.approx(1 - dissimilarity(truth.ravel(), prediction.ravel()))
    assert got.lesion_f1 == pytest.approx(hits / (hits + (false + n_real - hits) / 2))
    assert got.count_difference == abs(n_real - n_called)
    ml = np.prod(spacing) / 1000
    assert got.volume_difference_ml == pytest.approx(abs(int(truth.sum()) - int(prediction.sum())) * ml)
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (prediction, truth)]
    far = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    there, back = far[1][edges[0]], far[0][edges[1]]
    assert got.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), abs=1e-6)


def test_two_empty_masks_agree() -> None:
    empty = np.zeros((4, 5, 6), dtype=bool)
    got = score(empty, empty, SPACING)
    assert (got.dice, got.lesion_f1, got.surface_dice, got.hd95_mm) == (1, 1, 1, 0)
    assert (got.volume_ml, got.count_difference) == (0, 0)


@pytest.mark.parametrize("swap", [False, True])
def test_one_empty_mask_has_no_distance(swap: bool) -> None:
    empty = np.zeros((4, 5, 6), dtype=bool)
    full = box((4, 5, 6), np.s_[1:3, 1:3, 1:3])
    got = score(full, empty, SPACING) if swap else score(empty, full, SPACING)
    assert (got.dice, got.lesion_f1, got.surface_dice, got.hd95_mm) == (0, 0, 0, None)
    assert got.count_difference == 1


def test_perfect_mask_at_the_border_of_the_volume() -> None:
    mask = box((6, 6, 6), np.s_[0:6, 0:2, 3:6])
    got = score(mask, mask, SPACING)
    assert (got.dice, got.lesion_f1, got.surface_dice, got.hd95_mm) == (1, 1, 1, 0)


def test_voxels_that_touch_by_a_corner_are_one_lesion() -> None:
    diagonal = box((5, 5, 5), np.s_[1:2, 1:2, 1:2], np.s_[2:3, 2:3, 2:3])
    apart = box((5, 5, 5), np.s_[1:2, 1:2, 1:2], np.s_[3:4, 3:4, 3:4])
    assert score(diagonal, diagonal, SPACING).count_difference == 0
    assert score(diagonal, apart, SPACING).count_difference == 1


def test_distance_counts_the_spacing() -> None:
    near, far = box((20, 3, 3), np.s_[2:3, 1:2, 1:2]), box((20, 3, 3), np.s_[6:7, 1:2, 1:2])
    assert score(near, far, (0.5, 1, 1)).hd95_mm == pytest.approx(2.0)
    assert score(near, far, (0.5, 1, 1)).surface_dice == 1  # at exactly the tolerance
    assert score(near, far, (0.6, 1, 1)).surface_dice == 0


def test_masks_on_other_grids_are_refused() -> None:
    with pytest.raises(InputError, match=r"\(4, 4, 4\).*\(4, 4, 5\).*same grid"):
        score(np.zeros((4, 4, 4), bool), np.zeros((4, 4, 5), bool), SPACING)
