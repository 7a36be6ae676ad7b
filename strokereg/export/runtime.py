"""Run an exported segmenter on NIfTI scans with onnxruntime. No torch here, and none is imported.

segmentation = load("unet.onnx").segment("dwi.nii.gz", out="mask.nii.gz")
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.core.decide import decide, lesions
from strokereg.core.errors import InputError
from strokereg.core.grid import brain_median, frame_of
from strokereg.core.nifti import Volume, check_same_grid, read_volume, write_volume
from strokereg.core.record import Decision
from strokereg.core.window import slide
from strokereg.export.metadata import KEY, Bundle, read_bundle
from strokereg.export.providers import short_name, usable_providers

Images = str | Path | Sequence[str | Path] | Mapping[str, str | Path]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segmentation:
    """What was found in a scan.

    Attributes:
        mask: lesion, bool [X, Y, Z] on the scan's own grid.
        probability: float32 [X, Y, Z] on the same grid.
        affine: 4×4 of the scan.
        volume_ml: lesion volume.
        lesions: connected components (26 neighbours).
        decision: threshold and smallest lesion that were used.
        path: the file written, or None.
    """

    mask: np.ndarray
    probability: np.ndarray
    affine: np.ndarray
    volume_ml: float
    lesions: int
    decision: Decision
    path: Path | None = None


class Segmenter:
    """An exported segmenter, ready to run.

    Attributes:
        bundle: the file's metadata.
        provider: the onnxruntime provider in use, e.g. `CPU`.
    """

    def __init__(self, path: Path, session, bundle: Bundle) -> None:
        self.path = path
        self.bundle = bundle
        self.provider = short_name(session.get_providers()[0])
        self._session = session

    def segment(self, images: Images, out: Path | str | None = None, threshold: float | None = None) -> Segmentation:
        """Segment a scan, on its own grid.

        Args:
            images: NIfTI path of the DWI, or paths in the order of `bundle.channels`, or {channel: path}.
            out: where to write the mask as uint8 NIfTI with the scan's shape and affine; None writes nothing.
            threshold: in place of the one that travels with the model.

        Raises:
            InputError: wrong number of images, unreadable image, images on different grids, no brain in an
                image, an output that cannot be written or would overwrite an image.
        """
        paths = self._paths(images)
        if out is not None:
            out = check_output(Path(out), paths)
        decision = self.bundle.decision or Decision()
        if threshold is not None:
            if not 0.0 < threshold <= 1.0:
                raise InputError(f"threshold {threshold:g}: a probability is needed; give a number above 0, up to 1")
            decision = decision.model_copy(update={"threshold": threshold})
        scans = [read_volume(path) for path in paths]
        for scan in scans[1:]:
            check_same_grid(scans[0], scan)
        probability = self.probability(scans, decision.flips)
        mask = decide(probability, decision, scans[0].voxel_ml)
        if out is not None:
            write_volume(out, mask.astype(np.uint8), scans[0].affine)
        return Segmentation(
            mask=mask,
            probability=probability,
            affine=scans[0].affine,
            volume_ml=float(mask.sum()) * scans[0].voxel_ml,
            lesions=lesions(mask)[1],
            decision=decision,
            path=out,
        )

    def probability(self, scans: Sequence[Volume], flips: bool = False) -> np.ndarray:
        """Lesion probability float32 [X, Y, Z] on the grid of the scans, one scan a channel.

        Args:
            flips: take the mean with the mirror image, as `bundle.decision` says.

        Raises:
            InputError: a scan holds no positive voxels.
        """
        frame = frame_of(scans[0], self.bundle.preparation)
        median = np.array([[brain_median(scan.data) for scan in scans]], dtype=np.float32)
        for scan, value in zip(scans, median[0], strict=True):
            if not value > 0.0:
                raise InputError(f"{scan.path}: holds no positive voxels; give an image with the brain in it")
        image = np.stack([frame.image(scan.data) for scan in scans])  # [C, Z, Y, X]

        def run(windows: np.ndarray) -> np.ndarray:
            # Every window is scaled by the median of its whole volume.
            feeds = {"image": windows, "median": np.repeat(median, len(windows), axis=0)}
            return self._session.run(["probability"], feeds)[0]

        size = self.bundle.size or frame.shape[-self.bundle.dims :]
        return frame.back(slide(run, image, size, flips))

    def _paths(self, images: Images) -> list[Path]:
        channels = self.bundle.channels
        if isinstance(images, (str, Path)):
            images = [images]
        if isinstance(images, Mapping):
            stray = [name for name in images if name not in channels]
            if stray:
                raise InputError(f"{self.path}: takes {_listed(channels)}, not {stray[0]}; leave {stray[0]} out")
            images = [images[name] for name in channels if name in images]
        if len(images) != len(channels):
            raise InputError(
                f"{self.path}: takes {len(channels)} image{'s' * (len(channels) > 1)} ({_listed(channels)}), "
                f"got {len(images)}; give one file for each"
            )
        return [Path(image) for image in images]


def load(path: Path | str) -> Segmenter:
    """Open an exported segmenter (ONNX) on the best provider of this machine; the choice is logged.

    Raises:
        InputError: no such file, not ONNX, no strokereg metadata, not a segmenter.
    """
    import onnxruntime

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a model that 'strokereg export' wrote")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=usable_providers())
    except Exception as error:  # onnxruntime's errors share no base but Exception
        reason = str(error).split("\n")[0]
        raise InputError(f"{path}: not a model that onnxruntime can open ({reason}); give an .onnx file") from error
    bundle = read_bundle(session.get_modelmeta().custom_metadata_map.get(KEY), path)
    if bundle.role != "segmenter":
        raise InputError(f"{path}: holds a {bundle.role} ({bundle.architecture}); give an exported segmenter")
    _check_graph(path, session, bundle)
    segmenter = Segmenter(path, session, bundle)
    log.info("%s runs on %s", path.name, segmenter.provider)
    return segmenter


def check_output(out: Path, images: Sequence[Path]) -> Path:
    """Refuse, before any work, an output that cannot be written or would overwrite an image.

    Raises:
        InputError: wrong ending, missing or unwritable folder, a folder in the file's place, or an input.
    """
    if not out.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{out}: the output must end in .nii or .nii.gz")
    if any(out.resolve() == image.resolve() for image in images):
        raise InputError(f"{out}: is an input too and would be overwritten; give another output name")
    if not out.parent.is_dir():
        raise InputError(f"{out}: its folder does not exist; make {out.parent} first")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise InputError(f"{out}: cannot be written; choose another folder or name")
    return out


def _check_graph(path: Path, session, bundle: Bundle) -> None:
    """The graph must be the one that the metadata speaks of."""
    shapes = {tensor.name: tensor.shape for tensor in session.get_inputs()}
    outputs = [tensor.name for tensor in session.get_outputs()]
    channels = len(bundle.channels)
    fits = set(shapes) == {"image", "median"} and outputs == ["probability"]
    if not fits or len(shapes["image"]) != 2 + bundle.dims or shapes["image"][1] != channels:
        raise InputError(f"{path}: its graph does not fit its strokereg metadata; export the run again")


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
