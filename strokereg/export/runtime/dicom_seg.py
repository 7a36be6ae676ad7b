"""Write a mask as a DICOM segmentation (DICOM-SEG) in the study of the scan. Needs highdicom."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from strokereg.core.scan.contrasts import read_sidecar
from strokereg.export.runtime.scans import ScanFiles
from strokereg.registry.errors import InputError

_SERIES = 9000  # added to the scan's series number
_SHARED = ("PixelMeasuresSequence", "PlaneOrientationSequence")


def require(scans: Sequence[ScanFiles]) -> None:
    """Refuse scans that no DICOM-SEG can be made of, before any work.

    Raises:
        InputError: a scan that does not come from DICOM, or highdicom is not installed.
    """
    for scan in scans:
        if scan.dicom is None:
            raise InputError(
                f"--dicom-seg: {scan.files[0]} does not come from DICOM; give the DICOM folder of the scan"
            )
    try:
        import highdicom  # noqa: F401
    except ImportError:
        raise InputError(
            "--dicom-seg: highdicom is not installed; install it with: pip install 'strokereg[dicom]'"
        ) from None


def write_dicom_seg(
    path: Path, mask: np.ndarray, affine: np.ndarray, scan: ScanFiles, origin: Mapping[str, Any]
) -> None:
    """Write a mask with the patient, the study and the frame of reference of its scan.

    Args:
        path: of the new file.
        mask: bool [X, Y, Z].
        affine: 4×4, voxel → mm, RAS+.
        scan: the scan, which was converted from DICOM.
        origin: architecture, file, digest and version of the model; see `outputs.provenance`.

    Raises:
        InputError: the series of the scan is not among the DICOM files, or its grid is sheared (tilted gantry).
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes

    series = _series_of(scan)
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    algorithm = hd.AlgorithmIdentificationSequence(
        str(origin["architecture"]), codes.DCM.ArtificialIntelligence, str(origin["strokereg"])
    )
    lesion = hd.seg.SegmentDescription(
        1,
        "lesion",
        codes.SCT.MorphologicallyAbnormalStructure,
        codes.SCT.Lesion,
        hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names of patients that are not split into parts
        try:
            # Frames, rows and columns of DICOM are the last, second and first axis of NIfTI.
            volume = hd.Volume(
                np.ascontiguousarray(mask.transpose(2, 1, 0)).astype(np.uint8),
                to_lps[:, [2, 1, 0, 3]],
                coordinate_system="PATIENT",
                frame_of_reference_uid=series[0].FrameOfReferenceUID,
            )
        except ValueError as error:
            raise InputError(f"{scan.dicom}: its slices are sheared ({error}); leave --dicom-seg out") from error
        segmentation = hd.seg.Segmentation(
            series,
            volume,
            hd.seg.SegmentationTypeValues.BINARY,
            [lesion],
            series_instance_uid=hd.UID(),
            series_number=_SERIES + int(series[0].SeriesNumber),
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer="strokereg",
            manufacturer_model_name=str(origin["architecture"]),
            software_versions=str(origin["strokereg"]),
            device_serial_number=str(origin["model_sha256"])[:16],
            series_description="strokereg lesion, research only, not a medical device",
            omit_empty_frames=bool(mask.any()),
        )
        segmentation.save_as(path)


def _series_of(scan: ScanFiles) -> list[Any]:
    """Headers of the files of a scan's series, which is known by number and description in the sidecar.

    Raises:
        InputError: there is none.
    """
    sidecar = read_sidecar(scan.files[0])
    wanted = _name(sidecar)
    found = [header for header in _headers(scan.dicom or scan.files[0].parent) if _name(header) == wanted]
    if not found:
        raise InputError(f"{scan.dicom}: holds no DICOM series {sidecar.get('SeriesNumber')}; leave --dicom-seg out")
    found = [header for header in found if header.SeriesInstanceUID == found[0].SeriesInstanceUID]
    for header in found:
        _share_geometry(header)
    return found


def _headers(folder: Path) -> Iterator[Any]:
    import pydicom

    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            yield pydicom.dcmread(path, stop_before_pixels=True)
        except pydicom.errors.InvalidDicomError:
            continue


def _name(header: Any) -> tuple[int, str]:
    """Series number and description as dcm2niix writes them: it adds thousands to some numbers and changes signs."""
    description = re.sub(r"[^a-z0-9]", "", str(header.get("SeriesDescription") or "").lower())
    return int(header.get("SeriesNumber") or 0) % 1000, description


def _share_geometry(header: Any) -> None:
    """Some scanners give the voxel size with each frame of a multi-frame file; highdicom looks for it once."""
    if "SharedFunctionalGroupsSequence" not in header or "PerFrameFunctionalGroupsSequence" not in header:
        return
    shared, first = header.SharedFunctionalGroupsSequence[0], header.PerFrameFunctionalGroupsSequence[0]
    for name in _SHARED:
        if name not in shared and name in first:
            setattr(shared, name, getattr(first, name))
