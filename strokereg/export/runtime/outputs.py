"""Output files of a case: images, JSON and picture appear together, and replace nothing but an earlier output."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from strokereg.core.scan.nifti import ENDINGS, write_volume
from strokereg.core.storage.cache import sha256_of
from strokereg.core.storage.files import keep_foreign, replacing, write_json
from strokereg.export.metadata import Bundle
from strokereg.export.runtime.scans import ScanFiles, stem
from strokereg.registry.errors import InputError, OutputFailed

_FILES = "files"  # key of the JSON: name → SHA-256 of each file that was written with it


def raise_failure(scan: ScanFiles, error: InputError) -> None:
    """End the work at the first scan that cannot be used."""
    raise error


@dataclass(frozen=True)
class Callbacks:
    """What to call while many scans are worked on.

    Attributes:
        on_start: gets the opened model, before the first scan.
        on_done: gets the content of the JSON of each finished scan.
        on_failure: gets a scan that cannot be used; the next one follows unless it raises.
    """

    on_start: Callable[[Any], None] = lambda model: None
    on_done: Callable[[dict[str, Any]], None] = lambda content: None
    on_failure: Callable[[ScanFiles, InputError], None] = raise_failure


class Extra(StrEnum):
    """A file beside the images of a case, by its ending."""

    PICTURE = ".png"
    PROBABILITY = "_probseg.nii.gz"
    DICOM_SEG = ".dcm"


@dataclass(frozen=True)
class Output:
    """The files of one case.

    A file counts as an earlier output if the JSON beside it lists it with the SHA-256 that it still has. A mask that
    was corrected by hand is therefore kept, as is any file that strokereg did not write.

    Attributes:
        images: NIfTI files; the JSON and the extra files are named after the first.
        overwrite: replace files that are no earlier output, too. Inputs are never replaced.
        extra: which extra files are written.
    """

    images: tuple[Path, ...]
    overwrite: bool = False
    extra: tuple[Extra, ...] = ()

    @property
    def json(self) -> Path:
        """The JSON file beside the first image."""
        return self._beside(".json")

    def place(self, extra: Extra) -> Path:
        """Path of an extra file; for the mask `x_mask.nii.gz`, `x_mask.png` or `x_probseg.nii.gz`."""
        name = stem(self.images[0])
        return self._beside(extra, name.removesuffix("_mask") if extra == Extra.PROBABILITY else name)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that is written."""
        return (*self.images, self.json, *map(self.place, self.extra))

    def check(self, inputs: Collection[Path]) -> None:
        """Refuse an output that cannot be written or would replace a file that is not an earlier output.

        Args:
            inputs: resolved paths, which must not be outputs too.

        Raises:
            InputError: wrong ending, missing or read-only folder, an input, or a file of someone else.
        """
        for path in self.files:
            if path in self.images and not path.name.endswith(ENDINGS):
                raise InputError(f"{path}: the output must end in .nii or .nii.gz; rename it")
            if path.resolve() in inputs:
                raise InputError(f"{path}: is an input too and would be overwritten; choose another --out")
            if not path.parent.is_dir():
                raise InputError(f"{path}: its folder does not exist; make {path.parent} first")
            if path.is_dir() or not os.access(path.parent, os.W_OK):
                raise InputError(f"{path}: cannot be written; choose another folder or name")
        self._keep_foreign()

    @contextlib.contextmanager
    def writing(self, content: dict[str, Any]) -> Iterator[tuple[list[Path], dict[Extra, Path]]]:
        """Temporary names of images and extra files, which take their places with the JSON when the block ends.

        Extra files of an earlier output that are not written again are removed: they belong to the old mask.

        Args:
            content: of the JSON, which also lists the files.

        Raises:
            OutputFailed: the files cannot be written.
            InputError: a file of someone else has appeared in the meantime.
        """
        try:
            with contextlib.ExitStack() as stack:
                # The last one entered is renamed first, so an image never appears without its JSON.
                images = [stack.enter_context(replacing(path)) for path in self.images]
                record = stack.enter_context(replacing(self.json))
                extra = {one: stack.enter_context(replacing(self.place(one))) for one in self.extra}
                yield images, extra
                written = dict(zip(self.images, images, strict=True))
                written |= {self.place(one): made for one, made in extra.items()}
                write_json(record, {**content, _FILES: {path.name: sha256_of(made) for path, made in written.items()}})
                self._keep_foreign()
                for stale in [self.place(one) for one in Extra if one not in self.extra]:
                    if self._is_earlier(stale):
                        stale.unlink()
        except (InputError, OSError) as error:
            cause = error if isinstance(error, OSError) else error.__cause__
            if not isinstance(cause, OSError):
                raise
            reason = cause.strerror or cause
            raise OutputFailed(
                f"{self.images[0]}: cannot be written ({reason}); make room or choose another folder"
            ) from error

    def _beside(self, ending: str, name: str | None = None) -> Path:
        return self.images[0].with_name(f"{stem(self.images[0]) if name is None else name}{ending}")

    def _keep_foreign(self) -> None:
        if not self.overwrite:
            keep_foreign(self.files, self._is_earlier, "choose another --out, or replace it with --overwrite")

    def _is_earlier(self, path: Path) -> bool:
        try:
            files = json.loads(self.json.read_text(encoding="utf-8"))[_FILES]
            return self.images[0].name in files and (path == self.json or files[path.name] == sha256_of(path))
        except (OSError, ValueError, KeyError, TypeError):
            return False


def outputs_of(
    scans: Sequence[ScanFiles],
    out: Path,
    endings: Sequence[str],
    overwrite: bool = False,
    extra: Iterable[Extra] = (),
) -> dict[str, Output]:
    """Name of a scan → its output; checked before any work.

    Args:
        out: a folder, made where missing; or, for the only scan and one ending, a NIfTI file.
        endings: of the images of a scan, such as `_dwi.nii.gz`.
        overwrite, extra: see `Output`.

    Raises:
        InputError: see `Output.check`; also one file for several scans.
    """
    if out.name.endswith(ENDINGS):
        if len(scans) * len(endings) != 1:
            raise InputError(f"{out}: is one file for {len(scans)} scans; name a folder")
        outputs = {scans[0].name: Output((out,), overwrite, tuple(extra))}
    else:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{out}: no folder can be made there ({error.strerror}); choose another one") from error
        if not os.access(out, os.W_OK):
            raise InputError(f"{out}: cannot be written; choose another folder")
        names = {scan.name: tuple(out / f"{scan.name}{ending}" for ending in endings) for scan in scans}
        extra = tuple(extra)
        outputs = {name: Output(images, overwrite, extra) for name, images in names.items()}
    inputs = {file.resolve() for scan in scans for file in scan.files}
    for output in outputs.values():
        output.check(inputs)
    return outputs


def write_images(images: Sequence[Path], volumes: Sequence[np.ndarray], affine: np.ndarray) -> None:
    """Write volumes [X, Y, Z] of one grid to the temporary names of `Output.writing`."""
    for path, volume in zip(images, volumes, strict=True):
        write_volume(path, volume, affine)


def provenance(model: Path | str, bundle: Bundle, provider: str) -> dict[str, Any]:
    """The model and engine that made an output, for the JSON beside it.

    Args:
        model: exported file, or the address of a server that runs it.
    """
    return {
        "model": str(model),
        "model_sha256": sha256_of(Path(model)) if Path(model).is_file() else None,
        "architecture": bundle.architecture,
        "precision": bundle.precision,
        "provider": provider,
        "trained_on": bundle.training.cohort,
        "trained_on_simulated_images": bundle.training.simulated,
        "strokereg": version("strokereg"),
        "intended_use": bundle.intended_use,
    }
