"""Augmentation of a batch: movements, changes of intensity, and MR artefacts.

All movements of a sample form one affine map, so an image is interpolated once. Ranges follow the authors' code
(arXiv 2010.02745): rotation 5 degrees, zoom 5 %, shift 2 %, stretch 5 %, shear 3 %, flips. Artefacts are off by default
and are added between movements and intensities (`core.train.artefacts`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from strokereg.core.train.artefacts import Artefacts, add_artefacts, require_libraries
from strokereg.registry.options import parse
from strokereg.registry.specs import Role


class Augmentation(Artefacts):
    """Largest change of each kind, and the share of samples with each artefact; 0 switches it off.

    Args:
        rotate: degrees, about each axis.
        zoom, stretch, shift, shear: as shares of the size.
        flip: mirror left and right in half of the samples.
        gain: factor of the whole image, as a share.
        gamma: exponent of the intensities, as a share.
        shading: ramp of brightness from one side to the other along each axis, as a share.
        noise: standard deviation, in units of the [-1, 1] range.
        blur: share of samples that are smoothed.
    """

    rotate: float = Field(default=5.0, ge=0)
    zoom: float = Field(default=0.05, ge=0, lt=1)
    stretch: float = Field(default=0.05, ge=0, lt=1)
    shift: float = Field(default=0.02, ge=0)
    shear: float = Field(default=0.03, ge=0)
    flip: bool = True
    gain: float = Field(default=0.0, ge=0, lt=1)
    gamma: float = Field(default=0.0, ge=0, lt=1)
    shading: float = Field(default=0.0, ge=0, lt=1)
    noise: float = Field(default=0.0, ge=0)
    blur: float = Field(default=0.0, ge=0, le=1)


#: Movements only, for generators, and for translators, which must learn the true intensities.
MOVEMENTS = Augmentation()
#: For segmenters: movements wider than the paper's, and changes of intensity.
FULL = Augmentation(
    rotate=15.0,
    zoom=0.12,
    stretch=0.08,
    shift=0.05,
    shear=0.05,
    gain=0.15,
    gamma=0.2,
    shading=0.25,
    noise=0.04,
    blur=0.2,
)
_DEFAULTS = {Role.GENERATOR: MOVEMENTS, Role.TRANSLATOR: MOVEMENTS, Role.SEGMENTER: FULL}


def augmentation_of(role: str, changes: Mapping[str, float], owner: str = "--augment") -> Augmentation:
    """The augmentation of a role with the given changes.

    Args:
        owner: the option that error messages name.

    Raises:
        InputError: an unknown kind, a value outside its range, or a library that is not installed.
    """
    augmentation = parse(Augmentation, {**_DEFAULTS[Role(role)].model_dump(), **changes}, owner)
    require_libraries(augmentation, owner)
    return augmentation


def augment(image: Tensor, labels: Tensor, how: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Augment a batch.

    Args:
        image: float32 [N, C, *S] in [-1, 1].
        labels: int64 [N, *S].

    Returns:
        Image and labels of the same shapes; voxels from outside the image are background.
    """
    image, labels = _move(image, labels, how, generator)
    return _shade(add_artefacts(image, how, generator), how, generator), labels


def _move(image: Tensor, labels: Tensor, how: Augmentation, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    dims = labels.ndim - 1
    maps = torch.stack([_affine(dims, how, generator) for _ in range(len(labels))])
    # grid_sample counts coordinates in half edges; anisotropic sizes need the map in voxels.
    edges = torch.tensor(image.shape[:1:-1], dtype=torch.float32)
    maps[:, :, :dims] = maps[:, :, :dims] * edges[None, None, :] / edges[None, :, None]
    places = F.affine_grid(maps, list(image.shape), align_corners=False)
    # grid_sample pads with zeros, so background is shifted from -1 to 0 and back.
    moved = F.grid_sample(image + 1.0, places, mode="bilinear", align_corners=False) - 1.0
    kept = F.grid_sample(labels[:, None].float(), places, mode="nearest", align_corners=False)[:, 0].long()
    return moved, kept


def _affine(dims: int, how: Augmentation, generator: torch.Generator) -> Tensor:
    """One random affine map [dims, dims + 1]; x comes first, as in grid_sample."""

    def draw(limit: float, count: int = 1) -> Tensor:
        return (torch.rand(count, generator=generator) * 2.0 - 1.0) * limit

    linear = torch.eye(dims) * (1.0 + draw(how.zoom)) * (1.0 + draw(how.stretch, dims))
    for a in range(dims):
        for b in range(a + 1, dims):
            angle = float(draw(math.radians(how.rotate)))
            turn = torch.eye(dims)
            turn[a, a] = turn[b, b] = math.cos(angle)
            turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
            lean = torch.eye(dims)
            lean[a, b] = float(draw(how.shear))
            linear = linear @ turn @ lean
    if how.flip and torch.rand((), generator=generator) < 0.5:
        linear[0] = -linear[0]
    return torch.cat([linear, draw(2.0 * how.shift, dims)[:, None]], 1)


def _shade(image: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
    if not (how.gain or how.gamma or how.shading or how.noise or how.blur):
        return image
    count, dims = len(image), image.ndim - 2
    each = (count, *(1,) * (image.ndim - 1))

    def draw(limit: float) -> Tensor:
        return (torch.rand(each, generator=generator) * 2.0 - 1.0) * limit

    signal = (image + 1.0) / 2.0
    inside = signal > 0.01
    if how.blur:
        smooth = (F.avg_pool2d if dims == 2 else F.avg_pool3d)(signal, 3, 1, 1)
        chosen = torch.rand(each, generator=generator) < how.blur
        signal = torch.where(chosen, 0.5 * (signal + smooth), signal)
    signal = signal.clamp(min=1e-6).pow(1.0 + draw(how.gamma)) * (1.0 + draw(how.gain))
    if how.shading:
        for axis in range(2, image.ndim):
            ramp = torch.linspace(-1.0, 1.0, image.shape[axis]).reshape(
                [-1 if a == axis else 1 for a in range(image.ndim)]
            )
            signal = signal * (1.0 + ramp * draw(how.shading))
    if how.noise:
        spread = torch.rand(each, generator=generator) * how.noise / 2.0
        signal = signal + spread * torch.randn(image.shape, generator=generator)
    # Background stays exactly empty, as in the skull-stripped scans.
    return torch.where(inside, signal * 2.0 - 1.0, -1.0).clamp(-1.0, 1.0)
