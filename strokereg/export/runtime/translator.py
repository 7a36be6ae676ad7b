"""Run an exported translator on label maps: synthetic images on the label map's own grid, without torch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strokereg.core.cohort.labels import LabelTable
from strokereg.core.scan.grid import frame_of
from strokereg.core.scan.nifti import Volume, read_volume
from strokereg.core.scan.scaling import signal
from strokereg.core.scan.view import Convention
from strokereg.core.scan.window import slide
from strokereg.export.metadata import Bundle
from strokereg.export.runtime.outputs import Callbacks, Extra, outputs_of, provenance, write_images
from strokereg.export.runtime.prefetch import each
from strokereg.export.runtime.scans import ScanFiles, find_labels
from strokereg.export.runtime.session import EngineSettings, Session, open_file
from strokereg.registry.errors import InputError
from strokereg.registry.specs import Role

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Synthesis:
    """The images of a label map.

    Attributes:
        images: channel → float32 [X, Y, Z] on the label map's grid; 0 is no signal, 100 the brain's median.
        labels: uint8 [X, Y, Z] as read.
        affine: 4×4 of the label map.
        seed: of the noise vector; 0 if the translator takes none.
    """

    images: dict[str, np.ndarray]
    labels: np.ndarray
    affine: np.ndarray
    seed: int


class Translator:
    """An exported translator, ready to run.

    Attributes:
        bundle: the file's metadata.
        provider: engine that it runs on.
    """

    def __init__(self, path: Path, session: Session, bundle: Bundle) -> None:
        self.path = path
        self.bundle = bundle
        self.provider = session.provider
        self._session = session

    def read(self, path: Path | str) -> Volume:
        """Read a label map and check it against the model's label table.

        Raises:
            InputError: unreadable, not integers, or a label that the model does not know.
        """
        volume = read_volume(path)
        if not np.array_equal(volume.data, np.round(volume.data)):
            raise InputError(f"{path}: a label map holds integers only; use nearest-neighbour resampling")
        LabelTable(self.bundle.labels).check(volume.data, path)
        return volume

    def synthesize(self, labels: Volume | Path | str, seed: int = 0) -> Synthesis:
        """Make an image of a label map, on its own grid.

        Args:
            labels: a dseg NIfTI with the labels of `bundle.labels`, or one that `read` has read.
            seed: of the noise vector, if the translator takes one.

        Raises:
            InputError: see `read`; also a label map that is all background.
        """
        volume = labels if isinstance(labels, Volume) else self.read(labels)
        codes = volume.data.astype(np.uint8)
        if not codes.any():
            raise InputError(f"{volume.path}: is all background; give a label map with a brain in it")
        bundle = self.bundle
        frame = frame_of(Volume((codes > 0).astype(np.float32), volume.affine, volume.path), bundle.preparation)
        grid = frame.labels(codes, len(bundle.labels))
        noise = None
        if bundle.noise:
            noise = np.random.default_rng(seed).standard_normal((1, bundle.noise), dtype=np.float32)

        def run(windows: np.ndarray, channel: int) -> np.ndarray:
            maps = windows[:, 0].astype(np.int64)
            feeds = {"labels": maps}
            if noise is not None:
                feeds["noise"] = np.repeat(noise, len(maps), axis=0)
            image = self._session.run(feeds)[:, channel]
            # Background is empty, as the study writes it.
            return np.where(maps == 0, -1.0, np.clip(image, -1.0, 1.0))[:, None].astype(np.float32)

        size = bundle.size or grid.shape[-bundle.dims :]
        images = {}
        for number, channel in enumerate(bundle.channels):
            image = slide(
                lambda windows, number=number: run(windows, number),  # type: ignore[misc]
                grid[None],
                size,
                overlap=bundle.overlap,
                sigma=bundle.sigma,
            )
            images[channel] = frame.back(signal(image, grid > 0, bundle.preparation))
        return Synthesis(images, codes, volume.affine, seed)


def load_translator(path: Path | str, settings: EngineSettings | None = None) -> Translator:
    """Open an exported translator (ONNX), by default on the best engine of this machine; the choice is logged.

    Raises:
        InputError: no such file, not ONNX, no strokereg metadata, not a translator, or no such device here.
    """
    path = Path(path)
    session, bundle = open_file(path, settings, Role.TRANSLATOR)
    log.info("%s runs on %s", path.name, session.provider)
    return Translator(path, session, bundle)


@dataclass(frozen=True)
class TranslateSettings:
    """How `translate` works through label maps.

    Attributes:
        seed: of the noise of the first label map; each further one adds one.
        qc: draw a picture of each label map above its image.
        overwrite: replace files that are no unchanged output of strokereg, too.
        backend: "onnxruntime", "openvino" or "auto".
        device: "auto", "cpu", "cuda" or "cuda:N".
        convention: orientation of the pictures.
    """

    seed: int = 0
    qc: bool = False
    overwrite: bool = False
    backend: str = "auto"
    device: str = "auto"
    convention: Convention = Convention.RADIOLOGICAL


def translate(
    model: Path | str,
    places: Sequence[Path | str],
    out: Path | str,
    settings: TranslateSettings | None = None,
    callbacks: Callbacks | None = None,
) -> None:
    """Make images of label maps; write `name_dwi.nii.gz`, `.json` and with `qc` `.png` of each.

    Args:
        places: label maps, folders and cohorts.
        out: a folder, made where missing.

    Raises:
        InputError: wrong model, place or output; also a label map that cannot be used, by default.
        OutputFailed: an output cannot be written, for example because the disk is full; the maps before it are done.
    """
    settings, callbacks = settings or TranslateSettings(), callbacks or Callbacks()
    maps = find_labels([Path(place) for place in places])
    translator = load_translator(model, EngineSettings(settings.backend, settings.device, scans=len(maps)))
    callbacks.on_start(translator)
    bundle = translator.bundle
    endings = [f"_{channel}.nii.gz" for channel in bundle.channels]
    outputs = outputs_of(maps, Path(out), endings, settings.overwrite, [Extra.PICTURE] * settings.qc)
    origin = provenance(translator.path, bundle, translator.provider)
    seeds = {scan.name: settings.seed + number for number, scan in enumerate(maps)}

    def work(scan: ScanFiles, labels: Volume) -> None:
        made = translator.synthesize(labels, seeds[scan.name])
        output = outputs[scan.name]
        content = {
            "labels": str(scan.files[0]),
            "images": dict(zip(bundle.channels, map(str, output.images), strict=True)),
            "synthetic": True,
            "seed": made.seed if bundle.noise else None,
            **origin,
        }
        with output.writing(content) as (images, extra):
            write_images(images, [made.images[channel] for channel in bundle.channels], made.affine)
            if settings.qc:
                from strokereg.core.scan.pictures import Sheet
                from strokereg.export.runtime.qc import draw_synthesis

                sheet = Sheet(
                    title=f"{labels.path.name}: synthetic {bundle.channels[0]}",
                    rows=(),
                    caption=f"Made with {translator.path.name}.",
                    warning="Synthetic image: not of a patient, for research only.",
                    convention=settings.convention,
                )
                draw_synthesis(extra[Extra.PICTURE], labels, bundle.labels, made.images[bundle.channels[0]], sheet)
        callbacks.on_done(content)

    each(maps, lambda scan: translator.read(scan.files[0]), work, callbacks.on_failure)
