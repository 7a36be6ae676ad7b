"""Score segmenters on the cases of a cohort: run folders, exported files, and masks that any other tool predicted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.cohort import Cohort
from strokereg.core.cohort.open import read_folder
from strokereg.core.cohort.split import PARTS
from strokereg.core.evaluate.metrics import score
from strokereg.core.evaluate.predicted_masks import match_masks, read_mask
from strokereg.core.report.segmenter_scores import (
    SegmenterEvaluation,
    SegmenterScores,
    summarise_segmenters,
    write_scores,
)
from strokereg.core.scan.nifti import Volume, check_same_grid, ending_of
from strokereg.core.scan.view import Convention
from strokereg.core.storage.files import in_own_folder, keep_foreign, make_folder, write_json
from strokereg.core.study.store import TASKS
from strokereg.core.train.device import choose_device
from strokereg.core.train.record import RECORD
from strokereg.core.train.runs import versions
from strokereg.core.train.validation import predict_case
from strokereg.export.exporter import postprocessing_of
from strokereg.export.files import open_best, read_bundle
from strokereg.export.formats import Format, format_of, model_in
from strokereg.export.run import TrainedRun
from strokereg.export.runtime.segmenter import Segmenter, load
from strokereg.export.runtime.session import FunctionSession
from strokereg.export.worst_cases import draw_worst, worst_slice
from strokereg.registry.errors import InputError, did_you_mean
from strokereg.registry.specs import Role

#: Default output folder.
OUT = Path("strokereg-scores")
#: The cases of a cohort without a split, or of all parts together.
ALL = "all"

_JSON, _CSV, _SHEET = "evaluation.json", "evaluation.csv", "worst.png"


class Kind(StrEnum):
    """What a segmenter was read from."""

    RUN = "run"
    BUNDLE = "bundle"
    MASKS = "masks"


@dataclass(frozen=True)
class EvaluationSettings:
    """Which cases segmenters are scored on, and where they run.

    Attributes:
        part: train, val, test or all; None for test, or for all cases of a cohort without a split.
        cases: number of cases, the first of the part; None for all.
        fold: fold of a cross-validation, from 1; None for that of the runs, or for `split.tsv`.
        device: of runs and exported files.
        command: kept in `evaluation.json`.
        convention: of the pictures.
    """

    part: str | None = None
    cases: int | None = None
    fold: int | None = None
    device: str = "auto"
    command: str = ""
    convention: Convention = Convention.RADIOLOGICAL


@dataclass(frozen=True)
class _Opened:
    """A segmenter; `masks` gives scan and mask, bool [X, Y, Z], of a case, and `run` is a training of strokereg."""

    path: Path
    kind: Kind
    masks: Callable[[CaseFiles], tuple[Volume, np.ndarray]] | None = None
    run: TrainedRun | None = None


def evaluate_segmenters(
    places: Sequence[Path | str],
    data: Path | str,
    out: Path | str = OUT,
    settings: EvaluationSettings | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_warning: Callable[[str], object] = lambda sentence: None,
) -> SegmenterEvaluation:
    """Score segmenters with every metric on each case, and compare all others with the first.

    Args:
        places: run folders, exported files, and folders of masks (see `match_masks`).
        data: a cohort, or a folder of any layout that a reader recognises, with lesion masks.
        out: folder for `evaluation.json`, `evaluation.csv` and `worst.png`.
        settings: by default all test cases.
        on_progress: called with the number of finished cases and their total.
        on_warning: called with a sentence if a run has seen the cases.

    Raises:
        InputError: a place that is no segmenter, cases without a lesion mask, or a mask that is missing, not binary or
            on another grid.
    """
    settings, out = settings or EvaluationSettings(), Path(out)
    if not places:
        raise InputError("no segmenter is given; name run folders, exported files or folders of masks")
    opened = [_open(Path(place), settings.device) for place in places]
    names = _distinct([one.path for one in opened])
    fold = _fold(opened, Path(data), settings.fold)
    cohort = read_folder(data, fold)
    part, cases = _cases(cohort, settings)
    for name, one in zip(names, opened, strict=True):
        if sentence := _seen(name, one, cohort, part):
            on_warning(sentence)
    predict = [one.masks or _from_folder(one.path, cases) for one in opened]
    keep_foreign([out / name for name in (_JSON, _CSV, _SHEET)], in_own_folder(_JSON, "segmenters"))
    scored = [
        SegmenterScores(name=name, kind=one.kind, source=str(one.path), cases={})
        for name, one in zip(names, opened, strict=True)
    ]
    slices = {}
    on_progress(0, len(cases))
    for done, files in enumerate(cases, start=1):
        case = read_case(files)
        assert case.mask is not None
        called = {}
        for one, masks in zip(scored, predict, strict=True):
            scan, called[one.name] = masks(files)
            check_same_grid(case.reference, scan)
            one.cases[files.name] = score(called[one.name], case.mask, case.reference.spacing)
        slices[files.name] = worst_slice(case.reference, case.mask, called)
        on_progress(done, len(cases))
    segmenters, differences = summarise_segmenters(scored)
    evaluated = SegmenterEvaluation(
        command=settings.command, cohort=cohort.name, simulated=cohort.simulated, part=part, fold=fold,
        segmenters=segmenters, differences=differences, versions=versions(),
    )  # fmt: skip
    make_folder(out)
    write_scores(segmenters, out / _CSV)
    draw_worst(evaluated, slices, out / _SHEET, settings.convention)
    write_json(out / _JSON, evaluated.model_dump(mode="json"))
    return evaluated


def _open(path: Path, device: str) -> _Opened:
    if (path / RECORD).is_file():
        return _open_run(path, device)
    model = model_in(path)
    if (path / TASKS).is_file():
        raise InputError(f"{path}: is a study; give runs of it, which 'strokereg runs list {path}' names")
    if model.is_dir():
        return _Opened(path, Kind.MASKS)
    if not model.exists():
        raise InputError(f"{path}: no such file or folder; give a run, an exported file or a folder of masks")
    if ending_of(model):
        raise InputError(f"{path}: is a single image; give the folder that holds the masks of all cases")
    return _open_bundle(path, model, device)


def _open_run(path: Path, device: str) -> _Opened:
    run = TrainedRun.read(path)
    if run.record.role is not Role.SEGMENTER:
        raise InputError(f"{path}: is a run of the {run.record.role} {run.record.architecture}; give a segmenter")
    model, rule = run.model.to(choose_device(device)), postprocessing_of(run.record)

    def masks(files: CaseFiles) -> tuple[Volume, np.ndarray]:
        found = predict_case(model, files, run.record.preparation, run.record.problem.size, rule.flips)
        return found.reference, found.mask(rule)

    return _Opened(path, Kind.RUN, masks, run)


def _open_bundle(path: Path, model: Path, device: str) -> _Opened:
    kind, bundle = format_of(model), read_bundle(model)
    if kind == Format.SCAN:
        raise InputError(
            f"{path}: holds a whole-scan graph; give the file of --format onnx, which has the same network"
        )
    if bundle.role != Role.SEGMENTER:
        raise InputError(f"{path}: is the {bundle.role} {bundle.architecture}; give a segmenter")
    if kind == Format.ONNX:
        segmenter = load(model, device=device)
    else:
        segmenter = Segmenter(model, FunctionSession(open_best(model, bundle)[0]), bundle)
    rule = segmenter.postprocessing()

    def masks(files: CaseFiles) -> tuple[Volume, np.ndarray]:
        case = read_case(files, bundle.channels)
        return case.reference, segmenter.find(list(case.images.values()), rule).mask

    return _Opened(path, Kind.BUNDLE, masks)


def _from_folder(folder: Path, cases: Sequence[CaseFiles]) -> Callable[[CaseFiles], tuple[Volume, np.ndarray]]:
    matched = match_masks(folder, cases)

    def masks(files: CaseFiles) -> tuple[Volume, np.ndarray]:
        scan = read_case(files).reference
        return scan, read_mask(matched[files.name], scan)

    return masks


def _distinct(paths: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as tell it from the others."""
    whole = [path.resolve() for path in paths]
    for path in whole:
        if whole.count(path) > 1:
            raise InputError(f"{path}: is given twice; name each segmenter once")
    names = []
    for path in whole:
        length = 1
        while sum(other.parts[-length:] == path.parts[-length:] for other in whole) > 1:
            length += 1
        names.append("/".join(path.parts[-length:]))
    return names


def _fold(opened: Sequence[_Opened], data: Path, asked: int | None) -> int | None:
    """The fold to evaluate: the one asked for, which must be that of every run on this cohort."""
    fold = asked
    for one in opened:
        if one.run is None or one.run.record.cohort.get("path") != str(data.resolve()):
            continue
        own = one.run.record.fold_in(data)
        if own is not None and fold is None:
            fold = own
        if own != fold:
            trained = "on split.tsv" if own is None else f"on fold {own}"
            raise InputError(
                f"{one.path}: was trained {trained} of this cohort, so it may have seen cases of fold {fold}; "
                "evaluate each fold by itself"
            )
    return fold


def _cases(cohort: Cohort, settings: EvaluationSettings) -> tuple[str, Sequence[CaseFiles]]:
    part = settings.part or (ALL if cohort.split is None else "test")
    if part != ALL and part not in PARTS:
        parts = (*PARTS, ALL)
        raise InputError(f"--split {part}: no such part{did_you_mean(part, parts)}; choose from {', '.join(parts)}")
    if part != ALL and cohort.split is None:
        raise InputError(f"--split {part}: {cohort.root} has no split.tsv; leave --split out to use all cases")
    cases = cohort.cases if part == ALL else cohort.part(part)
    if not cases:
        raise InputError(f"--split {part}: {cohort.root} has no case in that part; choose another")
    if settings.cases is not None and not 1 <= settings.cases <= len(cases):
        raise InputError(f"--cases {settings.cases}: there are {len(cases)} cases; ask for 1 to that many")
    cases = cases[: settings.cases]
    for case in cases:
        if case.mask is None:
            raise InputError(f"{cohort.root}: {case.name} has no lesion mask to evaluate against; add it")
    return part, cases


def _seen(name: str, one: _Opened, cohort: Cohort, part: str) -> str:
    """A sentence if a run has seen the cases; empty if it has not."""
    own = one.run is not None and one.run.record.cohort.get("path") == str(cohort.root.resolve())
    if not own or part == "test":
        return ""
    how = "its weights and threshold were chosen on these cases" if part == "val" else "it was trained on these cases"
    return f"{name}: {how}, so the scores are too good"
