"""Augmentation of a batch: movements, changes of intensity, and MR artefacts.

All movements of a sample form one affine map, so an image is interpolated once. Ranges follow the authors' code
(arXiv 2010.02745): rotation 5 degrees, zoom 5 %, shift 2 %, stretch 5 %, shear 3 %, flips. Artefacts are off by default
and are added between movements and intensities (`core.train.artefacts`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from strokereg.core.train.artefacts import Artefacts, add_artefacts, any_artefacts, require_libraries
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

    @property
    def changes_intensity(self) -> bool:
        """Whether anything but movements and artefacts is on."""
        return bool(self.gain or self.gamma or self.shading or self.noise or self.blur)


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


@dataclass(frozen=True)
class Changes:
    """The random numbers that augment one batch, drawn on the CPU, with one row a sample.

    Attributes:
        maps: float32 [N, d, d + 1], affine maps as `affine_grid` takes them.
        artefacts: seed of the artefacts; None where they are off.
        blurred: int64, which samples are smoothed.
        gamma, gain: exponents and factors of the intensities, float32 [N].
        ramps: change of brightness from the middle to the end of each axis, float32 [d, N]; empty without shading.
        noise: standard deviation of the noise, float32 [N]; empty without noise.
        generator: of the noise on the CPU; its seed is that of the noise on other devices too.
        count, part: samples of the whole batch, and which of them these are.
    """

    maps: Tensor
    artefacts: int | None
    blurred: Tensor
    gamma: Tensor
    gain: Tensor
    ramps: Tensor
    noise: Tensor
    generator: torch.Generator
    count: int
    part: slice = field(default_factory=lambda: slice(None))

    def only(self, part: slice) -> Changes:
        """The same for a part of the batch; call it on the CPU, before `on`."""
        own, blurred = range(self.count)[part], self.blurred.tolist()
        return replace(
            self,
            maps=self.maps[part],
            blurred=torch.tensor([own.index(n) for n in blurred if n in own], dtype=torch.int64),
            gamma=self.gamma[part],
            gain=self.gain[part],
            ramps=self.ramps[:, part],
            noise=self.noise[part],
            part=part,
        )

    def on(self, device: torch.device) -> Changes:
        """The same with its tensors on a device, without waiting for the copy."""
        if device.type == "cpu":
            return self
        moved: dict[str, Any] = {}
        for column in fields(self):
            value = getattr(self, column.name)
            if isinstance(value, Tensor):
                moved[column.name] = value.to(device, non_blocking=True)
        return replace(self, **moved)


def draw_changes(how: Augmentation, shape: tuple[int, ...], generator: torch.Generator) -> Changes:
    """Draw what is random for a batch of labels of this shape, apart from the artefacts and noise themselves."""
    count, *size = shape

    def draw(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2.0 - 1.0) * limit

    maps = _maps(how, count, size, generator)
    artefacts = int(torch.randint(2**62, (), generator=generator)) if any_artefacts(how) else None
    blurred = torch.rand(count, generator=generator) < how.blur if how.blur else torch.zeros(count, dtype=torch.bool)
    gamma = gain = noise = torch.zeros(count)
    ramps = torch.zeros(0, count)
    if how.changes_intensity:
        gamma, gain = 1.0 + draw(how.gamma), 1.0 + draw(how.gain)
        ramps = torch.stack([draw(how.shading) for _ in size]) if how.shading else ramps
        noise = torch.rand(count, generator=generator) * how.noise / 2.0 if how.noise else noise
    return Changes(maps, artefacts, blurred.nonzero()[:, 0], gamma, gain, ramps, noise, generator, count)


def apply_changes(image: Tensor, labels: Tensor, how: Augmentation, changes: Changes) -> tuple[Tensor, Tensor]:
    """Augment all samples of a batch at once, on its device.

    A GPU draws other noise than a CPU. Everything else is equal up to rounding, within 1e-4 of the [-1, 1] range;
    labels may differ where a voxel lies midway between two. Artefacts are computed for whole batches on a CPU only.

    Args:
        image: float32 [N, C, *S] in [-1, 1].
        labels: integers [N, *S].
        changes: on the device of the batch.

    Returns:
        Image and labels of the same shapes and types; voxels from outside the image are background.
    """
    places = F.affine_grid(changes.maps, [len(image), 1, *image.shape[2:]], align_corners=False)
    # grid_sample pads with zeros, so background is shifted from -1 to 0 and back.
    moved = F.grid_sample(image + 1.0, places, mode="bilinear", align_corners=False).sub_(1.0)
    if changes.artefacts is not None:
        moved = add_artefacts(moved, how, changes.artefacts)
    return _shade(moved, how, changes), _move_labels(labels, places)


def move_labels(labels: Tensor, changes: Changes) -> Tensor:
    """The labels of `apply_changes` alone."""
    return _move_labels(labels, F.affine_grid(changes.maps, [len(labels), 1, *labels.shape[1:]], align_corners=False))


def _move_labels(labels: Tensor, places: Tensor) -> Tensor:
    moved = F.grid_sample(labels[:, None].float(), places, mode="nearest", align_corners=False)
    return moved[:, 0].to(labels.dtype)


def _maps(how: Augmentation, count: int, size: Sequence[int], generator: torch.Generator) -> Tensor:
    """Random affine maps [count, d, d + 1], x first. Each sample takes its numbers in turn."""
    dims = len(size)
    pairs = [(a, b) for a in range(dims) for b in range(a + 1, dims)]
    drawn = torch.rand(count, 1 + dims + 2 * len(pairs) + how.flip + dims, generator=generator)
    spread = iter((drawn * 2.0 - 1.0).T)
    factor = 1.0 + next(spread) * how.zoom
    linear = torch.diag_embed(torch.stack([factor * (1.0 + next(spread) * how.stretch) for _ in range(dims)], 1))
    for a, b in pairs:
        angle, shear = next(spread) * math.radians(how.rotate), next(spread) * how.shear
        turn = torch.eye(dims).repeat(count, 1, 1)
        turn[:, a, a] = turn[:, b, b] = angle.cos()
        turn[:, a, b], turn[:, b, a] = -angle.sin(), angle.sin()
        lean = torch.eye(dims).repeat(count, 1, 1)
        lean[:, a, b] = shear
        linear = linear @ turn @ lean
    if how.flip:
        linear[:, 0] *= torch.where(next(spread) < 0.0, -1.0, 1.0)[:, None]
    # affine_grid counts coordinates in half edges; anisotropic sizes need the map in voxels.
    edges = torch.tensor(size[::-1], dtype=torch.float32)
    linear = linear * edges[None, None, :] / edges[None, :, None]
    shift = torch.stack([next(spread) * 2.0 * how.shift for _ in range(dims)], 1)
    return torch.cat([linear, shift[:, :, None]], 2)


def _shade(image: Tensor, how: Augmentation, changes: Changes) -> Tensor:
    if not how.changes_intensity:
        return image

    def each(values: Tensor) -> Tensor:
        return values.reshape(-1, *(1,) * (image.ndim - 1))

    signal = (image + 1.0) / 2.0
    inside = signal > 0.01
    if len(changes.blurred):  # known on the CPU, so nothing waits for a GPU
        chosen = signal.index_select(0, changes.blurred)
        smooth = (F.avg_pool2d if image.ndim == 4 else F.avg_pool3d)(chosen, 3, 1, 1)
        signal.index_copy_(0, changes.blurred, 0.5 * (chosen + smooth))
    signal.clamp_(min=1e-6).pow_(each(changes.gamma)).mul_(each(changes.gain))
    for axis, values in enumerate(changes.ramps, start=2):
        ramp = torch.linspace(-1.0, 1.0, image.shape[axis], device=image.device)
        ramp = ramp.reshape([-1 if a == axis else 1 for a in range(image.ndim)])
        signal *= 1.0 + ramp * each(values)
    if how.noise:
        signal += each(changes.noise) * _noise(signal, changes)
    # Background stays exactly empty, as in the skull-stripped scans.
    return torch.where(inside, signal.mul_(2.0).sub_(1.0), -1.0).clamp_(-1.0, 1.0)


def _noise(signal: Tensor, changes: Changes) -> Tensor:
    """Standard normal noise, drawn for the whole batch, so that it does not depend on the number of processes."""
    device = signal.device
    generator = (
        changes.generator if device.type == "cpu" else device_generator(device, changes.generator.initial_seed())
    )
    return torch.randn(changes.count, *signal.shape[1:], generator=generator, device=device)[changes.part]


def device_generator(device: torch.device, seed: int) -> torch.Generator:
    """A seeded generator of a device."""
    return torch.Generator(device).manual_seed(seed)
