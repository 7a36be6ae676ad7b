"""Where a mask library comes from: a folder, the package, or the training cases of the cohort itself."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.embedded import unpack
from strokereg.core.scan.box import inner_extent
from strokereg.core.scan.nifti import read_volume, write_volume
from strokereg.core.simulate.anatomy import MNI_BOX
from strokereg.core.storage.cache import digest, file_digest
from strokereg.core.storage.files import write_text
from strokereg.registry.errors import InputError

#: Names that stand for a folder: all training cases of the cohort, and the package's own masks.
OF_COHORT, EMBEDDED = "cohort", "embedded"
NAMES = (OF_COHORT, EMBEDDED)
_FORMAT = 1  # part of the key


def embedded_masks(cache: Path) -> Path:
    """The folder of the masks that the package brings: slices at z = 18 mm of 300 SOOP patients."""
    return unpack(cache / "cohorts").masks


def cohort_masks(cases: Sequence[CaseFiles], cache: Path) -> Path:
    """Write the lesion masks of cases into a folder, in MNI space, without resampling them.

    A mask of a scan in MNI space stays as it is. In others, the box of the brain is mapped onto that of the MNI152
    brain, linearly along each axis; the height of a single slice is then unknown and set to 0.

    Args:
        cases: with label maps and masks; those without a lesion are left out.
        cache: the folder is made in it once, by content.

    Returns:
        A folder with one file for each case with a lesion, named like the case.

    Raises:
        InputError: no case has a lesion.
    """
    having = [case for case in cases if case.mask is not None and case.dseg is not None]
    key = digest(
        [_FORMAT, *([c.name, *(file_digest(path, cache) for path in (c.mask, c.dseg) if path)] for c in having)]
    )
    folder = cache / "masks" / key[:32]
    folder.mkdir(parents=True, exist_ok=True)
    complete = folder / "complete"  # written last
    if not complete.is_file():
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda case: _write(case, folder), having))
        write_text(complete, "")
    if not any(folder.glob("*.nii.gz")):
        raise InputError("--mask-library cohort: no training case has a lesion; give a folder of masks")
    return folder


def _write(case: CaseFiles, folder: Path) -> None:
    assert case.mask is not None
    assert case.dseg is not None
    mask = read_volume(case.mask)
    if not np.any(mask.data):
        return
    turn = nib.orientations.io_orientation(mask.affine)
    data = nib.orientations.apply_orientation((mask.data > 0).astype(np.uint8), turn)
    affine = mask.affine @ nib.orientations.inv_ornt_aff(turn, mask.data.shape)
    if not mask.in_mni:
        brain = nib.orientations.apply_orientation(read_volume(case.dseg).data > 0, turn)
        affine = _onto_mni(brain, np.linalg.norm(affine[:3, :3], axis=0))
    write_volume(folder / f"{case.name}.nii.gz", data, affine, in_mni=True)


def _onto_mni(brain: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """The affine that maps the box of a brain, bool [X, Y, Z] along R, A, S, onto that of the MNI152 brain."""
    low, high = inner_extent(brain)
    flat = high <= low
    scale = np.where(flat, spacing, (MNI_BOX[1] - MNI_BOX[0]) / np.where(flat, 1.0, high - low))
    affine = np.diag([*scale, 1.0])
    affine[:3, 3] = np.where(flat, 0.0, MNI_BOX[0] - low * scale)
    return affine
