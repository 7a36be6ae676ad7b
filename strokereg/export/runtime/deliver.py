"""From many scans or label maps to files in a folder: image, JSON and picture of a case appear together, or none."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from strokereg.core.scan.nifti import ENDINGS, Volume, write_volume
from strokereg.core.storage.files import replacing, write_json
from strokereg.export.metadata import Bundle
from strokereg.export.runtime.scans import ScanFiles, stem
from strokereg.export.runtime.segmenter import Segmenter, check_output, read_scans
from strokereg.export.runtime.stream import each
from strokereg.export.runtime.translator import Translator, channel_files
from strokereg.registry.errors import InputError, OutputFailed

#: Told of each case: what the JSON beside its image holds.
OnDone = Callable[[dict[str, Any]], None]
OnFailure = Callable[[ScanFiles, InputError], None]


def segment_scans(
    segmenter: Segmenter,
    scans: Sequence[ScanFiles],
    out: Path | None,
    on_done: OnDone,
    on_failure: OnFailure,
    threshold: float | None = None,
    qc: bool = False,
) -> None:
    """Segment scans and write `name_desc-lesion_mask.nii.gz`, `.json` and with `qc` `.png` of each.

    Args:
        out: a folder, made where missing; a path that ends in .nii or .nii.gz is the mask of the only scan; None
            writes nothing.
        on_failure: gets a scan that is wrong input; the next one follows.

    Raises:
        InputError: a threshold that is no probability, or an output that cannot be.
        OutputFailed: an output that cannot be written, a full disk for one; the scans before it are done.
    """
    postprocessing = segmenter.postprocessing(threshold)
    masks = _outputs(scans, out, "_desc-lesion_mask.nii.gz")
    origin = provenance(segmenter.path, segmenter.bundle, segmenter.provider)

    def read(scan: ScanFiles) -> list[Volume]:
        return read_scans(segmenter.paths(scan.files))

    def work(scan: ScanFiles, volumes: list[Volume]) -> None:
        found = segmenter.find(volumes, postprocessing)
        mask = masks.get(scan.name)
        content = {
            "images": [str(path) for path in scan.files],
            "mask": str(mask) if mask else None,
            "volume_ml": round(found.volume_ml, 6),
            "lesions": found.lesions,
            **postprocessing.model_dump(),
            **origin,
        }
        if mask is not None:
            with _together(mask, qc) as (image, sidecar, picture):
                write_volume(image, found.mask.astype(np.uint8), found.affine)
                write_json(sidecar, content)
                if picture is not None:
                    from strokereg.export.runtime.qc import draw_mask

                    title = f"{found.volume_ml:.2f} ml, {found.lesions}"
                    draw_mask(picture, volumes[0].data, found.mask, found.affine, title)
        on_done(content)

    each(scans, read, work, on_failure)


def synthesize_labels(
    translator: Translator,
    maps: Sequence[ScanFiles],
    out: Path,
    on_done: OnDone,
    on_failure: OnFailure,
    seed: int = 0,
    qc: bool = False,
) -> None:
    """Make images of label maps and write `name_dwi.nii.gz`, `.json` and with `qc` `.png` of each.

    Args:
        seed: of the first label map; the next ones count on from it.

    Raises:
        OutputFailed: as `segment_scans`.
    """
    firsts = _outputs(maps, out, f"_{translator.bundle.channels[0]}.nii.gz")
    origin = provenance(translator.path, translator.bundle, translator.provider)
    seeds = {scan.name: seed + number for number, scan in enumerate(maps)}

    def work(scan: ScanFiles, labels: Volume) -> None:
        made = translator.synthesize(labels, seeds[scan.name])
        files = channel_files(out, scan.name, translator.bundle.channels)
        content = {
            "labels": str(scan.files[0]),
            "images": {channel: str(file) for channel, file in files.items()},
            "synthetic": True,
            "seed": made.seed if translator.bundle.noise else None,
            **origin,
        }
        with contextlib.ExitStack() as stack:
            image, sidecar, picture = stack.enter_context(_together(firsts[scan.name], qc))
            first, *others = files.items()
            write_volume(image, made.images[first[0]], made.affine)
            for channel, file in others:
                write_volume(stack.enter_context(replacing(file)), made.images[channel], made.affine)
            write_json(sidecar, content)
            if picture is not None:
                from strokereg.export.runtime.qc import draw_synthesis

                draw_synthesis(picture, made.labels, len(translator.bundle.labels), made.images[first[0]], made.affine)
        on_done(content)

    each(maps, lambda scan: translator.read(scan.files[0]), work, on_failure)


def provenance(path: Path, bundle: Bundle, provider: str) -> dict[str, Any]:
    """What made an output, for the JSON beside it."""
    return {
        "model": str(path),
        "model_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "architecture": bundle.architecture,
        "precision": bundle.precision,
        "provider": provider,
        "trained_on": bundle.training.cohort,
        "trained_on_simulated_images": bundle.training.simulated,
        "strokereg": version("strokereg"),
        "intended_use": bundle.intended_use,
    }


def _outputs(scans: Sequence[ScanFiles], out: Path | None, ending: str) -> dict[str, Path]:
    """Name of a scan → its image; refused before any work where it cannot be."""
    if out is None:
        return {}
    inputs = [file for scan in scans for file in scan.files]
    if out.name.endswith(ENDINGS):
        if len(scans) != 1:
            raise InputError(f"{out}: is one file for {len(scans)} scans; name a folder")
        return {scans[0].name: check_output(out, inputs)}
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: no folder can be made there ({error.strerror}); choose another one") from error
    if not os.access(out, os.W_OK):
        raise InputError(f"{out}: cannot be written; choose another folder")
    files = {scan.name: out / f"{scan.name}{ending}" for scan in scans}
    taken = {file.resolve() for file in inputs}
    for file in files.values():
        if file.resolve() in taken:
            raise InputError(f"{file}: is an input too and would be overwritten; choose another folder")
    return files


@contextlib.contextmanager
def _together(image: Path, qc: bool) -> Iterator[tuple[Path, Path, Path | None]]:
    """Temporary names of an image, its JSON and its picture, which take their places together when the block ends.

    Raises:
        OutputFailed: they cannot be written.
    """
    beside = image.with_name(stem(image))
    try:
        with contextlib.ExitStack() as stack:
            # The last one entered is renamed first: whoever sees the image finds its JSON.
            names = [stack.enter_context(replacing(image))]
            names.append(stack.enter_context(replacing(beside.with_name(f"{beside.name}.json"))))
            picture = stack.enter_context(replacing(beside.with_name(f"{beside.name}.png"))) if qc else None
            yield names[0], names[1], picture
    except (InputError, OSError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = getattr(cause, "strerror", None) or error
        raise OutputFailed(f"{image}: cannot be written ({reason}); make room or choose another folder") from error
