"""Picture sheets of synthetic images, of mixed cases and of predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import nibabel as nib
import numpy as np

from strokereg.core.cohort.case import CaseFiles, read_case
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.report import ViewerScan
from strokereg.core.scan.pictures import (
    CALLED,
    TRUTH,
    Cell,
    Key,
    Outlined,
    Sheet,
    SheetRow,
    label_colours,
    label_legend,
    window,
)
from strokereg.core.scan.view import Convention, axial
from strokereg.core.study.context import StudyContext
from strokereg.core.study.plan import ArmPlan, Plan, Task, TaskKind
from strokereg.core.study.tasks import KEPT, is_done, whole_name
from strokereg.core.synthesis.cases import read_database

#: An arm and the training that is shown, that of its first seed.
ShownArm = tuple[ArmPlan, Task]
Examples = Mapping[str, Mapping[str, np.ndarray]]

_SYNTHETIC = 6  # slices of each database
_LESION = Key("lesion", TRUTH)


def draw_sheets(
    context: StudyContext, plan: Plan, examples: Examples, convention: Convention = Convention.RADIOLOGICAL
) -> list[Sheet]:
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
    drawing = _Drawing(convention, examples)
    sheets = [
        drawing.held_out(context.dataset.table, translators),
        drawing.training_slices(context, translators),
        drawing.mixed(mixers),
        *drawing.segmented("cases", "Test cases, segmented", evaluated),
        *drawing.segmented("external", "External cases, segmented", evaluated),
    ]
    return [sheet for sheet in sheets if sheet.rows]


class _Drawing:
    """Draws the planes that the tasks of a study left, in one convention."""

    def __init__(self, convention: Convention, examples: Examples) -> None:
        self.convention, self.turn, self.examples = convention, convention.turn, examples

    def held_out(self, table: LabelTable, databases: Mapping[str, Task]) -> Sheet:
        rows = []
        planes = {model: self.examples[task.key] for model, task in databases.items()}
        some = next(iter(planes.values()), {})
        for case in dict.fromkeys(name.split("/")[0] for name in some):
            synthetic = [self._intensity(p[f"{case}/synthetic"]) for p in planes.values()]
            labels = label_colours(self.turn(some[f"{case}/labels"]), table.count)
            rows.append(SheetRow(case, [labels, self._intensity(some[f"{case}/image"]), *synthetic]))
        return Sheet(
            title="Label maps of validation cases, translated",
            caption="No translator saw these cases. First the label map, then the real image that belongs to it, then "
            "the image of each translator.",
            columns=["label map", "real image", *databases],
            rows=rows,
            legend=label_legend(table.names),
            convention=self.convention,
        )

    def training_slices(self, context: StudyContext, databases: Mapping[str, Task]) -> Sheet:
        rows = []
        for model, task in databases.items():
            if not is_done(context, task):
                continue
            cells: list[Cell] = []
            for case in read_database(context.store / task.folder, context.dataset.table.lesion)[:_SYNTHETIC]:
                z = int(case.mask.sum(axis=(1, 2)).argmax())
                image = self._intensity(np.asarray(case.image[0, z]))
                cells.append(Outlined(image, self.turn(case.mask[z]), TRUTH))
            rows.append(SheetRow(model, cells))
        return Sheet(
            title="Synthetic training slices",
            caption="Anatomy of a training case, lesion of the mask generator, image of the translator.",
            columns=[f"{i + 1}" for i in range(max((len(row.images) for row in rows), default=0))],
            rows=rows,
            legend=[_LESION],
            convention=self.convention,
        )

    def mixed(self, databases: Mapping[str, Task]) -> Sheet:
        rows = []
        for model, task in databases.items():
            planes = self.examples[task.key]
            for case in dict.fromkeys(name.split("/")[0] for name in planes):
                host, mixed = (self._intensity(planes[f"{case}/{name}"]) for name in ("host", "mixed"))
                drawn = Outlined(mixed, self.turn(planes[f"{case}/lesion"]), TRUTH)
                rows.append(SheetRow(f"{model}: {case}", [host, mixed, drawn]))
        return Sheet(
            title="Training cases, mixed",
            caption="The slice that the mixer changed most: as it was, with what came from another training case, and "
            "with all lesions outlined.",
            columns=["host", "mixed", "mixed, lesions"],
            rows=rows,
            legend=[_LESION],
            convention=self.convention,
        )

    def segmented(self, part: str, title: str, evaluated: Mapping[int, list[ShownArm]]) -> list[Sheet]:
        """A sheet for each number of clinical cases, if there are several arms with as many; the others are folded."""
        alone = [pair for pairs in evaluated.values() if len(pairs) == 1 for pair in pairs]
        groups = [pairs for pairs in evaluated.values() if len(pairs) > 1]
        # The headroom's arm stands with the most of its kind rather than on a sheet of its own.
        groups = [*groups[:-1], [*groups[-1], *alone]] if groups else [alone] * bool(alone)
        sheets: list[Sheet] = []
        for pairs in groups:
            named = f"{title}, {pairs[0][0].cases} clinical cases" if len(groups) > 1 else title
            sheets.append(replace(self._arms(part, pairs), title=named, folded=bool(sheets)))
        return sheets

    def _arms(self, part: str, evaluated: list[ShownArm]) -> Sheet:
        rows = []
        some = self.examples[evaluated[0][1].key]
        cases = dict.fromkeys(name.split("/")[1] for name in some if name.startswith(f"{part}/"))
        for case in cases:
            image, truth = some[f"{part}/{case}/image"], some[f"{part}/{case}/truth"]
            box = _around(image)
            plain = window(self.turn(image[box]), 0.0, white(image))
            cells: list[Cell] = [plain, Outlined(plain, self.turn(truth[box]), TRUTH)]
            for _, task in evaluated:
                called = self.examples[task.key][f"{part}/{case}/prediction"]
                cells.append(Outlined(plain, self.turn(called[box]), CALLED))
            rows.append(SheetRow(case, cells))
        return Sheet(
            title="",
            caption="The slice with most lesion: the image, the true lesion, and the prediction of the first seed of "
            "each arm, with its number of clinical cases.",
            columns=["image", "true lesion", *(f"{arm.name} ({arm.cases})" for arm, _ in evaluated)],
            rows=rows,
            legend=[Key("true lesion", TRUTH), Key("prediction", CALLED)],
            convention=self.convention,
        )

    def _intensity(self, plane: np.ndarray) -> np.ndarray:
        """A prepared plane in [-1, 1] as a picture; three brain medians (0.5) are white already."""
        return window(self.turn(plane), -1.0, 0.5)


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


def gather_volumes(
    context: StudyContext, plan: Plan, examples: Examples, convention: Convention = Convention.RADIOLOGICAL
) -> list[ViewerScan]:
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
                found.append(replace(_volume(context, case, part, kept), convention=convention))
    return found


def _volume(context: StudyContext, files: CaseFiles, part: str, kept: Mapping[str, np.ndarray]) -> ViewerScan:
    case = read_case(files, context.dataset.preparation.channels)
    assert case.mask is not None  # it was evaluated against
    image, truth = (axial(volume, case.reference.affine) for volume in (case.reference.data, case.mask))
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
