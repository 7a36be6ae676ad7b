"""Plans a study: its arms, the tasks that each arm needs, and the key of each task.

A key is the digest of everything that determines a task's outcome: contents of the cases, architecture with its
distribution, version and source, options, grid, trainer settings, and the keys of the tasks it depends on. Tasks
with equal keys are the same work and are done once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import product
from typing import Any

from strokereg.core.evaluate.metrics import CaseMetrics
from strokereg.core.report.results import Training
from strokereg.core.storage.cache import digest
from strokereg.core.study.context import StudyContext
from strokereg.core.study.settings import LIBRARY, StudySettings, library_users
from strokereg.core.synthesis.composition import Composition
from strokereg.core.synthesis.mask_library import OF_COHORT
from strokereg.core.train.record import Record
from strokereg.core.train.trainer import TrainerSettings
from strokereg.registry.catalogue import find

_FORMAT = 3  # part of every key: raise it when the meaning of a task changes


@dataclass(frozen=True)
class ArmSettings:
    """One training set for one segmenter.

    Attributes:
        training: what it is trained on.
        segmenter: the segmenter.
        model: the translator or mixer behind the synthetic images; None for clinical only.
        generator: the generator of their lesions; None for clinical only and for mixers.
        public: whether anatomies, masks or both come from public folders; see `StudySettings.anatomies`.
        share: synthetic share of each batch in mixed arms; None in other arms.
        compose: what becomes the synthetic images; None for clinical only and for mixers.
    """

    training: Training
    segmenter: str
    model: str | None = None
    generator: str | None = None
    public: bool = False
    share: float | None = None
    compose: Composition | None = None

    def name(self, settings: StudySettings) -> str:
        """The name in tables: only what distinguishes it from the other arms of the study."""
        head = "clinical only" if self.model is None else f"{self.model}, {self.training}"
        segmenter = self.segmenter if len(settings.segmenters) > 1 else ""
        return ", ".join(filter(None, [head, self.note(settings), segmenter]))

    def note(self, settings: StudySettings) -> str:
        """The part of the name beyond model, training and segmenter."""
        parts = [_public(settings) if self.public else "", self.source(settings)]
        if self.share is not None and len(settings.shares) > 1:
            parts.append(f"{self.share:.0%} of each batch")
        return ", ".join(filter(None, parts))

    def source(self, settings: StudySettings) -> str:
        """Generator and composition of the synthetic cases, where others of the study differ in them."""
        several = len(settings.generators) > 1 or self.generator in library_users(settings)
        generator = self.generator if self.generator != LIBRARY and several else ""
        composed = self.compose.words if self.compose and len(settings.compose) > 1 else ""
        return ", ".join(filter(None, [generator, composed]))


def list_arms(settings: StudySettings, mixers: frozenset[str]) -> Iterator[ArmSettings]:
    """All arms of a study; for each segmenter, clinical only comes first.

    Args:
        mixers: the models of the study that need neither generator nor translator.
    """
    for segmenter in settings.segmenters:
        yield ArmSettings("clinical", segmenter)
        for model in settings.models:
            priors = _priors(settings, model in mixers)
            composed = (None,) if model in mixers else settings.compose
            for (generator, public), compose in product(priors, composed):
                made = ArmSettings("synthetic", segmenter, model, generator, public, compose=compose)
                if not settings.mixed_only:
                    yield made
                for share in settings.shares:
                    yield replace(made, training="clinical + synthetic", share=share)


def _priors(settings: StudySettings, mixer: bool) -> list[tuple[str | None, bool]]:
    """Generator of the lesions and whether public sources are used, for each set of arms."""
    if mixer:
        return [(None, False)]
    users = library_users(settings)
    own: list[tuple[str | None, bool]] = [(name, name in users) for name in settings.generators if name != LIBRARY]
    if settings.mask_library:
        return [*own, (LIBRARY, True)]
    return [*own, *((name, True) for name in settings.generators)] if settings.anatomies else own


def _public(settings: StudySettings) -> str:
    masks = "all training masks" if str(settings.mask_library) == OF_COHORT else "public masks"
    if settings.anatomies and settings.mask_library:
        return f"public anatomies, {masks}" if masks != "public masks" else "public anatomies and masks"
    return "public anatomies" if settings.anatomies else masks


class TaskKind(StrEnum):
    """The kinds of work of a study; three of them are the roles that are trained."""

    GENERATOR = "generator"
    TRANSLATOR = "translator"
    SEGMENTER = "segmenter"
    DATABASE = "database"
    QUALITY = "quality"


@dataclass(frozen=True)
class Task:
    """One piece of work with its own folder.

    Attributes:
        architecture: the architecture that is trained, or that makes the images.
        cases: number of clinical cases that it uses.
        needs: keys of the tasks that must be done before.
        clinical, database, translator, share: for a segmenter: whether it trains on clinical cases, its synthetic
            database, the translator of that, and the synthetic share of each batch.
        public: whether a database uses the public anatomies.
        compose: what becomes the images of a translator's database.
        note: a remark that distinguishes it from other tasks.
        evaluated: key of the evaluation of a segmenter. It is not part of the key of its training, so evaluation on
            other cases needs no other training.
    """

    kind: TaskKind
    key: str
    architecture: str
    cases: int
    seed: int
    needs: tuple[str, ...] = ()
    clinical: bool = True
    database: str | None = None
    translator: str | None = None
    share: float | None = None
    public: bool = False
    compose: Composition = Composition.TRANSLATED
    note: str = ""
    evaluated: str = ""
    steps: int = 1

    @property
    def folder(self) -> str:
        """Name of its folder in the store."""
        return f"{self.kind}-{self.architecture.replace(':', '.')}-{self.key[:16]}"

    @property
    def title(self) -> str:
        """The name in progress bars and messages."""
        data = self.trained_on if self.kind is TaskKind.SEGMENTER else ""
        about = ", ".join(filter(None, [f"{self.cases} cases", data, self.note, f"seed {self.seed}"]))
        return f"{self.kind} {self.architecture} ({about})"

    @property
    def trained_on(self) -> str:
        """Short description of the training data of a segmenter."""
        synthetic = f"{self.translator} synthetic" if self.translator else ""
        return " + ".join(filter(None, ["clinical" if self.clinical else "", synthetic]))


@dataclass(frozen=True)
class ArmPlan:
    """An arm and its segmenter trainings, one per seed."""

    name: str
    settings: ArmSettings
    cases: int
    segmenters: tuple[Task, ...]


@dataclass
class Plan:
    """All tasks, each after the tasks it needs, and the arms."""

    tasks: dict[str, Task] = field(default_factory=dict)
    arms: list[ArmPlan] = field(default_factory=list)

    def add(self, task: Task) -> Task:
        """Add a task unless it is planned already."""
        return self.tasks.setdefault(task.key, task)


def make_plan(context: StudyContext) -> Plan:
    """Plan the arms and tasks of a study."""
    settings, plan = context.settings, Plan()
    everything = len(context.dataset.train)
    numbers = [min(n, everything) or everything for n in settings.cases]
    wanted = list(list_arms(settings, frozenset(filter(context.mixes, settings.models))))
    for segmenter in settings.segmenters:
        own = [arm for arm in wanted if arm.segmenter == segmenter]
        plan.arms += [_arm(plan, context, arm, cases) for cases in numbers for arm in own]
        if settings.headroom and everything not in numbers:
            plan.arms.append(_arm(plan, context, own[0], everything))
    if settings.quality:
        for database in [task for task in plan.tasks.values() if task.kind is TaskKind.DATABASE]:
            plan.add(_quality(plan, context, database))
    return plan


def record_of(context: StudyContext, task: Task) -> Record:
    """The record that a training writes into its run folder."""
    registered = find(task.architecture)
    budget = context.settings.budgets[task.kind]
    return Record(
        architecture=task.architecture,
        role=registered.spec.role,
        distribution=registered.distribution,
        version=registered.version,
        code=context.code[task.architecture],
        factory=registered.spec.factory,
        problem=context.dataset.problem,
        options=context.settings.options.get(task.architecture, {}),
        preparation=context.dataset.preparation,
        labels=context.dataset.table.names,
        cohort={
            **context.dataset.facts,
            "training_cases": task.cases,
            "clinical": task.clinical,
            "synthetic": task.database,
        },
        validation=tuple(case.name for case in context.dataset.validation_files),
        trainer=TrainerSettings(
            **budget.model_dump(),
            seed=task.seed,
            device=context.settings.device,
            precision=context.settings.precision,
            deterministic=context.settings.deterministic,
            threads=context.settings.threads,
        ).model_dump(),
        start=context.start if task.kind is TaskKind.SEGMENTER else None,
    )


def _arm(plan: Plan, context: StudyContext, arm: ArmSettings, cases: int) -> ArmPlan:
    segmenters = []
    for seed in context.settings.seeds:
        database = _database(plan, context, arm, cases, seed) if arm.model else None
        data = TrainingData(
            clinical=arm.training != "synthetic",
            database=database,
            translator=arm.model,
            share=arm.share,
            note=arm.note(context.settings),
        )
        training = PlannedTraining(TaskKind.SEGMENTER, arm.segmenter, cases, seed, data)
        segmenters.append(plan_training(plan, context, training))
    return ArmPlan(arm.name(context.settings), arm, cases, tuple(segmenters))


def _database(plan: Plan, context: StudyContext, arm: ArmSettings, cases: int, seed: int) -> str:
    settings, model = context.settings, arm.model
    assert model is not None
    shared = seed if settings.fresh_translators else settings.seeds[0]
    if arm.generator is None:
        return plan.add(_mixture(context, model, cases, shared)).key
    seen = len(context.dataset.train) if settings.all_for_synthesis else cases
    makers = [
        plan_training(plan, context, PlannedTraining(TaskKind.GENERATOR, arm.generator, seen, shared)).key,
        plan_training(plan, context, PlannedTraining(TaskKind.TRANSLATOR, model, seen, shared)).key,
    ]
    anatomies = context.key_of(context.dataset.train_files[:cases])
    public = arm.public and context.public.anatomies
    content = [_FORMAT, "database", makers, anatomies, settings.synthetic_cases, shared]
    content += [context.public.key] if public else []
    compose = arm.compose or Composition.TRANSLATED
    content += [compose] if compose is not Composition.TRANSLATED else []
    task = Task(
        kind=TaskKind.DATABASE,
        key=digest(content),
        architecture=model,
        cases=cases,
        seed=shared,
        needs=tuple(makers),
        note=", ".join(filter(None, ["public" if arm.public else "", arm.source(settings)])),
        public=bool(public),
        compose=compose,
        steps=settings.synthetic_cases,
    )
    return plan.add(task).key


def _mixture(context: StudyContext, model: str, cases: int, seed: int) -> Task:
    """The database of a mixer. It needs no training and uses the cases of the arm only."""
    entry, dataset, count = find(model), context.dataset, context.settings.synthetic_cases
    mixer = [model, entry.distribution, entry.version, context.code[model], context.settings.options.get(model, {})]
    shown = [
        dataset.preparation.model_dump(mode="json"),
        dataset.table.names,
        context.key_of(dataset.train_files[:cases]),
    ]
    key = digest([_FORMAT, "mixture", mixer, shown, count, seed])
    return Task(TaskKind.DATABASE, key, model, cases, seed, steps=count)


def _quality(plan: Plan, context: StudyContext, database: Task) -> Task:
    """Measure a database with features of the clinical-only segmenter that has as many cases."""
    settings, dataset = context.settings, context.dataset
    segmenter = PlannedTraining(TaskKind.SEGMENTER, settings.segmenters[0], database.cases, settings.seeds[0])
    feature_network = plan_training(plan, context, segmenter)
    translator = tuple(key for key in database.needs if plan.tasks[key].kind is TaskKind.TRANSLATOR)
    needs = (database.key, feature_network.key, *translator)
    held_out = [context.key_of(dataset.validation_files), context.key_of(dataset.test_files)]
    key = digest([_FORMAT, "quality at half resolution", needs, held_out])
    return replace(database, kind=TaskKind.QUALITY, key=key, needs=needs, steps=1)


@dataclass(frozen=True)
class TrainingData:
    """What a segmenter trains on; see `Task`."""

    clinical: bool = True
    database: str | None = None
    translator: str | None = None
    share: float | None = None
    note: str = ""


@dataclass(frozen=True)
class PlannedTraining:
    """A training to plan.

    Attributes:
        kind: generator, translator or segmenter.
        cases: number of training cases, the first of the split.
        data: what a segmenter trains on; generators and translators train on clinical cases only.
    """

    kind: TaskKind
    architecture: str
    cases: int
    seed: int
    data: TrainingData = TrainingData()


def plan_training(plan: Plan, context: StudyContext, training: PlannedTraining) -> Task:
    """Add one training to a plan unless it is planned already."""
    kind, architecture, cases, data = training.kind, training.architecture, training.cases, training.data
    draft = Task(
        kind=kind,
        key="",
        architecture=architecture,
        cases=cases,
        seed=training.seed,
        needs=(data.database,) if data.database else (),
        **vars(data),
        steps=context.settings.budgets[kind].steps,
    )
    record = record_of(context, draft)
    # Only the cases that are trained on count: other test cases need no other training.
    unused: dict[str, Any] = {"validation": True, "trainer": {"checkpoint_seconds"}}
    unused["start"] = {"path", "run"}
    unused["cohort"] = {"path", "name", "key", "fold"}
    described = record.model_dump(mode="json", exclude=unused)
    content = [_FORMAT, described, context.key_of(context.dataset.train_files[:cases])]
    if architecture in library_users(context.settings):
        content.append(context.public.masks_key)  # its options name a folder, not what lies in it
    if kind is not TaskKind.SEGMENTER:
        return plan.add(replace(draft, key=digest(content)))
    content += [context.key_of(context.dataset.validation_files), context.settings.flips]  # they choose the weights
    parts = [
        context.key_of(context.dataset.test_files),
        context.external_key,
        ",".join(CaseMetrics.model_fields),  # a new metric is measured in finished trainings, too
    ]
    return plan.add(replace(draft, key=digest([*content, data.share]), evaluated=digest(parts)))


def cost_of(context: StudyContext, task: Task) -> str:
    """Key of everything that determines how long one step of a task takes on one machine."""
    settings, dataset = context.settings, context.dataset
    evaluated = [len(files) for files in (dataset.validation_files, dataset.test_files, context.external)]
    about: list[object] = [task.kind, task.architecture, dataset.problem.model_dump(), dataset.preparation.model_dump()]
    about += [settings.options.get(task.architecture, {}), settings.device, settings.precision, settings.threads]
    match task.kind:
        case TaskKind.DATABASE:
            about += [task.public, task.compose, settings.generators]
        case TaskKind.QUALITY:
            about += [task.cases, settings.synthetic_cases, evaluated]
        case TaskKind.SEGMENTER:
            budget = settings.budgets[task.kind]
            about += [budget.batch_size, settings.flips, evaluated, budget.evaluations, budget.patience]
        case _:
            about += [settings.budgets[task.kind].batch_size]
    return digest(about)[:16]
