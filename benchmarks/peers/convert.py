"""Write a cohort as a data set that nnU-Net and the MONAI loop read; the grid is the one that strokereg's networks see.

One folder an arm (see `exchange.py`), with nothing in it that the arm may not learn from but test and external images.
Intensities are those of the scan: normalising is each peer's own business. Labels are the ones that strokereg trains
on. A spacing that is the scans' own makes no interpolation at all.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from exchange import Exchange

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.cohort.exporting import ExportFormat
from strokereg.core.cohort.exporting.choose import ExportSettings, choose
from strokereg.core.cohort.open import read_folder
from strokereg.core.scan.grid import Preparation, frame_of
from strokereg.core.scan.nifti import write_volume
from strokereg.core.storage.files import write_json
from strokereg.core.train.dataset import DatasetSettings, PreparedDataset, prepare_dataset, prepared_folder
from strokereg.core.train.prepared import PreparedCase, prepare_cases
from strokereg.registry.errors import InputError


def convert(
    cohort: Path, out: Path, cases: int, spacing: float, external: Path | None = None, added: Sequence[Path] = ()
) -> Path:
    """Write the data set of an arm with the first `cases` training cases (0: all); returns its folder.

    Args:
        spacing: of the grid in mm, along all axes.
        external: a folder of another origin, whose cases are to be predicted too.
        added: cohorts whose cases join the training cases, such as synthetic ones. The split then names each of the
            first cases so often that half of all draws are of them, as in a study.

    Raises:
        InputError: a cohort that cannot be trained on, fewer training cases than asked for, an
            external case without a mask, an added cohort of other labels or with a test patient, or `out` is in use.
    """
    if out.exists() and any(out.iterdir()):
        raise InputError(f"{out}: is not empty; name a new folder")
    ready = prepare_dataset(open_cohort(cohort), DatasetSettings(spacing=(spacing,) * 3))
    if cases > len(ready.train):
        raise InputError(f"{cohort}: has {len(ready.train)} training cases, not {cases}; ask for fewer")
    cases = cases or len(ready.train)
    train, val = ready.train_files[:cases], ready.validation_files
    joining, prepared = _joining(cohort, added, ready)
    elsewhere = read_folder(external).cases if external else ()
    for case in elsewhere:
        if case.mask is None:
            raise InputError(f"{external}: {case.name} has no lesion mask to evaluate against; take it out")

    to = Exchange(out)
    for folder, files in (
        ("imagesTr", [*train, *joining, *val]),
        ("imagesTs", ready.test_files),
        ("imagesEx", elsewhere),
    ):
        _write_images(to.raw / folder, files, ready.preparation)
    (to.raw / "labelsTr").mkdir()
    for case in (*ready.train[:cases], *prepared, *ready.validation):
        write_volume(to.label(case.name), case.mask.transpose(2, 1, 0).astype(np.uint8), _affine(ready.preparation))
    description = {
        "channel_names": {"0": "DWI"},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": len(train) + len(joining) + len(val),
        "file_ending": ".nii.gz",
    }
    write_json(to.raw / "dataset.json", description)
    to.preprocessed.mkdir(parents=True)
    drawn = [case.name for case in train] * max(1, round(len(joining) / len(train)))
    drawn += [case.name for case in joining]
    write_json(to.split_file, [{"train": drawn, "val": [case.name for case in val]}])
    facts = {
        "cohort": str(cohort.resolve()),
        "external": str(external.resolve()) if external else None,
        "content": ready.facts["key"],
        "cases": cases,
        "added": len(joining),
        "slice": list(ready.problem.size),
        "preparation": ready.preparation.model_dump(mode="json"),
    }
    write_json(to.facts_file, facts)  # last: a folder with it is whole
    return out


def _joining(cohort: Path, added: Sequence[Path], ready: PreparedDataset) -> tuple[list[CaseFiles], list[PreparedCase]]:
    """The cases of other cohorts under the names that an export gives them, and prepared on the same grid."""
    settings = ExportSettings(ExportFormat.NNUNET, ready.preparation.channels)
    choice = choose(open_cohort(cohort), [open_cohort(other) for other in added], settings)
    if choice.table is None:
        raise InputError(f"{added[0]}: has other labels than {cohort}; make both with the same label table")
    files = [
        replace(case.files, name=case.name, subject=case.subject)
        for case in choice.parts["train"]
        if case.cohort.root.resolve() != cohort.resolve()
    ]
    return files, prepare_cases(files, ready.preparation, ready.table, prepared_folder())


def _write_images(folder: Path, files: Iterable[CaseFiles], preparation: Preparation) -> None:
    folder.mkdir(parents=True)
    for case in files:
        scan = read_case(case).reference
        grid = frame_of(scan, preparation).image(scan.data)
        write_volume(folder / f"{case.name}_0000.nii.gz", grid.transpose(2, 1, 0), _affine(preparation))


def _affine(preparation: Preparation) -> np.ndarray:
    """Voxel size only: the way back to the scan is the frame's, and ITK refuses directions that are rounded."""
    return np.diag([*preparation.spacing, 1.0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--cases", type=int, default=0, help="first training cases of the split; 0: all")
    parser.add_argument("--spacing", type=float, default=3.0, help="of the grid, mm")
    parser.add_argument("--external", type=Path)
    parser.add_argument("--add", type=Path, action="append", default=[], help="cohort that joins the training cases")
    given = parser.parse_args()
    try:
        print(convert(given.cohort, given.out, given.cases, given.spacing, given.external, given.add))
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
