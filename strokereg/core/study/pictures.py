"""Picture sheets of synthetic images, of mixed cases and of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nibabel as nib
import numpy as np

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.report import (
    CALLED,
    TRUTH,
    Outlined,
    Picture,
    Sheet,
    SheetRow,
    ViewerScan,
    label_colours,
    outline,
    radiological,
    window,
)
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import ArmPlan, Plan, Task, TaskKind
from strokereg.core.study.tasks import KEPT, is_done, turned, whole_name
from strokereg.core.synthesis.cases import read_database

#: An arm and the training that is shown, that of its first seed.
ShownArm = tuple[ArmPlan, Task]
Examples = Mapping[str, Mapping[str, np.ndarray]]

_SYNTHETIC = 6  # slices of each database


def draw_sheets(context: StudyContext, plan: Plan, examples: Examples) -> list[Sheet]:
    """All sheets for which there are pictures.

    Args:
        examples: task key → name → plane [Y, X], as the tasks left them.
    """
    databases = [t for t in plan.tasks.values() if t.kind is TaskKind.DATABASE and t.key in examples]
    first: dict[str, Task] = {}
    for task in databases:
        first.setdefault(task.architecture, task)
    translators = {model: task for model, task in first.items() if not context.mixes(model)}
    mixers = {model: task for model, task in first.items() if context.mixes(model)}
    evaluated: dict[int, list[ShownArm]] = {}
    for arm in plan.arms:
        if arm.segmenters[0].key in examples:
            evaluated.setdefault(arm.cases, []).append((arm, arm.segmenters[0]))
    sheets = [
        _held_out(context.dataset.table, translators, examples),
        _training_slices(context, translators),
        _mixed(mixers, examples),
        *_found("cases", "Test cases, segmented", evaluated, examples),
        *_found("external", "External cases, segmented", evaluated, examples),
    ]
    return [sheet for sheet in sheets if sheet["rows"]]


def _held_out(table: LabelTable, databases: Mapping[str, Task], examples: Examples) -> Sheet:
    rows: list[SheetRow] = []
    planes = {model: examples[task.key] for model, task in databases.items()}
    some = next(iter(planes.values()), {})
    for case in dict.fromkeys(name.split("/")[0] for name in some):
        synthetic = [_intensity(p[f"{case}/synthetic"]) for p in planes.values()]
        labels = label_colours(radiological(some[f"{case}/labels"]), table.count)
        rows.append({"label": case, "images": [labels, _intensity(some[f"{case}/image"]), *synthetic]})
    return {
        "title": "Label maps of validation cases, translated",
        "caption": "No translator saw these cases. Left the label map (lesion in colour), then the image that belongs "
        "to it, then the image of each translator.",
        "columns": ["label map", "image", *databases],
        "rows": rows,
    }


def _training_slices(context: StudyContext, databases: Mapping[str, Task]) -> Sheet:
    rows: list[SheetRow] = []
    for model, task in databases.items():
        if not is_done(context, task):
            continue
        pictures: list[np.ndarray | None] = []
        for case in read_database(context.store / task.folder, context.dataset.table.lesion)[:_SYNTHETIC]:
            z = int(case.mask.sum(axis=(1, 2)).argmax())
            image = _intensity(np.asarray(case.image[0, z]))
            pictures.append(outline(image, radiological(case.mask[z])))
        rows.append({"label": model, "images": pictures})
    return {
        "title": "Synthetic training slices",
        "caption": "Anatomy of a training case, lesion drawn by the mask generator (outlined), image by the "
        "translator.",
        "columns": [f"{i + 1}" for i in range(max((len(row["images"]) for row in rows), default=0))],
        "rows": rows,
    }


def _mixed(databases: Mapping[str, Task], examples: Examples) -> Sheet:
    rows: list[SheetRow] = []
    for model, task in databases.items():
        planes = examples[task.key]
        for case in dict.fromkeys(name.split("/")[0] for name in planes):
            host, mixed = (_intensity(planes[f"{case}/{name}"]) for name in ("host", "mixed"))
            drawn = outline(mixed, radiological(planes[f"{case}/lesion"]))
            rows.append({"label": f"{model}: {case}", "images": [host, mixed, drawn]})
    return {
        "title": "Training cases, mixed",
        "caption": "The slice that the mixer changed most: as it was, with what came from another training case, and "
        "with all lesions outlined.",
        "columns": ["host", "mixed", "lesions"],
        "rows": rows,
    }


def _found(part: str, title: str, evaluated: Mapping[int, list[ShownArm]], examples: Examples) -> list[Sheet]:
    """A sheet for each number of clinical cases, if there are several arms with as many; all but the first folded."""
    alone = [pair for pairs in evaluated.values() if len(pairs) == 1 for pair in pairs]
    groups = [pairs for pairs in evaluated.values() if len(pairs) > 1]
    # The headroom's arm stands with the most of its kind rather than on a sheet of its own.
    groups = [*groups[:-1], [*groups[-1], *alone]] if groups else [alone] * bool(alone)
    sheets: list[Sheet] = []
    for pairs in groups:
        named = f"{title}, {pairs[0][0].cases} clinical cases" if len(groups) > 1 else title
        sheets.append({**_segmented(part, named, pairs, examples), "folded": bool(sheets)})
    return sheets


def _segmented(part: str, title: str, evaluated: list[ShownArm], examples: Examples) -> Sheet:
    rows: list[SheetRow] = []
    some = examples[evaluated[0][1].key]
    cases = dict.fromkeys(name.split("/")[1] for name in some if name.startswith(f"{part}/"))
    for case in cases:
        image, truth = some[f"{part}/{case}/image"], some[f"{part}/{case}/truth"]
        box = _around(image)
        plain = window(radiological(image[box]), 0.0, white(image))
        pictures: list[Picture | None] = [plain, Outlined(plain, radiological(truth[box]), TRUTH)]
        for _, task in evaluated:
            called = examples[task.key][f"{part}/{case}/prediction"]
            pictures.append(Outlined(plain, radiological(called[box]), CALLED))
        rows.append({"label": case, "images": pictures})
    return {
        "title": title,
        "caption": "The slice with most lesion. Second column the true outline, then what the first seed of each arm "
        "outlines.",
        "columns": ["image", "truth", *(f"{arm.name} ({arm.cases})" for arm, _ in evaluated)],
        "rows": rows,
    }


def _intensity(plane: np.ndarray) -> np.ndarray:
    """A prepared plane in [-1, 1] as a picture; three brain medians (0.5) are white already."""
    return window(radiological(plane), -1.0, 0.5)


def white(image: np.ndarray) -> float:
    """Intensity shown white: three medians of the brain in a slice or volume."""
    inside = image[image > 0.05 * image.max()] if image.max() > 0 else image
    return 3.0 * float(np.median(inside)) or 1.0


def _around(image: np.ndarray, margin: int = 2) -> tuple[slice, slice]:
    """The part of a plane [Y, X] that shows brain."""
    rows, columns = np.nonzero(image > 0.05 * image.max()) if image.max() > 0 else np.nonzero(image == image)
    height, width = image.shape
    return (
        slice(max(rows.min() - margin, 0), min(rows.max() + margin + 1, height)),
        slice(max(columns.min() - margin, 0), min(columns.max() + margin + 1, width)),
    )


_PARTS = {"cases": "test case", "external": "external case"}


def gather_volumes(context: StudyContext, plan: Plan, examples: Examples) -> list[ViewerScan]:
    """The scans of which predictions were kept; none of a study whose tasks kept none.

    Args:
        examples: task key → name → array, as the tasks left them.
    """
    first = {f"{arm.name} ({arm.cases})": examples.get(arm.segmenters[0].key, {}) for arm in plan.arms}
    found = []
    for part, files in (("cases", context.dataset.test_files), ("external", context.external)):
        for case in files[: KEPT[part]]:
            kept = {
                arm: planes[name] for arm, planes in first.items() if (name := whole_name(part, case.name)) in planes
            }
            if kept:
                found.append(_volume(context, case, part, kept))
    return found


def _volume(context: StudyContext, files: CaseFiles, part: str, kept: Mapping[str, np.ndarray]) -> ViewerScan:
    case = read_case(files, context.dataset.preparation.channels)
    assert case.mask is not None  # it was evaluated against
    image, truth = (turned(volume, case.reference.affine) for volume in (case.reference.data, case.mask))
    spacing = np.abs(nib.affines.voxel_sizes(case.reference.affine))[_order(case.reference.affine)]
    return ViewerScan(
        title=files.name,
        part=_PARTS[part],
        image=image,
        white=white(image),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        truth=truth,
        called={arm: _unpack(bits, truth.shape) for arm, bits in kept.items()},
    )


def _order(affine: np.ndarray) -> np.ndarray:
    """Which stored axis runs along R, A and S."""
    return np.argsort(nib.orientations.io_orientation(affine)[:, 0])


def _unpack(bits: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return np.unpackbits(bits, count=int(np.prod(shape))).astype(bool).reshape(shape)
