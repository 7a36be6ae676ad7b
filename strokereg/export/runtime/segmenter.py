"""Run an exported segmenter on NIfTI scans, without torch.

segmentation = load("unet.onnx").segment("dwi.nii.gz", out="mask.nii.gz")
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from strokereg.core.scan.contrasts import canonical
from strokereg.core.scan.grid import frame_of
from strokereg.core.scan.nifti import Volume
from strokereg.core.scan.postprocess import Postprocessing, lesions, postprocess
from strokereg.core.scan.scaling import measure
from strokereg.core.scan.view import Convention
from strokereg.core.scan.window import slide
from strokereg.export.metadata import KEY, Bundle, parse_bundle
from strokereg.export.runtime.brain import brain_only
from strokereg.export.runtime.bundles import default_model, model_file
from strokereg.export.runtime.input_checks import check_scans
from strokereg.export.runtime.onnx_header import read_header
from strokereg.export.runtime.outputs import Callbacks, Extra, Output, outputs_of, provenance, write_images
from strokereg.export.runtime.prefetch import each
from strokereg.export.runtime.scans import ScanFiles, given_scans, listed, read_scans, refuse_other_contrast, stem
from strokereg.export.runtime.session import EngineSettings, Session, open_file
from strokereg.registry.errors import InputError, counted
from strokereg.registry.specs import Role

if TYPE_CHECKING:
    from strokereg.core.scan.pictures import Sheet

Images = str | Path | Sequence[str | Path] | Mapping[str, str | Path]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Segmentation:
    """The lesions of a scan.

    Attributes:
        mask: lesion, bool [X, Y, Z] on the scan's own grid.
        probability: float32 [X, Y, Z] on the same grid.
        affine: 4×4 of the scan.
        volume_ml: lesion volume.
        lesions: connected components (26 neighbours).
        postprocessing: threshold and smallest lesion that were used.
        path: the file written, or None.
        warnings: how the scan is unlike the model's training data, a sentence each.
    """

    mask: np.ndarray
    probability: np.ndarray
    affine: np.ndarray
    volume_ml: float
    lesions: int
    postprocessing: Postprocessing
    path: Path | None = None
    warnings: tuple[str, ...] = ()


class Segmenter:
    """An exported segmenter, ready to run.

    Attributes:
        path: the file, or the address of a server that runs it.
        bundle: the file's metadata.
        provider: engine that it runs on, such as `CPU`, `CUDA:0` or `OpenVINO`.
    """

    def __init__(self, path: Path | str, session: Session, bundle: Bundle) -> None:
        self.path = path
        self.bundle = bundle
        self.provider = session.provider
        self._session = session

    def segment(
        self,
        images: Images,
        out: Path | str | None = None,
        threshold: float | None = None,
        overwrite: bool = False,
        force: bool = False,
        mask: Path | str | None = None,
        brain_extraction: bool = True,
    ) -> Segmentation:
        """Segment a scan, on its own grid. What is unusual about it is logged and kept in `warnings`.

        Args:
            images: NIfTI path, or paths in the order of `bundle.channels`, or {channel: path}. The latter
                also takes files whose name says another contrast.
            out: NIfTI file for the mask (uint8, with the scan's shape and affine), with a JSON beside it; None writes
                nothing.
            threshold: replaces the model's own.
            overwrite: replace files that are no unchanged output of strokereg, too.
            force: segment what is no scan of the model's contrast, too.
            mask, brain_extraction: see `SegmentSettings`.

        Raises:
            InputError: wrong number of images, an image of another contrast by name or intensities, a mask, an
                unreadable image, images on different grids, no brain in an image, or an output that cannot be written
                or would replace a file.
            OutputFailed: the output cannot be written, for example because the disk is full.
        """
        postprocessing = self.postprocessing(threshold)
        paths = self.paths(images, force)
        output = None if out is None else Output((Path(out),), overwrite)
        if output is not None:
            output.check({path.resolve() for path in paths})
        scans, done = brain_only(read_scans(paths, self.bundle.channels), self.bundle.channels, mask, brain_extraction)
        warnings = (*check_scans(scans, self.bundle, self.path, force), *done)
        for warning in warnings:
            log.warning("%s", warning)
        found = replace(self.find(scans, postprocessing), warnings=warnings)
        if output is not None:
            self.write(output, found, ScanFiles(stem(paths[0]), tuple(paths)), scans[0])
        return replace(found, path=output and output.images[0])

    def write(
        self,
        output: Output | None,
        found: Segmentation,
        scan: ScanFiles,
        drawn_on: Volume,
        convention: Convention = Convention.RADIOLOGICAL,
    ) -> dict[str, Any]:
        """Write mask and JSON, and the extra files of the output.

        Args:
            scan: where the images came from.
            drawn_on: the image of the first channel, for the picture.
            convention: orientation of the picture.

        Returns:
            The content of the JSON; without an output, what it would be.
        """
        content = {
            "images": [str(path) for path in scan.files],
            **({"dicom": str(scan.dicom)} if scan.dicom else {}),
            "mask": str(output.images[0]) if output else None,
            "volume_ml": round(found.volume_ml, 6),
            "lesions": found.lesions,
            **found.postprocessing.model_dump(),
            "warnings": list(found.warnings),
            **self._provenance,
        }
        if output is not None:
            with output.writing(content) as (images, extra):
                write_images(images, [found.mask.astype(np.uint8)], found.affine)
                if place := extra.get(Extra.PROBABILITY):
                    write_images([place], [found.probability], found.affine)
                if place := extra.get(Extra.DICOM_SEG):
                    from strokereg.export.runtime.dicom_seg import write_dicom_seg

                    write_dicom_seg(place, found.mask, found.affine, scan, self._provenance)
                if place := extra.get(Extra.PICTURE):
                    from strokereg.export.runtime.qc import draw_mask

                    draw_mask(place, drawn_on, found.mask, self._sheet(found, drawn_on, convention))
        return content

    def _sheet(self, found: Segmentation, scan: Volume, convention: Convention) -> Sheet:
        """The text of a picture: name of the scan, volume, model, and what the model may be used for."""
        from strokereg.core.scan.pictures import Sheet

        count = counted(found.lesions, "lesion")
        simulated = "Trained on simulated images: research only." if self.bundle.training.simulated else ""
        return Sheet(
            title=f"{scan.path.name}: {found.volume_ml:.2f} ml in {count}",
            rows=(),
            caption=f"Segmented with {self.path.name}, threshold {found.postprocessing.threshold:g}.",
            warning=simulated or "Research only, not a medical device.",
            convention=convention,
        )

    @cached_property
    def _provenance(self) -> dict[str, Any]:
        return provenance(self.path, self.bundle, self.provider)

    def postprocessing(self, threshold: float | None = None) -> Postprocessing:
        """The postprocessing stored in the file, with another threshold if one is given.

        Raises:
            InputError: a threshold that is no probability.
        """
        postprocessing = self.bundle.postprocessing or Postprocessing()
        if threshold is None:
            return postprocessing
        if not 0.0 < threshold <= 1.0:
            raise InputError(f"threshold {threshold:g}: is no probability; give a number above 0, up to 1")
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
            flips: take the mean with the mirror image.

        Raises:
            InputError: a scan holds no positive voxels.
        """
        preparation = self.bundle.preparation
        frame = frame_of(scans[0], preparation)
        measured = np.stack([measure(scan, preparation) for scan in scans])[None]
        image = np.stack([frame.image(scan.data, preparation.interpolation) for scan in scans])  # [C, Z, Y, X]

        def run(windows: np.ndarray) -> np.ndarray:
            # Every window is scaled by a measurement of the complete volume.
            feeds = {"image": windows, preparation.measured: np.repeat(measured, len(windows), axis=0)}
            return self._session.run(feeds)

        size = self.bundle.size or frame.shape[-self.bundle.dims :]
        return frame.back(slide(run, image, size, flips, self.bundle.overlap, self.bundle.sigma))

    def paths(self, images: Images, force: bool = False) -> list[Path]:
        """One path a channel, in the order of `bundle.channels`.

        Args:
            force: do not look at names and sidecars.

        Raises:
            InputError: a channel too many or too few, or an image that is of another contrast by its name or sidecar.
        """
        channels = self.bundle.channels
        if isinstance(images, (str, Path)):
            images = [images]
        by_name = isinstance(images, Mapping)
        if isinstance(images, Mapping):
            images = {canonical(name): image for name, image in images.items()}
            stray = [name for name in images if name not in channels]
            if stray:
                raise InputError(f"{self.path}: takes {listed(channels)}, not {stray[0]}; leave {stray[0]} out")
            images = [images[name] for name in channels if name in images]
        if len(images) != len(channels):
            raise InputError(
                f"{self.path}: takes {len(channels)} image{'s' * (len(channels) > 1)} ({listed(channels)}), "
                f"got {len(images)}; give one file for each"
            )
        paths = [Path(image) for image in images]
        for path, channel in zip(paths, () if by_name or force else channels, strict=False):
            refuse_other_contrast(path, channel, self.path)
        return paths


def load(path: Path | str, backend: str = "auto", device: str = "auto") -> Segmenter:
    """Open an exported segmenter (ONNX) on the best engine of this machine; the choice is logged.

    Args:
        path: the file, or the name of a bundle (`strokereg models --weights`).
        backend: "onnxruntime", "openvino" or "auto"; see `export.runtime.session`.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        InputError: no such file, not ONNX, no strokereg metadata, not a segmenter, or no such device here.
    """
    path = model_file(path)
    session, bundle = open_file(path, EngineSettings(backend, device), Role.SEGMENTER)
    log.info("%s runs on %s", path.name, session.provider)
    return Segmenter(path, session, bundle)


@dataclass(frozen=True)
class SegmentSettings:
    """How `segment` works through scans.

    Attributes:
        images: contrast → image of a single scan, whatever its name; others are found by name beside the first.
        threshold: replaces the model's own.
        qc: draw a picture of each scan with the lesion outlined.
        probabilities: also write the probability of each voxel, before threshold and smallest lesion.
        dicom_seg: also write each mask as DICOM-SEG; only for scans from DICOM.
        overwrite: replace files that are no unchanged output of strokereg, too.
        force: segment what is no scan of the model's contrast, too.
        mask: brain mask of a single scan; its DWI and ADC are set to 0 outside.
        brain_extraction: extract the brain of a DWI that shows a skull.
        backend: "onnxruntime", "openvino" or "auto".
        device: "auto", "cpu", "cuda" or "cuda:N".
        convention: orientation of the pictures.
    """

    images: Mapping[str, Path | str] = field(default_factory=dict)
    threshold: float | None = None
    qc: bool = False
    probabilities: bool = False
    dicom_seg: bool = False
    overwrite: bool = False
    force: bool = False
    mask: Path | None = None
    brain_extraction: bool = True
    backend: str = "auto"
    device: str = "auto"
    convention: Convention = Convention.RADIOLOGICAL

    @property
    def extra(self) -> tuple[Extra, ...]:
        """The files that are written beside each mask."""
        return tuple(one for one, option in _OPTIONS.items() if getattr(self, option[2:].replace("-", "_")))


_OPTIONS = {Extra.PICTURE: "--qc", Extra.PROBABILITY: "--probabilities", Extra.DICOM_SEG: "--dicom-seg"}


def segment(
    model: Path | str | None,
    places: Sequence[Path | str],
    out: Path | str | None = None,
    settings: SegmentSettings | None = None,
    callbacks: Callbacks | None = None,
) -> None:
    """Segment files, folders and cohorts; write `name_desc-lesion_mask.nii.gz` and `.json` of each.

    Beside them lie, where they are asked for, the picture `.png`, the probabilities `name_desc-lesion_probseg.nii.gz`
    and the DICOM-SEG `.dcm`.

    Args:
        model: a file, or the name of a bundle; None for the built-in one.
        out: a folder, made where missing; for a single scan also a NIfTI file; None writes nothing.

    Raises:
        InputError: wrong model, place, threshold or output; also a scan that cannot be used, by default.
        OutputFailed: an output cannot be written, for example because the disk is full; the scans before it are done.
    """
    settings, callbacks = settings or SegmentSettings(), callbacks or Callbacks()
    model = default_model(places, settings.images) if model is None else model_file(model)
    bundle = parse_bundle(read_header(model).metadata.get(KEY), model)
    scans = given_scans([Path(place) for place in places], settings.images, bundle.channels, model)
    engine = EngineSettings(settings.backend, settings.device, scans=len(scans))
    segmenter = Segmenter(model, *open_file(model, engine, Role.SEGMENTER))
    if settings.mask is not None and len(scans) > 1:
        raise InputError(f"--mask: is the brain of one scan, and there are {len(scans)}; name a single scan")
    callbacks.on_start(segmenter)
    rule = segmenter.postprocessing(settings.threshold)
    ending = ("_desc-lesion_mask.nii.gz",)
    extra = settings.extra
    if extra and not out:
        raise InputError(f"{_OPTIONS[extra[0]]}: writes a file beside the mask; add --out FILE or --out DIR")
    if settings.dicom_seg:
        from strokereg.export.runtime.dicom_seg import require

        require(scans)
    outputs = outputs_of(scans, Path(out), ending, settings.overwrite, extra) if out else {}

    def work(scan: ScanFiles, volumes: list[Volume]) -> None:
        volumes, done = brain_only(volumes, bundle.channels, settings.mask, settings.brain_extraction)
        warnings = (*scan.notes, *check_scans(volumes, bundle, model, settings.force), *done)
        found = replace(segmenter.find(volumes, rule), warnings=warnings)
        callbacks.on_done(segmenter.write(outputs.get(scan.name), found, scan, volumes[0], settings.convention))

    trusted = {Path(image) for image in settings.images.values()}

    def read(scan: ScanFiles) -> list[Volume]:
        if scan.fault:
            raise InputError(scan.fault)
        for path, channel in zip(scan.files, bundle.channels, strict=True):
            if path not in trusted and not settings.force and not scan.dicom:
                refuse_other_contrast(path, channel, model)
        return read_scans(scan.files, bundle.channels)

    each(scans, read, work, callbacks.on_failure)
