"""Tissue labels from the map of another tool, such as SynthSeg or FreeSurfer: its codes, merged by a table."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from strokereg.core.cohort.case import Case
from strokereg.core.cohort.labels import TISSUES, LabelTable, read_labels
from strokereg.core.scan.nifti import Volume, find_images
from strokereg.core.simulate.anatomy import SMALLEST_BRAIN_ML, merge_codes, read_codes
from strokereg.registry.errors import InputError


@dataclass(frozen=True)
class Merge:
    """Which code of the other tool becomes which label.

    Attributes:
        table: the resulting labels.
        codes: code → label; other codes become background. None merges FreeSurfer's codes to `TISSUES`.
    """

    table: LabelTable = TISSUES
    codes: Mapping[int, int] | None = None

    @classmethod
    def read(cls, path: Path) -> Merge:
        """Read a table of tab-separated columns `index` (the other tool's code) and `name` (of the label it becomes).

        Raises:
            InputError: not such a table, a code in two rows, or a code that becomes the lesion.
        """
        rows = read_labels(path)
        codes = [code for code, _ in rows]
        twice = sorted({code for code in codes if codes.count(code) > 1})
        if twice:
            raise InputError(f"--label-table {path}: names the code {twice[0]} twice; keep one line of it")
        if any(name == "lesion" for _, name in rows):
            raise InputError(
                f"--label-table {path}: maps a code to 'lesion', which comes from the lesion masks; remove that line"
            )
        tissues = list(dict.fromkeys(name for _, name in rows if name != "background"))
        if not tissues:
            raise InputError(f"--label-table {path}: names no tissue; give lines such as '2<tab>white'")
        table = LabelTable(("background", *tissues, "lesion"))
        return cls(table, {code: table.names.index(name) for code, name in rows})

    def apply(self, codes: np.ndarray) -> np.ndarray:
        """Codes → labels, uint8 of the same shape."""
        if self.codes is None:
            return merge_codes(codes)
        found, place = np.unique(codes, return_inverse=True)
        return np.array([self.codes.get(int(code), 0) for code in found], np.uint8)[place].reshape(codes.shape)


def find_map(folder: Path, name: str) -> Path:
    """The map of a case: `folder/NAME*.nii.gz` or of another format, else FreeSurfer's `folder/NAME/mri/aseg.mgz`.

    Raises:
        InputError: none, or several.
    """
    found = [path for path in find_images(folder, f"{glob.escape(name)}*") if _is_of(path.name, name)]
    aseg = folder / name / "mri" / "aseg.mgz"
    if not found and aseg.is_file():
        found = [aseg]
    if not found:
        raise InputError(f"--maps {folder}: has no map of {name}; add {name}_dseg.nii.gz, or run the tool on that case")
    if len(found) > 1:
        raise InputError(f"--maps {folder}: has {found[0].name} and {found[1].name} for {name}; keep one of them")
    return found[0]


def merge_map(case: Case, path: Path, merge: Merge) -> np.ndarray:
    """Labels on the case's own grid, uint8 [I, J, K], with the lesion on top.

    A map on another grid of the same space is resampled: each voxel takes the label that fills most of it.

    Raises:
        InputError: not a label map, or one that gives less than 200 ml of brain on this grid.
    """
    codes, volume = read_codes(path)
    labels = _resample(merge.apply(codes), volume, case.reference, merge.table.lesion)
    inside = np.count_nonzero(labels) * case.reference.voxel_ml
    if inside < SMALLEST_BRAIN_ML:
        raise InputError(
            f"{path}: gives {inside:.0f} ml of labels on the grid of {case.reference.path}; "
            "give a map in that scan's space, or the right --label-table"
        )
    if case.mask is not None:
        labels[case.mask] = merge.table.lesion
    return labels


def _is_of(filename: str, name: str) -> bool:
    """True if no letter or digit follows the name: sub-1 is not sub-10."""
    return not filename[len(name) : len(name) + 1].isalnum()


def _resample(labels: np.ndarray, source: Volume, target: Volume, count: int) -> np.ndarray:
    if labels.shape == target.data.shape and np.allclose(source.affine, target.affine, atol=1e-3):
        return labels
    matrix = np.linalg.inv(source.affine) @ target.affine
    coarser = np.sqrt((matrix[:3, :3] ** 2).sum(axis=1))
    sigma = np.maximum(0.0, (coarser - 1.0) / 2.0)
    best = np.full(target.data.shape, 1e-6, dtype=np.float32)
    winner = np.zeros(target.data.shape, dtype=np.uint8)
    for label in range(count):
        member = ndimage.gaussian_filter((labels == label).astype(np.float32), sigma)
        share = ndimage.affine_transform(
            member,
            matrix[:3, :3],
            matrix[:3, 3],
            output_shape=target.data.shape,
            order=1,
            mode="grid-constant",  # just beyond the outermost voxels, their values still count
            cval=float(label == 0),
        )
        closer = share > best
        best[closer], winner[closer] = share[closer], label
    return winner
