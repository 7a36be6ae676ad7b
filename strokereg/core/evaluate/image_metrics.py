"""How similar synthetic images are to real ones: in pairs where the true image is known, and as sets of features.

Images lie in [-1, 1], where -1 is no signal (see `core.scan.scaling`), so that x + 1 is proportional to the signal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import linalg
from scipy.spatial.distance import cdist
from torch import nn

from strokereg.core.roles import device_of
from strokereg.core.train.device import units_at_once

_RANGE = 2.0  # from -1 to 1
_PARTS = 4  # along each axis of a volume
_LEAST_BRAIN = 0.25  # share of a part of a volume that must be brain


def ssim(image: np.ndarray, truth: np.ndarray, brain: np.ndarray) -> float:
    """Structural similarity (Wang 2004), mean over brain voxels and channels.

    Args:
        image, truth: float32 [C, *S] in [-1, 1]; edges of at least 7 voxels.
        brain: bool [*S], not empty. The background is left out, because it is the same in both images.
    """
    from skimage.metrics import structural_similarity

    maps = [
        structural_similarity(a, b, data_range=_RANGE, full=True, gaussian_weights=True, sigma=1.0)[1][brain].mean()
        for a, b in zip(image, truth, strict=True)
    ]
    return float(np.mean(maps))


def psnr(image: np.ndarray, truth: np.ndarray, brain: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over brain voxels; arguments as in `ssim`."""
    error = float(np.square(image - truth, dtype=np.float64)[:, brain].mean())
    return float(10.0 * np.log10(_RANGE**2 / max(error, 1e-12)))


def lesion_contrast(image: np.ndarray, labels: np.ndarray, lesion: int) -> float | None:
    """Mean signal in the lesion over mean signal in the rest of the brain, first channel; None without a lesion.

    Args:
        image: float32 [C, *S] in [-1, 1].
        labels: [*S]; 0 is background.
    """
    inside, rest = labels == lesion, (labels > 0) & (labels != lesion)
    if not inside.any() or not rest.any():
        return None
    signal = image[0].astype(np.float64) + 1.0
    return float(signal[inside].mean() / max(signal[rest].mean(), 1e-6))


class Features(NamedTuple):
    """Features that a network extracts from images.

    Attributes:
        rows: features, float64 [R, F]; one row per image, or one for each part of a volume.
        places: int [R], the part of the volume that each row describes; 0 for complete images.
    """

    rows: np.ndarray
    places: np.ndarray


@torch.inference_mode()
def deep_features(segmenter: nn.Module, images: np.ndarray, brain: np.ndarray | None = None) -> Features:
    """Features of images: outputs of one convolution of a segmenter, averaged over space.

    A network trained on the clinical images describes scans better than one trained on photographs. The outputs are
    taken before normalisation, which would make each mean a constant.

    Args:
        images: float32 [N, C, *S] in [-1, 1].
        brain: bool [N, *S], to measure the quality of images: the last convolution at half the resolution, averaged
            over the brain. It responds to texture and sharpness. Coarser ones respond to the outline and the lesion,
            which are the same in true and synthetic images. Volumes are few, so each gives one row for each of up to
            4 x 4 x 4 parts that are at least one quarter brain.
            None, to recognise images: the coarsest convolution, averaged over the complete image.
    """
    dims = images.ndim - 2
    parted = brain is not None and dims == 3
    least = 0 if brain is None else images[0, 0].size // 2**dims
    seen: list[torch.Tensor] = []
    coarser = False

    def watch(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal coarser  # later convolutions belong to the decoder
        voxels = output[0, 0].numel()
        coarser = coarser or voxels < least
        if not seen or (not coarser and voxels <= seen[0][0, 0].numel()):
            seen[:] = [output]

    convolutions = [m for m in segmenter.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d))]
    hooks = [module.register_forward_hook(watch) for module in convolutions]
    weights = np.ones((len(images), *images.shape[2:]), np.float32) if brain is None else brain.astype(np.float32)
    pairs = (
        torch.from_numpy(np.array(each)).split(units_at_once(images.shape[2:])) for each in (images, weights)
    )  # copies: may be read-only
    found = []
    try:
        for batch, weight in zip(*pairs, strict=True):
            seen.clear()
            coarser = False
            segmenter(batch.to(device_of(segmenter)))
            found.append(_means(seen[0].to(_exact(seen[0])), weight[:, None].to(seen[0].device), parted))
    finally:
        for hook in hooks:
            hook.remove()
    return Features(*(np.concatenate(each) for each in zip(*found, strict=True)))


def _exact(values: torch.Tensor) -> torch.dtype:
    """The type to average in: float64 on the CPU only, since GPUs are slow with it and MPS has none."""
    return torch.float64 if values.device.type == "cpu" else torch.float32


def _means(features: torch.Tensor, weight: torch.Tensor, parted: bool) -> Features:
    """Weighted means of features [N, F, *s] over space, or over parts of volumes.

    Args:
        weight: [N, 1, *S], the brain on the grid of the images.
        parted: average over parts, and leave out parts that hold little brain.
    """
    pool: Callable[..., torch.Tensor] = F.adaptive_avg_pool2d if features.ndim == 4 else F.adaptive_avg_pool3d
    weight = pool(weight.to(features.dtype), features.shape[2:])
    parts = tuple(min(_PARTS, n) for n in features.shape[2:]) if parted else (1,) * (features.ndim - 2)
    share = pool(weight, parts)
    means = pool(features * weight, parts) / share.clamp(min=1e-9)
    rows, kept = means.flatten(2).movedim(1, 2).flatten(0, 1), share.flatten() >= _LEAST_BRAIN
    places = torch.arange(share[0].numel()).repeat(len(share))
    if not parted or not kept.any():
        kept = torch.ones_like(kept)
    return Features(rows[kept].cpu().double().numpy(), places[kept.cpu()].numpy())


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two normal distributions fitted to features [N, F] and [M, F] (Heusel 2017, equation 6).

    NaN if one has fewer than two rows.
    """
    if min(len(a), len(b)) < 2:
        return float("nan")
    means, spreads = zip(*((x.mean(0), np.atleast_2d(np.cov(x, rowvar=False))) for x in (a, b)), strict=True)
    # tr((AB)^½) from the eigenvalues of AB, which are real and not negative except for rounding.
    cross = np.sqrt(np.clip(linalg.eigvals(spreads[0] @ spreads[1]).real, 0.0, None)).sum()
    apart = np.square(means[0] - means[1]).sum()
    return float(max(0.0, apart + np.trace(spreads[0]) + np.trace(spreads[1]) - 2.0 * cross))


def kernel_distance(a: np.ndarray, b: np.ndarray, cases: tuple[np.ndarray, np.ndarray] | None = None) -> float:
    """Squared maximum mean discrepancy, cubic kernel, unbiased (Binkowski 2018, equation 4); may fall below zero.

    Args:
        a, b: features [N, F] and [M, F].
        cases: number of the case of each row, [N] and [M]. Pairs of rows from the same case are left out: they are
            similar for that reason alone, and would give equal sets a distance other than 0.
    """
    return kernel_distances(a, b, cases or (np.arange(len(a)), len(a) + np.arange(len(b))), len(a) + len(b))[0]


def kernel_distances(
    a: np.ndarray, b: np.ndarray, cases: tuple[np.ndarray, np.ndarray], count: int
) -> tuple[float, np.ndarray]:
    """`kernel_distance` over all cases, and [count] without each of them, from one set of kernel values.

    NaN where no two rows of a set are of different cases.
    """

    def means(x: np.ndarray, y: np.ndarray, of_x: np.ndarray, of_y: np.ndarray) -> np.ndarray:
        used = of_x[:, None] != of_y[None]
        kernel = np.where(used, (x @ y.T / x.shape[1] + 1.0) ** 3, 0.0)

        def without(pairs: np.ndarray) -> np.ndarray:  # the sum over all pairs, then without those of each case
            rows = np.bincount(of_x, pairs.sum(1), count)
            return pairs.sum() - np.append(0.0, rows + np.bincount(of_y, pairs.sum(0), count))

        with np.errstate(divide="ignore", invalid="ignore"):
            return without(kernel) / without(used)

    of_a, of_b = cases
    with np.errstate(invalid="ignore"):
        found = means(a, a, of_a, of_a) + means(b, b, of_b, of_b) - 2.0 * means(a, b, of_a, of_b)
    return float(found[0]), found[1:]


def precision_recall(synthetic: np.ndarray, real: np.ndarray, neighbours: int = 3) -> tuple[float, float]:
    """Share of synthetic features among real ones, and of real among synthetic ones (Kynkäänniemi 2019, equation 2).

    The region of a set is the union of balls around its members. The radius of a ball is the distance to the k-th
    nearest other member.
    """

    def covered(points: np.ndarray, region: np.ndarray) -> float:
        reach = np.sort(cdist(region, region), axis=1)[:, min(neighbours, len(region) - 1)]
        return float((cdist(points, region) <= reach[None]).any(axis=1).mean())

    return covered(synthetic, real), covered(real, synthetic)
