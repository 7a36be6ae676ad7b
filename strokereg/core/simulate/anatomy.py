"""An anatomy: the tissue labels of a head, from a FreeSurfer-coded label map or from the built-in MNI152 maps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.scan.box import extent, inner_extent
from strokereg.core.scan.nifti import Volume, read_volume
from strokereg.registry.errors import InputError

BACKGROUND, CSF, VENTRICLE, CORTEX, DEEP, WHITE, LESION = range(TISSUES.count)
PARENCHYMA = (CORTEX, DEEP, WHITE)
#: What lies outside the brain, in `Anatomy.head`; 0 is air and the brain itself.
SOFT, SKIN, BONE, MARROW, EYE, MUSCLE, MUCOSA, VESSEL = range(1, 9)

#: Extent of the middle 99 % of the parenchyma of MNI152 in mm along R, A, S: [low, high] × 3.
MNI_BOX = np.array([[-66.0, -99.0, -59.0], [66.0, 66.0, 74.0]])

# FreeSurfer's colour table, merged. All other codes (skull, eyes, vessels, choroid) are background.
_CODES = {
    CSF: (24, 122, 257),
    VENTRICLE: (4, 5, 14, 15, 43, 44, 72, 213, 221, 31, 63),
    CORTEX: (3, 42, 8, 47, 17, 53, 18, 54, 136, 137, 163, 164, 19, 20, 55, 56),
    DEEP: (10, 49, 9, 48, 11, 50, 12, 51, 13, 52, 26, 58, 28, 60),
    WHITE: (2, 41, 7, 46, 16, 85, 77, 78, 79, 80, 251, 252, 253, 254, 255),
}
# Codes outside the brain, as in the label maps of SynthSeg.
_HEAD_CODES = {SOFT: 507, SKIN: 511, BONE: 515, MARROW: 516, EYE: 506, MUSCLE: 508, MUCOSA: 509, VESSEL: 502}
_HEAD_STEP = 2  # the head is kept at every second voxel
#: Smallest volume of a brain; anything smaller counts as wrong input.
SMALLEST_BRAIN_ML = 200.0


@dataclass(frozen=True)
class Anatomy:
    """Tissue labels on canonical axes, cropped to the brain.

    Attributes:
        labels: uint8 [X, Y, Z] along R, A, S; values of `core.cohort.labels.TISSUES` without the lesion.
        spacing: voxel edges in mm.
        box: extent of the middle 99 % of the parenchyma, in mm from the first voxel's centre: [low, high] × 3.
        head: uint8 [X, Y, Z], what lies outside the brain (`SOFT` … `VESSEL`), on a coarser grid of the whole head;
            None if the label map shows the brain only.
        head_corner: place of the first voxel's centre of `head`, in mm from that of `labels`.
    """

    labels: np.ndarray
    spacing: np.ndarray
    box: np.ndarray
    head: np.ndarray | None = None
    head_corner: np.ndarray = field(default_factory=lambda: np.zeros(3))

    @property
    def centre(self) -> np.ndarray:
        """Centre of the brain in mm, the pivot of every pose."""
        return self.box.mean(axis=0)

    @property
    def volume_ml(self) -> float:
        """Volume of the brain, including fluid."""
        return float(np.count_nonzero(self.labels) * self.spacing.prod()) / 1000.0

    def to_mni(self, points: np.ndarray) -> np.ndarray:
        """Points [3, …] in mm of this anatomy → approximate MNI mm, by the brain's extent along each axis."""
        ratio = (MNI_BOX[1] - MNI_BOX[0]) / (self.box[1] - self.box[0])
        offset = MNI_BOX[0] - self.box[0] * ratio
        axes = (3,) + (1,) * (points.ndim - 1)
        return points * ratio.astype(np.float32).reshape(axes) + offset.astype(np.float32).reshape(axes)

    def tissue_at(self, points: np.ndarray) -> np.ndarray:
        """Nearest tissue label at points [3, N] in mm; background outside the map."""
        return _nearest(self.labels, self.spacing, points)

    def head_at(self, points: np.ndarray) -> np.ndarray:
        """What lies outside the brain at points [3, N] in mm; 0 for air, the brain, and maps that show nothing else."""
        if self.head is None:
            return np.zeros(points.shape[1], dtype=np.uint8)
        apart = points - self.head_corner.astype(np.float32)[:, None]
        return _nearest(self.head, self.spacing * _HEAD_STEP, apart)


def _nearest(labels: np.ndarray, spacing: np.ndarray, points: np.ndarray) -> np.ndarray:
    index = np.zeros(points.shape[1], dtype=np.intp)
    outside = np.zeros(points.shape[1], dtype=bool)
    for axis, size in enumerate(labels.shape):
        step = np.rint(points[axis] / np.float32(spacing[axis])).astype(np.intp)
        outside |= (step < 0) | (step >= size)
        index = index * size + np.clip(step, 0, size - 1)
    found = labels.ravel()[index]
    found[outside] = BACKGROUND
    return found


@lru_cache(maxsize=32)
def load_anatomy(path: Path | None) -> Anatomy:
    """Read a label map with FreeSurfer codes (aseg, aparc+aseg, SynthSeg), or make the built-in head for None.

    Raises:
        InputError: unreadable, fractional values, or codes that give no brain.
    """
    if path is None:
        return _crop(*_mni152())
    codes, volume = read_codes(path)
    labels = merge_codes(codes)
    held = np.bincount(labels.ravel(), minlength=LESION)[list(PARENCHYMA)].sum() * volume.voxel_ml
    if held < SMALLEST_BRAIN_ML:
        raise InputError(
            f"{path}: its codes give {held:.0f} ml of brain tissue; give label maps with FreeSurfer codes "
            "(2/41 white matter, 3/42 cortex, 4/43 ventricle, …)"
        )
    image = nib.as_closest_canonical(nib.Nifti1Image(labels, volume.affine))  # type: ignore
    spacing = np.array(image.header.get_zooms()[:3], dtype=float)  # type: ignore
    anatomy = _crop(np.asarray(image.dataobj), spacing)
    anatomy.labels[_gaps(anatomy.labels > 0)] = WHITE
    outer = np.zeros(int(codes.max()) + 1, dtype=np.uint8)
    for tissue, code in _HEAD_CODES.items():
        outer[code : code + 1] = tissue
    turned = nib.as_closest_canonical(nib.Nifti1Image(outer[codes], volume.affine))  # type: ignore
    return _with_head(anatomy, np.asarray(image.dataobj), np.asarray(turned.dataobj))


def read_codes(path: Path) -> tuple[np.ndarray, Volume]:
    """Codes of a label map, int32 [X, Y, Z], and the volume that they come from.

    Raises:
        InputError: unreadable, or values that are negative or fractional.
    """
    volume = read_volume(path)
    codes = volume.data.astype(np.int32)
    if codes.min() < 0 or not (codes == volume.data).all():
        raise InputError(f"{path}: not a label map (fractional or negative values); give a segmentation")
    return codes, volume


def _gaps(brain: np.ndarray) -> np.ndarray:
    """Holes that are closed in at least two slice directions: vessels and old lesions, coded as no brain."""
    closed = np.zeros(brain.shape, dtype=np.uint8)
    for axis in range(3):
        plane = ndimage.generate_binary_structure(3, 1)
        plane[tuple(slice(None, None, 2) if a == axis else 1 for a in range(3))] = False
        closed += ndimage.binary_fill_holes(brain, plane)
    return (closed >= 2) & ~brain


def merge_codes(codes: np.ndarray) -> np.ndarray:
    """FreeSurfer codes → tissue labels, including cortical parcels (1000–2999) and white-matter parcels (3000–4999)."""
    lookup = np.zeros(max(5003, int(codes.max()) + 1), dtype=np.uint8)
    lookup[1000:3000], lookup[3000:5003] = CORTEX, WHITE
    for tissue, members in _CODES.items():
        lookup[list(members)] = tissue
    return lookup[codes]


def _crop(labels: np.ndarray, spacing: np.ndarray) -> Anatomy:
    inner = np.ascontiguousarray(labels[tuple(slice(low, high + 1) for low, high in extent(labels > 0))])
    box = inner_extent(np.isin(inner, PARENCHYMA)) * spacing
    return Anatomy(inner, np.asarray(spacing, dtype=float), box)


def _with_head(anatomy: Anatomy, labels: np.ndarray, head: np.ndarray) -> Anatomy:
    """Add the head, if the map shows one."""
    if not (head == BONE).any():
        return anatomy
    where = extent(head > 0)
    corner = (where[:, 0] - extent(labels > 0)[:, 0]) * anatomy.spacing
    inner = head[tuple(slice(low, high + 1, _HEAD_STEP) for low, high in where)]
    return replace(anatomy, head=np.ascontiguousarray(inner), head_corner=corner)


def _mni152() -> tuple[np.ndarray, np.ndarray]:
    """Tissues of the MNI152 template that nilearn ships: by the larger probability, then by simple geometry."""
    grey_image = _template("gm")
    grey, white, brain = (np.asarray(image.dataobj) for image in (grey_image, _template("wm"), _template("t1")))
    brain = brain > 0.2
    brain = (brain | (grey + white > 0.5)) & ndimage.binary_dilation(grey + white > 0.3, iterations=4)
    brain = ndimage.binary_fill_holes(ndimage.binary_opening(brain, iterations=3))
    # The template is an average of many heads, which blurs narrow sulci away; doubling the fluid's share opens them.
    fluid = 2.0 * np.clip(1.0 - grey - white, 0.0, 1.0)
    labels = np.full(grey.shape, CSF, dtype=np.uint8)
    labels[(grey >= white) & (grey > fluid)] = CORTEX
    labels[(white > grey) & (white > fluid)] = WHITE
    corner = np.asarray(grey_image.affine)[:3, 3]
    x, y, z = np.ogrid[: grey.shape[0], : grey.shape[1], : grey.shape[2]]
    x, y, z = x + corner[0], y + corner[1], z + corner[2]
    # Thalamus, striatum and pallidum: grey matter in a box that ends before the insula and the cingulum.
    core = (abs(x) < 32) & (y > -34) & (y < 24) & (z > -10) & (z < 20)
    labels[core & (labels == CORTEX)] = DEEP
    # Ventricles: fluid that is connected with the lateral ventricles and lies in the middle of the brain.
    middle = (abs(x) < 38) & (y > -56) & (y < 38) & (z > -48) & (z < 34) & ((z > -2) | (abs(x) < 8))
    pieces, _ = ndimage.label((labels == CSF) & brain & middle)
    at = [int(v) for v in np.round(np.array((12.0, -22.0, 22.0)) - corner)]
    near = pieces[at[0] - 8 : at[0] + 9, at[1] - 12 : at[1] + 13, at[2] - 8 : at[2] + 9]
    labels[pieces == np.bincount(near[near > 0]).argmax()] = VENTRICLE
    labels[~brain] = BACKGROUND
    return labels, np.ones(3)


def _template(kind: str) -> nib.Nifti1Image:
    """One of nilearn's MNI152 maps at 1 mm, scaled to 0 … 1: `gm`, `wm` or the skull-stripped `t1`."""
    package = find_spec("nilearn")
    name = f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"
    path = Path(package.origin).parent / "datasets" / "data" / name if package and package.origin else Path(name)
    if path.is_file():  # read directly: importing nilearn.datasets takes longer than all the rest
        image = nib.load(path)  # type: ignore[attr-defined]
        data = np.asarray(image.dataobj, dtype=np.float32)  # type: ignore[attr-defined]
        return nib.Nifti1Image(data / data.max(), image.affine)  # type: ignore
    from nilearn import datasets

    load = {"gm": "load_mni152_gm_template", "wm": "load_mni152_wm_template", "t1": "load_mni152_template"}[kind]
    return getattr(datasets, load)(resolution=1)
