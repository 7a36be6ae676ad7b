"""`mask-library`: real masks from a folder in MNI space, warped. Untrained; it needs no masks of the training cases.

Public lesion masks (such as the 1,149 of SOOP) are mapped onto the network grid by the extent of the brain in the first
training batches, linearly along each axis, as the simulator maps them into a head. Head tilt is ignored. From volumes,
a 2D network takes slices. A slice in MNI space gets masks of its own height, which stay where they lie, apart from the
warp (`for_heights`). So do masks that are single slices. Other masks come from every height, and the study decides
where they are placed (`core.synthesis.placement`). The masks are stored in the weights, so a finished run does not need
the folder.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from strokereg.core.roles import Batch, Move, Player
from strokereg.core.simulate.lesions import MniLesion, load_lesion, place_lesion
from strokereg.core.simulate.plan import list_sources
from strokereg.plugins.blocks.mask_bank import MaskBank, WarpOptions
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem

_NEAR, _FEWEST = 6.0, 8  # mm between heights that count as one, and masks to choose from at least
#: Extent of the middle 99 % of the MNI152 brain with its fluid, in mm along R, A, S: [low, high] × 3.
_MNI_BRAIN = np.array([[-67.0, -100.0, -61.0], [67.0, 66.0, 75.0]])


class MaskLibrary(MaskBank):
    """Noise z [N, Z] → lesion mask logits [N, 1, *S] of the size it was built for."""

    class Options(WarpOptions):
        """Args:
        folder: folder of NIfTI lesion masks in MNI space, on any grid.
        without: names of files that are not used, because test cases were made from them.
        heights: MNI heights in mm at which a 2D network takes slices from volumes; any height if empty.
        looks: number of training batches to average the brain's extent over; in 3D they must show whole brains.
        """

        folder: str = ""
        without: tuple[str, ...] = ()
        heights: tuple[float, ...] = ()
        looks: int = Field(default=8, ge=1)

    def __init__(self, problem: Problem, options: Options):
        super().__init__(problem, options)
        if not options.folder:
            raise InputError("mask-library: needs a folder of lesion masks in MNI space; give it with --set folder=DIR")
        self.folder, self.looks = options.folder, options.looks
        self.wanted = np.array(options.heights)
        self.register_buffer("boxes", torch.zeros(options.looks, 2, problem.dims))
        self.register_buffer("looked", torch.zeros((), dtype=torch.int64))
        self.register_buffer("slices", torch.zeros((), dtype=torch.bool))
        self.register_buffer("mm", torch.zeros(options.bank))  # MNI height of each mask

    @property
    def keeps_place(self) -> bool:
        """True if the masks lie where lesions lie, so that the study leaves them there."""
        return bool(self.slices)

    def players(self) -> dict[str, Player]:
        return {}

    def moves(self, batch: Batch) -> Iterator[Move]:
        listed = list_sources(self.folder, "mask-library: option folder")
        files = [path for path in listed if path.name not in self.options.without]
        self.looked += 1
        looked = int(self.looked)
        self.boxes[looked - 1] = torch.from_numpy(extent(batch.labels.cpu().numpy() > 0))
        if looked == self.looks:
            rng = np.random.default_rng(int(torch.randint(2**62, ())))
            points = self._mni_points(self.boxes.cpu().double().mean(0).numpy())
            lesions = self._choose([files[number] for number in rng.permutation(len(files))])
            self.slices.fill_(all(lesion.is_slice for lesion in lesions))
            for slot, lesion in enumerate(lesions):
                mask, self.mm[slot] = self._bring(rng, lesion, points)
                self.keep(mask.to(self.masks.device))
        yield from ()

    def for_heights(self, z: Tensor, heights: Tensor) -> Tensor:
        """Return the noise with its first component, the choice of the mask, set to masks of these heights.

        Args:
            z: [N, Z].
            heights: MNI height in mm of each slice, [N]. Masks within 6 mm are eligible, at least the eight nearest.
        """
        held = int(self.held)
        apart = (self.mm[:held].to(heights) - heights[:, None]).abs()
        order = apart.argsort(dim=1, stable=True)
        eligible = (apart <= _NEAR).sum(1).clamp(min=min(_FEWEST, held))
        chance = 0.5 * (1.0 + torch.erf(z[:, 0].to(heights) / math.sqrt(2.0)))
        chosen = order.gather(1, torch.minimum((chance * eligible).long(), eligible - 1)[:, None])[:, 0]
        asked = z.clone()
        asked[:, 0] = math.sqrt(2.0) * torch.erfinv((2.0 * chosen + 1.0) / held - 1.0).to(z)
        return asked

    def _choose(self, files: list[Path]) -> list[MniLesion]:
        """The lesions of the first files that fill the bank, without those that no wanted height shows."""
        lesions: list[MniLesion] = []
        for path in files:
            lesion = load_lesion(path)
            if len(self._planes(lesion)):
                lesions.append(lesion)
            if len(lesions) == len(self.masks):
                break
        if not lesions:
            shown = ", ".join(f"{height:.0f}" for height in sorted(set(self.wanted)))
            raise InputError(
                f"mask-library: option folder {self.folder}: none of its masks shows a lesion at the height of a "
                f"training slice (z = {shown} mm); give masks of other lesions"
            )
        return lesions

    def _planes(self, lesion: MniLesion) -> np.ndarray:
        """Axial planes from which a 2D network may take a slice, as fractional indices."""
        shown = lesion.density.max((0, 1))
        if lesion.is_slice or self.problem.dims == 3 or not len(self.wanted):
            return np.flatnonzero(shown >= min(0.5, shown.max()))
        planes = (self.wanted - lesion.corner[2]) / lesion.spacing[2]
        inside = (planes >= 0) & (planes <= len(shown) - 1)
        return planes[inside][shown[np.rint(planes[inside]).astype(int)] >= 0.5]

    def _mni_points(self, box: np.ndarray) -> np.ndarray:
        """MNI coordinates in mm of the voxels, float32 [3, X, Y, Z], from the extent of the brain in voxels (x, y, z).

        In 2D there is one plane; `_bring` sets its height.
        """
        axes = [np.arange(n, dtype=np.float64) for n in self.problem.size[::-1]]
        low, high = _MNI_BRAIN[:, : len(axes)]
        for axis, line in enumerate(axes):
            ratio = (high[axis] - low[axis]) / max(box[1, axis] - box[0, axis], 1.0)
            axes[axis] = low[axis] + (line - box[0, axis]) * ratio
        axes += [np.zeros(1)] * (3 - len(axes))
        return np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)

    def _bring(self, rng: np.random.Generator, lesion: MniLesion, points: np.ndarray) -> tuple[Tensor, float]:
        """One mask [1, 1, *S] on the network grid, in 2D at a height that shows the lesion, and that height in mm."""
        height = float(lesion.corner[2])
        if self.problem.dims == 3 and lesion.is_slice:
            raise InputError(
                f"mask-library: option folder {self.folder}: holds single slices, but the network is 3D; give masks of "
                "the whole brain"
            )
        if self.problem.dims == 2:
            plane = rng.choice(self._planes(lesion))
            points = points.copy()
            points[2] = height = lesion.corner[2] + plane * lesion.spacing[2] + rng.normal(0, 0.5)
        mask = place_lesion(rng, lesion, points, np.ones(points.shape[1:], dtype=bool)).transpose(2, 1, 0)
        return torch.from_numpy(mask[0] if self.problem.dims == 2 else mask)[None, None].float(), float(height)


def extent(brains: np.ndarray) -> np.ndarray:
    """Extent of the brain in voxels, [low, high] × (x, y[, z]): the mean over brain masks, bool [N, *S].

    In 2D most slices show less than the full extent, so the outermost 10 % of the slices are used.
    """
    dims = brains.ndim - 1
    boxes = []
    for brain in brains[brains.reshape(len(brains), -1).any(1)]:
        box = np.empty((2, dims))
        for axis in range(dims):
            share = np.cumsum(brain.sum(tuple(b for b in range(dims) if b != axis)), dtype=float)
            box[:, dims - 1 - axis] = np.searchsorted(share / share[-1], (0.005, 0.995))
        boxes.append(box)
    if not boxes:
        return np.array([[0.0] * dims, [n - 1.0 for n in brains.shape[:0:-1]]])
    stacked = np.stack(boxes)
    if dims == 2:
        return np.stack([np.quantile(stacked[:, 0], 0.1, axis=0), np.quantile(stacked[:, 1], 0.9, axis=0)])
    return stacked.mean(0)
