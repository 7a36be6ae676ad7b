"""Where a scan lies in the scanner: the affine of its header, and what in the header contradicts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np

from strokereg.core.scan.content import Note, Opened, parse_header
from strokereg.registry.errors import FileFault

Form = Literal["sform", "qform"]

#: NIfTI's code for MNI152.
MNI = 4

#: Largest distance in voxels between the places that qform and sform give to a corner of the grid.
FORM_TOLERANCE = 0.1
#: What the rounding of a qform may add, as a share of the distance from the first voxel. Of a turn by nearly 180°, the
#: first part of the quaternion is computed from the others, which are stored in float32.
TURN_TOLERANCE = 2e-3
#: Largest cosine between two axes of a grid that counts as rectangular, as in ITK.
SHEAR_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Placement:
    """Where a scan lies.

    Attributes:
        affine: float64 [4, 4].
        given: whether the header gives the affine; otherwise it is a guess from the voxel size.
        in_mni: the image is in MNI space, by its name (`space-MNI…`) or by the code of the form that is used.
        notes: what the owner of the file should know about its header.
    """

    affine: np.ndarray
    given: bool
    in_mni: bool
    notes: tuple[Note, ...]


def read_placement(path: Path, opened: Opened, prefer: Form = "sform") -> Placement:
    """Where an image lies, by its header.

    Args:
        prefer: the form to use if both are set.

    Raises:
        FileFault: voxel sizes of zero or less on which the affine depends, or an affine that cannot be inverted.
    """
    image = opened.image
    forms = _forms(image)
    notes = _sizes(path, opened, forms, prefer)
    used = _used(forms, prefer)
    affine = np.asarray(image.affine if used is None else forms[used], dtype=np.float64)
    with np.errstate(all="ignore"):
        sound = affine.shape == (4, 4) and np.isfinite(affine).all()
        volume = abs(np.linalg.det(affine[:3, :3])) if sound else 0.0
    if not np.isfinite(volume) or volume < 1e-9:
        raise FileFault(path, "its affine cannot be inverted", "repair the sform or qform")
    if len(forms) == 2 and (fault := contradiction(forms["sform"], forms["qform"], image.shape[:3])):
        fix = "correct the wrong one" if used == "qform" else "if the qform is right, import with --prefer qform"
        notes += (Note("forms", f"its qform and sform contradict: {fault}; the {used} is used", fix),)
    if is_sheared(affine):
        fault = "its affine is sheared, which ITK refuses"
        notes += (Note("sheared", fault, "resample it onto a rectangular grid if another program needs it"),)
    in_mni = "_space-mni" in path.name.lower() or (used is not None and int(image.header[f"{used}_code"]) == MNI)
    return Placement(affine, _given(image, forms), in_mni, notes)


def contradiction(sform: np.ndarray, qform: np.ndarray, shape: tuple[int, ...]) -> str:
    """How two affines of one grid differ: mirrored, scaled, turned or shifted; "" if they agree.

    A qform cannot hold shear, so one that is nearest to a sheared sform agrees with it.
    """
    if is_sheared(sform) and not is_sheared(qform):
        sform = nearest_rectangular(sform)
    if not (np.isfinite(sform).all() and np.isfinite(qform).all()):
        return "one holds NaN"
    size, edges = np.asarray(shape, dtype=float) - 1, np.linalg.norm(sform[:3, :3], axis=0)
    corners = np.array(np.meshgrid(*((0.0, end) for end in size))).reshape(3, -1)
    difference = qform - sform
    distances = np.linalg.norm(difference[:3, :3] @ corners + difference[:3, 3:], axis=0)
    rounding = TURN_TOLERANCE * np.linalg.norm(sform[:3, :3] @ corners, axis=0)
    if (distances <= FORM_TOLERANCE * max(float(edges.min()), 1e-3) + rounding).all():
        return ""
    apart = float(distances.max())
    axes = ["".join(str(code) for code in nib.aff2axcodes(form)) for form in (sform, qform)]  # type: ignore
    hands = [np.sign(np.linalg.det(form[:3, :3])) for form in (sform, qform)]
    if hands[0] != hands[1]:
        return f"one is mirrored, the sform has the axes {axes[0]} and the qform {axes[1]}"
    other = np.linalg.norm(qform[:3, :3], axis=0)
    if not np.allclose(edges, other, rtol=0.01):
        sizes = [" × ".join(f"{edge:.3g}" for edge in form) for form in (edges, other)]
        return f"voxels of {sizes[0]} mm in the sform and {sizes[1]} mm in the qform, axes {axes[0]} and {axes[1]}"
    kind = "shifted" if np.allclose(difference[:3, :3], 0, atol=0.01 * edges.min()) else "turned"
    return f"one is {kind}, by up to {apart:.3g} mm, the sform has the axes {axes[0]} and the qform {axes[1]}"


def is_sheared(affine: np.ndarray) -> bool:
    """True if the axes of a grid are not at right angles, so that a qform cannot hold its affine."""
    axes = affine[:3, :3] / np.maximum(np.linalg.norm(affine[:3, :3], axis=0), 1e-12)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR_TOLERANCE)


def nearest_rectangular(affine: np.ndarray) -> np.ndarray:
    """The affine with the same voxel sizes and origin whose axes are the nearest ones at right angles."""
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(affine[:3, :3] / edges)
    nearest = np.array(affine, dtype=np.float64)
    nearest[:3, :3] = left @ right * edges
    return nearest


def _forms(image: Any) -> dict[str, np.ndarray]:
    """The forms that a NIfTI header sets."""
    header, found = image.header, {}
    if isinstance(header, nib.Nifti1Header):
        for form in ("sform", "qform"):
            if int(header[f"{form}_code"]) > 0:  # type: ignore[no-untyped-call]
                try:
                    found[form] = np.asarray(getattr(header, f"get_{form}")(), dtype=np.float64)
                except (ValueError, nib.spatialimages.HeaderDataError):  # a quaternion that is none
                    continue
    return found


def _used(forms: dict[str, np.ndarray], prefer: Form) -> str | None:
    """The preferred form, or the only one."""
    return prefer if prefer in forms else next(iter(forms), None)


def _sizes(path: Path, opened: Opened, forms: dict[str, np.ndarray], prefer: Form) -> tuple[Note, ...]:
    """Voxel sizes of zero or less: a warning if the affine does not depend on them, else a fault."""
    if not opened.header:
        return ()
    sizes = np.asarray(parse_header(type(opened.image), opened.header)["pixdim"][1:4], dtype=np.float64)
    if (sizes > 0).all():
        return ()
    fault = f"its header gives voxel sizes of {' × '.join(f'{size:g}' for size in sizes)} mm"
    if "sform" not in forms or (prefer == "qform" and "qform" in forms):
        raise FileFault(path, fault, "correct pixdim in the header, or convert the scan again")
    forms.pop("qform", None)  # it is made of these sizes
    return (Note("sizes", f"{fault}; the sform is used", "correct pixdim in the header"),)


def _given(image: Any, forms: dict[str, np.ndarray]) -> bool:
    if isinstance(image.header, nib.Nifti1Header):
        return bool(forms)
    return not isinstance(image.header, nib.analyze.AnalyzeHeader)  # Analyze has voxel sizes only
