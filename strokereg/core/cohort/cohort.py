"""A cohort: cases on disk with a fixed split by subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from strokereg.core.cohort import layout
from strokereg.core.cohort.case import CaseFiles
from strokereg.core.cohort.folder import is_simulated
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.source import Source
from strokereg.core.cohort.split import PARTS, SPLIT_FILE, Split, split_file
from strokereg.core.scan.contrasts import in_order, stem_of
from strokereg.registry.errors import FileFault, InputError, command


@dataclass(frozen=True)
class Cohort:
    """The cases of a folder.

    Attributes:
        root: the folder.
        cases: all cases, by name.
        table: label table of the label maps, or None.
        split: None if the folder has none, as a cohort that is only evaluated on.
        simulated: no patient was scanned for the images, according to the dataset's description.
        fold: fold that `split` belongs to, counted from 1; None for `split.tsv`.
    """

    root: Path
    cases: tuple[CaseFiles, ...]
    table: LabelTable | None
    split: Split | None
    simulated: bool
    fold: int | None = None

    @property
    def name(self) -> str:
        """Folder name as shown in tables, with the fold if there is one."""
        return self.root.name if self.fold is None else f"{self.root.name}, fold {self.fold}"

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Contrasts that some case has, the one that defines the grid first."""
        return tuple(in_order({contrast for case in self.cases for contrast in case.images}))

    def part(self, name: str) -> tuple[CaseFiles, ...]:
        """Cases of `train`, `val` or `test`, in the order of the split."""
        assert self.split is not None
        by_subject: dict[str, list[CaseFiles]] = {}
        for case in self.cases:
            by_subject.setdefault(case.subject, []).append(case)
        return tuple(case for subject in self.split.part(name) for case in by_subject[subject])


def open_cohort(root: Path | str, fold: int | None = None) -> Cohort:
    """Open a cohort folder. Files are listed, no voxel is read.

    For folders of other layouts see `core.cohort.open.read_folder`.

    Args:
        root: folder in strokereg's own layout (`core.cohort.layout`).
        fold: fold of a cross-validation, counted from 1; None for `split.tsv`.

    Raises:
        InputError: no such folder, another layout, no cases, or a split that does not fit the cases.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give a cohort folder, or make one with 'strokereg data simulate'")
    if not layout.recognises(root):
        raise InputError(
            f"{root}: not a cohort folder; it needs a {layout.DESCRIPTION} and sub-*/dwi/*_dwi.nii.gz (BIDS); "
            f"import a folder of another layout with: {command('strokereg', 'data', 'import', root)} --out COHORT"
        )
    return cohort_of(root, Source(layout.list_cases(root), layout.table_path(root)), fold=fold)


def cohort_of(root: Path, source: Source, split: bool = True, fold: int | None = None) -> Cohort:
    """Make the cohort of a folder from its list of cases.

    Args:
        root: the folder.
        source: its cases and label table.
        split: read the split too. Checks read it separately, to report its faults with all others.
        fold: fold of a cross-validation, counted from 1; None for `split.tsv`.

    Raises:
        InputError: no cases, a damaged label table, a missing fold, or a split that does not fit the cases.
    """
    if not source.cases:
        raise InputError(
            f"{root}: holds no sub-*/dwi/*_dwi.nii.gz and no sub-*/anat/*_FLAIR.nii.gz (or T1w, T2w); add the images"
        )
    parts = read_split(root, source.cases, fold) if split else None
    if fold is not None and parts is None:
        raise InputError(
            f"--fold {fold}: {root} has no {split_file(fold)}; write the folds with 'strokereg data split --folds'"
        )
    return Cohort(
        root=root,
        cases=tuple(source.cases),
        table=LabelTable.read(source.table) if source.table else None,
        split=parts,
        simulated=is_simulated(root),
        fold=fold,
    )


def read_split(root: Path, cases: Sequence[CaseFiles], fold: int | None = None) -> Split | None:
    """Read the split of a cohort, or of one fold; None if there is none.

    Raises:
        FileFault: not a table, a subject in two parts, or a subject that the cohort does not have.
    """
    path = root / split_file(fold)
    if not path.is_file():
        return None
    split = Split.read(path)
    known = {case.subject for case in cases}
    stray = [subject for subject in split.subjects if subject not in known]
    if stray:
        near = next((name for name in sorted(known) if _bare(name) == _bare(stray[0])), None)
        fix = f"write {near}" if near else "correct the split"
        raise FileFault(path, f"names {stray[0]}, which has no image in {root}", fix)
    return split


def _bare(subject: str) -> str:
    """A subject's label without the zeros in front, which spreadsheets take away: `sub-007` → `7`."""
    return subject.removeprefix("sub-").lstrip("0").lower()


def default_channels(cohort: Cohort) -> tuple[str, ...]:
    """The contrast that is used if none is named: dwi, or the only one of a cohort without DWI.

    Raises:
        InputError: several contrasts, and no DWI.
    """
    found = cohort.contrasts
    if "dwi" in found:
        return ("dwi",)
    if len(found) != 1:
        raise InputError(
            f"{cohort.root}: has images of {', '.join(found)}; choose with --channels, the first for the grid"
        )
    return found


def require_trainable(cohort: Cohort) -> None:
    """Refuse a cohort that no segmenter can be trained on.

    Raises:
        InputError: no split, an empty part, or no lesion masks.
    """
    if cohort.split is None:
        split = command("strokereg", "data", "split", cohort.root)
        raise InputError(f"{cohort.root}: has no {SPLIT_FILE}; write one with: {split}")
    for part in PARTS:
        if not cohort.split.part(part):
            raise InputError(
                f"{cohort.root / split_file(cohort.fold)}: has no subject in '{part}'; give it at least one"
            )
    for case in (case for part in PARTS for case in cohort.part(part)):
        if case.mask is None:
            mask = f"derivatives/*/{_beside(cohort, case)}_desc-lesion_mask.nii.gz"
            raise InputError(
                f"{cohort.root}: {case.name} has no lesion mask; add {mask} (all zero if there is no lesion)"
            )


def require_label_maps(cohort: Cohort, needed_by: str) -> None:
    """Refuse a cohort with a case without tissue label map.

    Args:
        needed_by: what needs them, for the message.

    Raises:
        InputError: a case without label map, or no label table.
    """
    fix = f"make label maps with: {command('strokereg', 'data', 'label', cohort.root)}"
    if (case := _without_label_map(cohort)) is not None:
        raise InputError(f"{cohort.root}: {case.name} has no tissue label map, needed by {needed_by}; {fix}")
    if cohort.table is None:
        raise InputError(f"{cohort.root}: has no derivatives/*/dseg.tsv; add the label table of its label maps")


def has_label_maps(cohort: Cohort) -> bool:
    """Whether there is a label table, and a tissue label map of every case in the split."""
    return cohort.table is not None and _without_label_map(cohort) is None


def _without_label_map(cohort: Cohort) -> CaseFiles | None:
    return next((case for part in PARTS for case in cohort.part(part) if case.dseg is None), None)


def _beside(cohort: Cohort, case: CaseFiles) -> str:
    """Folder and stem of the first image, as mask and label map have them below their derivative."""
    image = case.images[case.first]
    folder = image.parent.relative_to(cohort.root) if image.is_relative_to(cohort.root) else Path(case.subject)
    return (folder / stem_of(image)).as_posix()
