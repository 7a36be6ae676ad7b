"""Export cohorts: the folder is complete or does not exist."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.exporting import ExportFormat, bids, monai, nnunet
from strokereg.core.cohort.exporting.choose import ExportSettings, choose
from strokereg.core.cohort.split import PARTS
from strokereg.core.storage.files import make_folder
from strokereg.core.storage.workers import map_in_threads
from strokereg.registry.errors import InputError

_FORMATS = {ExportFormat.NNUNET: nnunet, ExportFormat.BIDS: bids, ExportFormat.MONAI: monai}


@dataclass(frozen=True)
class Exported:
    """The outcome of an export.

    Attributes:
        folder: where it is.
        format: its format.
        channels: contrasts, in the order of the channels.
        counts: `train`, `val` and `test` → number of cases.
        notes: what the user should know.
    """

    folder: Path
    format: ExportFormat
    channels: tuple[str, ...]
    counts: dict[str, int]
    notes: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """For `--json`."""
        return {**vars(self), "folder": str(self.folder)}


def export_data(
    cohort: Path | str,
    out: Path | str,
    settings: ExportSettings,
    added: Sequence[Path | str] = (),
    on_case: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write a cohort in the format of another tool. Files keep their bytes: voxels and affines do not change.

    Args:
        cohort: decides which cases validate and test.
        out: new folder.
        settings: format, contrasts, number of training cases.
        added: cohorts whose cases join the training cases, for instance synthetic ones.
        on_case: called with (finished, total) after each case, from several threads.

    Raises:
        InputError: see `open_cohort` and `choose`; an output folder that is not empty, lies in a cohort, has a name
            that the format does not allow, or cannot be written.
    """
    out = Path(out)
    first, others = open_cohort(cohort, settings.fold), [open_cohort(other) for other in added]
    writer = _FORMATS[settings.format]
    _check_place(out, [one.root for one in (first, *others)])
    if settings.format is ExportFormat.NNUNET:
        nnunet.check_name(out)
    choice = choose(first, others, settings)
    make_folder(out.parent)
    counter, total = itertools.count(1), len(choice.cases)
    try:
        building = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); choose another folder with --out") from error
    try:
        building.chmod(0o755)
        writer.begin(building, choice)

        def one(index: int) -> None:
            writer.write_case(building, choice.cases[index], choice, settings.link)
            on_case(next(counter), total)

        on_case(0, total)
        map_in_threads(one, range(total))
        notes = writer.finish(building, choice, out)
        if out.is_dir():
            out.rmdir()
        building.rename(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror}); free some space and call again") from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    counts = {part: len(choice.parts[part]) for part in PARTS}
    return Exported(out, settings.format, choice.channels, counts, tuple(notes))


def _check_place(out: Path, roots: Sequence[Path]) -> None:
    for root in roots:
        if root.resolve() in (out.resolve(), *out.resolve().parents):
            raise InputError(f"--out {out}: lies in the cohort {root}, which is never changed; give another folder")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"--out {out}: exists already and is not overwritten; give a new folder")
