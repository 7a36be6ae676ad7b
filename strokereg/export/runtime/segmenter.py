"""Run an exported segmenter on NIfTI scans. No torch here, and none is imported.

segmentation = load("unet.onnx").segment("dwi.nii.gz", out="mask.nii.gz")
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from strokereg.core.scan.grid import frame_of
from strokereg.core.scan.nifti import ENDINGS, Volume, check_same_grid, read_volume, write_volume
from strokereg.core.scan.postprocess import Postprocessing, lesions, postprocess
from strokereg.core.scan.scaling import measure
from strokereg.core.scan.window import slide
from strokereg.export.metadata import Bundle
from strokereg.export.runtime.session import Session, open_file
from strokereg.registry.errors import InputError

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
        postprocessing: threshold and smallest lesion that were used.
        path: the file written, or None.
    """

    mask: np.ndarray
    probability: np.ndarray
    affine: np.ndarray
    volume_ml: float
    lesions: int
    postprocessing: Postprocessing
    path: Path | None = None


class Segmenter:
    """An exported segmenter, ready to run.

    Attributes:
        bundle: the file's metadata.
        provider: what it runs on, e.g. `CPU`, `CUDA` or `OpenVINO`.
    """

    def __init__(self, path: Path, session: Session, bundle: Bundle) -> None:
        self.path = path
        self.bundle = bundle
        self.provider = session.provider
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
        postprocessing = self.postprocessing(threshold)
        paths = self.paths(images)
        if out is not None:
            out = check_output(Path(out), paths)
        found = self.find(read_scans(paths), postprocessing)
        if out is not None:
            write_volume(out, found.mask.astype(np.uint8), found.affine)
        return replace(found, path=out)

    def postprocessing(self, threshold: float | None = None) -> Postprocessing:
        """The rule that travels with the file, with another threshold where one is given.

        Raises:
            InputError: a threshold that is no probability.
        """
        postprocessing = self.bundle.postprocessing or Postprocessing()
        if threshold is None:
            return postprocessing
        if not 0.0 < threshold <= 1.0:
            raise InputError(f"threshold {threshold:g}: a probability is needed; give a number above 0, up to 1")
        return postprocessing.model_copy(update={"threshold": threshold})

    def find(self, scans: Sequence[Volume], postprocessing: Postprocessing) -> Segmentation:
        """Segment scans that are in memory, one a channel; see `segment`.

        Raises:
            InputError: a scan holds no positive voxels.
        """
        probability = self.probability(scans, postprocessing.flips)
        mask = postprocess(probability, postprocessing, scans[0].voxel_ml)
        return Segmentation(
            mask=mask,
            probability=probability,
            affine=scans[0].affine,
            volume_ml=float(mask.sum()) * scans[0].voxel_ml,
            lesions=lesions(mask)[1],
            postprocessing=postprocessing,
        )

    def probability(self, scans: Sequence[Volume], flips: bool = False) -> np.ndarray:
        """Lesion probability float32 [X, Y, Z] on the grid of the scans, one scan a channel.

        Args:
            flips: take the mean with the mirror image, as `bundle.postprocessing` says.

        Raises:
            InputError: a scan holds no positive voxels.
        """
        preparation = self.bundle.preparation
        frame = frame_of(scans[0], preparation)
        measured = np.stack([measure(scan, preparation) for scan in scans])[None]
        image = np.stack([frame.image(scan.data, preparation.interpolation) for scan in scans])  # [C, Z, Y, X]

        def run(windows: np.ndarray) -> np.ndarray:
            # Every window is scaled by what was measured of its whole volume.
            feeds = {"image": windows, preparation.measured: np.repeat(measured, len(windows), axis=0)}
            return self._session.run(feeds)

        size = self.bundle.size or frame.shape[-self.bundle.dims :]
        return frame.back(slide(run, image, size, flips, self.bundle.overlap, self.bundle.sigma))

    def paths(self, images: Images) -> list[Path]:
        """One path a channel, in the order of `bundle.channels`.

        Raises:
            InputError: a channel too many or too few.
        """
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


def load(path: Path | str, backend: str = "auto", scans: int = 1) -> Segmenter:
    """Open an exported segmenter (ONNX) on the best engine of this machine; the choice is logged.

    Args:
        backend: "onnxruntime", "openvino" or "auto"; see `export.runtime.session`.
        scans: how many are waiting, by which "auto" decides.

    Raises:
        InputError: no such file, not ONNX, no strokereg metadata, not a segmenter.
    """
    path = Path(path)
    session, bundle = open_file(path, backend, role="segmenter", scans=scans)
    log.info("%s runs on %s", path.name, session.provider)
    return Segmenter(path, session, bundle)


def read_scans(paths: Sequence[Path]) -> list[Volume]:
    """Read the scans of one case.

    Raises:
        InputError: an unreadable image, or images on different grids.
    """
    scans = [read_volume(path) for path in paths]
    for scan in scans[1:]:
        check_same_grid(scans[0], scan)
    return scans


def check_output(out: Path, images: Sequence[Path]) -> Path:
    """Refuse, before any work, an output that cannot be written or would overwrite an image.

    Raises:
        InputError: wrong ending, missing or unwritable folder, a folder in the file's place, or an input.
    """
    if not out.name.endswith(ENDINGS):
        raise InputError(f"{out}: the output must end in .nii or .nii.gz")
    if any(out.resolve() == image.resolve() for image in images):
        raise InputError(f"{out}: is an input too and would be overwritten; give another output name")
    if not out.parent.is_dir():
        raise InputError(f"{out}: its folder does not exist; make {out.parent} first")
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise InputError(f"{out}: cannot be written; choose another folder or name")
    return out


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
