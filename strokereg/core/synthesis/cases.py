"""Synthetic cases: a training case's tissues + a new lesion, placed inside parenchyma, through a translator.

As in the paper (arXiv 2010.02745), annotations come for free: the mask that went in is the truth that comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from torch import nn

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.roles import device_of, noise
from strokereg.core.scan.box import Box
from strokereg.core.synthesis.placement import SMALLEST, Prior, place_mask
from strokereg.core.train.device import seed_everything
from strokereg.core.train.prepared import PreparedCase, write_prepared
from strokereg.core.train.sampler import cut
from strokereg.registry.errors import RunFailed
from strokereg.registry.problem import Problem

_TRIES = 10  # draws of a mask and of its place before a slice stays without lesion
_UNITS = 16  # slices a forward pass


@dataclass
class Tally:
    """How the drawing of lesions went: masks asked for, drawn again, and given up."""

    lesions: int = 0
    redrawn: int = 0
    given_up: int = 0


@dataclass(frozen=True)
class SynthesisSettings:
    """What synthetic cases are made with.

    Attributes:
        generator, translator: trained networks. Masks of a generator with a true `keeps_place` are not moved.
        stochastic: whether the translator takes noise too.
        table, problem: of both networks.
        prior: where lesions go; see `core.synthesis.placement`.
        lesion_share: share of slices (2D) or volumes (3D) that get a lesion.
    """

    generator: nn.Module
    translator: nn.Module
    stochastic: bool
    table: LabelTable
    problem: Problem
    prior: Prior
    lesion_share: float = 0.5


def remove_lesion(labels: np.ndarray, lesion: int) -> np.ndarray:
    """Fill the lesion of a label map with the nearest tissue, so that another lesion can be put in."""
    with_lesion = np.asarray(labels) == lesion
    if not with_lesion.any():
        return np.array(labels)
    nearest = ndimage.distance_transform_edt(with_lesion | (labels == 0), return_distances=False, return_indices=True)
    filled = np.array(labels)
    filled[with_lesion] = labels[tuple(nearest[:, with_lesion])]
    return filled


@torch.inference_mode()
def synthesize_labels(case: PreparedCase, settings: SynthesisSettings, seed: Sequence[int], tally: Tally) -> np.ndarray:
    """Label maps with new lesions, uint8 [units, *S]: axial slices with brain (2D) or one volume (3D).

    Args:
        case: gives the anatomy, which is mirrored at random.
        seed: of all random numbers drawn here.
        tally: counts lesions, repeated draws and lesions that were given up.

    Raises:
        RunFailed: the generator returns NaN.
    """
    generator, table, problem, prior = settings.generator, settings.table, settings.problem, settings.prior
    rng = np.random.default_rng(list(seed))
    seed_everything(*seed)
    stay = bool(getattr(generator, "keeps_place", False))
    tissue = remove_lesion(case.labels, table.lesion)
    if rng.random() < 0.5:
        tissue = tissue[:, :, ::-1]
    fitted = np.stack([_fit(unit, problem) for unit in (tissue if problem.dims == 2 else tissue[None])])
    box = Box.around(fitted if problem.dims == 2 else fitted[0])
    heights = np.flatnonzero(fitted.reshape(len(fitted), -1).any(axis=1))
    labels = fitted[heights]
    room = np.isin(labels, table.parenchyma)
    waiting = [i for i in range(len(labels)) if room[i].sum() >= SMALLEST and rng.random() < settings.lesion_share]
    tally.lesions += len(waiting)
    for attempt in range(_TRIES):
        if not waiting:
            break
        tally.redrawn += len(waiting) if attempt else 0
        drawn = _finite(generator(noise(generator, len(waiting))), "the generator returned")[:, 0].numpy() > 0
        missed = []
        for i, mask in zip(waiting, drawn, strict=True):
            place = None if stay else prior.draw(rng, box, float(heights[i]) if problem.dims == 2 else None)
            inside = place_mask(mask, room[i], None if place is None else place[-problem.dims :])
            if inside is None:
                missed.append(i)
            else:
                labels[i][inside] = table.lesion
        waiting = missed
    tally.given_up += len(waiting)
    return labels


@torch.inference_mode()
def render(translator: nn.Module, labels: np.ndarray, stochastic: bool) -> np.ndarray:
    """Label maps [units, *S] → images float32 [units, C, *S] in [-1, 1].

    Raises:
        RunFailed: NaN or infinite intensities, on which a segmenter would only fail later and for no reason of its own.
    """
    device = device_of(translator)
    parts = []
    for part in torch.from_numpy(labels.astype(np.int64)).split(_UNITS):
        extra = (noise(translator, len(part)),) if stochastic else ()
        image = _finite(translator(part.to(device), *extra), "the translator returned")
        parts.append(torch.where(part[:, None] == 0, -1.0, image))  # background is empty, as in the scans
    return torch.cat(parts).clamp(-1.0, 1.0).numpy()


def render_case(settings: SynthesisSettings, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Label maps [units, *S] → image [C, Z, Y, X] and labels [Z, Y, X]; 2D units become the slices of a volume."""
    image = render(settings.translator, labels, settings.stochastic)
    return (image.transpose(1, 0, 2, 3), labels) if settings.problem.dims == 2 else (image[0], labels[0])


def write_database(
    folder: Path,
    anatomies: Sequence[PreparedCase],
    settings: SynthesisSettings,
    count: int,
    seed: int,
    on_case: Callable[[int], None] = lambda done: None,
) -> Tally:
    """Write `count` synthetic cases as prepared cases `folder/0000` …; finished ones are kept as they are.

    Args:
        anatomies: give the tissues, each in turn.

    Returns:
        The tally over all cases.
    """
    tally = Tally()
    for index in range(count):
        anatomy = anatomies[index % len(anatomies)]
        labels = synthesize_labels(anatomy, settings, (seed, index), tally)
        place = folder / f"{index:04d}"
        if not place.is_dir():
            write_prepared(place, place.name, *render_case(settings, labels), settings.table.lesion)
        on_case(index + 1)
    return tally


def read_database(folder: Path, lesion: int) -> list[PreparedCase]:
    """The synthetic cases of a finished database."""
    return [PreparedCase(place.name, place, lesion) for place in sorted(folder.glob("[0-9]*")) if place.is_dir()]


def _finite(output: torch.Tensor, who: str) -> torch.Tensor:
    if not output.isfinite().all():
        raise RunFailed(f"{who} NaN or infinite values; look at its losses, lower its learning rate, or train in fp32")
    return output.float().cpu()


def _fit(unit: np.ndarray, problem: Problem) -> np.ndarray:
    return cut(np.zeros((1, *unit.shape), np.float32), unit, (), problem.size)[1]
