"""Scoring one case of ISLES'22 size, beside MONAI's Dice, Hausdorff and surface Dice on the same masks.

pytest benchmarks/test_metrics.py --benchmark-group-by=group
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from strokereg.core.evaluate.metrics import score

SHAPE, SPACING = (112, 112, 73), (2.0, 2.0, 2.0)


@pytest.fixture(scope="module", params=[0.002, 0.02], ids=["15 ml", "150 ml"])
def masks(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth: smooth components strewn over the whole brain, so that the box is no help."""
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.normal(size=SHAPE), 4)
    other = field + 0.3 * ndimage.gaussian_filter(rng.normal(size=SHAPE), 4)
    return other > np.quantile(other, 1 - request.param), field > np.quantile(field, 1 - request.param)


@pytest.mark.benchmark(group="score a case")
def test_score(benchmark, masks) -> None:
    metrics = benchmark(score, *masks, SPACING)
    assert 0 < metrics.dice < 1


@pytest.mark.benchmark(group="score a case")
def test_monai(benchmark, masks) -> None:
    import torch
    from monai import metrics

    a, b = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in masks)

    def run() -> float:
        metrics.compute_hausdorff_distance(a, b, include_background=True, percentile=95, spacing=SPACING)
        metrics.compute_surface_dice(a, b, [2.0], include_background=True, spacing=SPACING)
        return float(metrics.compute_dice(a, b).item())

    assert 0 < benchmark(run) < 1
