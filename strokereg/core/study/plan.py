"""From settings to trainings: which arms there are, what each needs, and under which key its work is found again.

A key is the digest of everything that determines a task's outcome: contents of the cases, architecture with its
distribution, version and source, options, grid, trainer settings, and the keys of what it builds on. Equal keys are
equal work, so it is done once, within a study and across interruptions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from strokereg.core.storage.cache import digest
from strokereg.core.study.arms import LIBRARY, ArmSettings, list_arms
from strokereg.core.study.context import StudyContext
from strokereg.core.train.record import Record
from strokereg.core.train.trainer import TrainerSettings
from strokereg.registry.catalogue import find

_FORMAT = 3  # part of every key: raise it when the meaning of a task changes


@dataclass(frozen=True)
class Task:
    """One piece of work with its own folder.

    Attributes:
        kind: generator, translator, database, segmenter or quality.
        architecture: whose training, or whose images.
        cases: clinical cases that it sees.
        needs: keys of tasks that must be done before.
        clinical, database, translator, share: what a segmenter trains on, whose images the database holds, and how
            much of each batch they are.
        public: a database on the public anatomies.
        note: what else tells it from others, in words.
        evaluated: key of the cases that a segmenter is evaluated on, and of how; not part of its training's key, so
            that evaluation on other cases needs no other training.
    """

    kind: str
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
    note: str = ""
    evaluated: str = ""
    steps: int = 1

    @property
    def folder(self) -> str:
        """Name of its folder in the store."""
        return f"{self.kind}-{self.architecture.replace(':', '.')}-{self.key[:16]}"

    @property
    def title(self) -> str:
        """For progress and messages."""
        trained_on = f"{self.trained_on}, " if self.kind == "segmenter" else ""
        note = f"{self.note}, " if self.note else ""
        return f"{self.kind} {self.architecture} ({self.cases} cases, {trained_on}{note}seed {self.seed})"

    @property
    def trained_on(self) -> str:
        """What a segmenter is trained on, in short."""
        return " + ".join(["clinical"] * self.clinical + [f"{self.translator} synthetic"] * bool(self.translator))


@dataclass(frozen=True)
class ArmPlan:
    """An arm and the segmenter trainings that make it up, one a seed."""

    name: str
    settings: ArmSettings
    cases: int
    segmenters: tuple[Task, ...]


@dataclass
class Plan:
    """All tasks in an order in which each comes after what it needs, and the arms that they serve."""

    tasks: dict[str, Task] = field(default_factory=dict)
    arms: list[ArmPlan] = field(default_factory=list)

    def add(self, task: Task) -> Task:
        """Add a task unless the same work is planned already."""
        return self.tasks.setdefault(task.key, task)


def make_plan(context: StudyContext) -> Plan:
    """Lay out the study."""
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
        for database in [task for task in plan.tasks.values() if task.kind == "database"]:
            plan.add(_quality(plan, context, database))
    return plan


def record_of(context: StudyContext, task: Task) -> Record:
    """What the run folder of a training says of itself."""
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
            threads=context.settings.threads,
        ).model_dump(),
    )


def _arm(plan: Plan, context: StudyContext, arm: ArmSettings, cases: int) -> ArmPlan:
    name = arm.name(context.settings)
    segmenters = []
    for seed in context.settings.seeds:
        database = _database(plan, context, arm, cases, seed) if arm.model else None
        trained_on = TrainingData(
            arm.training != "synthetic",
            database,
            arm.model,
            arm.share,
            _note(arm, name),
        )
        segmenters.append(plan_training(plan, context, "segmenter", arm.segmenter, cases, seed, trained_on))
    return ArmPlan(name, arm, cases, tuple(segmenters))


def _note(arm: ArmSettings, name: str) -> str:
    """What an arm's name says beyond model and training."""
    plain = "clinical only" if arm.model is None else f"{arm.model}, {arm.training}"
    return name.removeprefix(plain).removeprefix(", ").removesuffix(arm.segmenter).removesuffix(", ")


def _database(plan: Plan, context: StudyContext, arm: ArmSettings, cases: int, seed: int) -> str:
    settings, model = context.settings, arm.model
    assert model is not None
    shared = seed if settings.fresh_translators else settings.seeds[0]
    if arm.generator is None:
        return plan.add(_mixture(context, model, cases, shared)).key
    seen = len(context.dataset.train) if settings.all_for_synthesis else cases
    makers = [
        plan_training(plan, context, "generator", arm.generator, seen, shared).key,
        plan_training(plan, context, "translator", model, seen, shared).key,
    ]
    anatomies = context.key_of(context.dataset.train_files[:cases])
    public = arm.public and context.public.anatomies
    content = [_FORMAT, "database", makers, anatomies, settings.synthetic_cases, shared]
    key = digest([*content, context.public.key] if public else content)
    note = "public" if arm.public else arm.generator * (len(settings.generators) > 1)
    task = Task(
        "database", key, model, cases, shared, tuple(makers), note=note, public=bool(public),
        steps=settings.synthetic_cases,
    )  # fmt: skip
    return plan.add(task).key


def _mixture(context: StudyContext, model: str, cases: int, seed: int) -> Task:
    """The database of a mixer: no training comes before it, and it sees the arm's own cases only."""
    entry, dataset, count = find(model), context.dataset, context.settings.synthetic_cases
    mixer = [model, entry.distribution, entry.version, context.code[model], context.settings.options.get(model, {})]
    shown = [
        dataset.preparation.model_dump(mode="json"),
        dataset.table.names,
        context.key_of(dataset.train_files[:cases]),
    ]
    return Task("database", digest([_FORMAT, "mixture", mixer, shown, count, seed]), model, cases, seed, steps=count)


def _quality(plan: Plan, context: StudyContext, database: Task) -> Task:
    """The audit of a database, through the eyes of the clinical-only segmenter with as many cases."""
    settings, dataset = context.settings, context.dataset
    feature_network = plan_training(
        plan, context, "segmenter", settings.segmenters[0], database.cases, settings.seeds[0]
    )
    painter = tuple(key for key in database.needs if plan.tasks[key].kind == "translator")
    needs = (database.key, feature_network.key, *painter)
    held_out = [context.key_of(dataset.validation_files), context.key_of(dataset.test_files)]
    key = digest([_FORMAT, "quality at half resolution", needs, held_out])
    return replace(database, kind="quality", key=key, needs=needs, steps=1)


@dataclass(frozen=True)
class TrainingData:
    """What a segmenter trains on; see `Task`."""

    clinical: bool = True
    database: str | None = None
    translator: str | None = None
    share: float | None = None
    note: str = ""


def plan_training(
    plan: Plan,
    context: StudyContext,
    kind: str,
    architecture: str,
    cases: int,
    seed: int,
    trained_on: TrainingData = TrainingData(),
) -> Task:
    """Add one training to a plan; generators and translators are trained on clinical cases only.

    Args:
        kind: generator, translator or segmenter.
        cases: how many training cases, the first of the split.
        trained_on: of a segmenter.
    """
    draft = Task(
        kind=kind,
        key="",
        architecture=architecture,
        cases=cases,
        seed=seed,
        needs=(trained_on.database,) if trained_on.database else (),
        **vars(trained_on),
        steps=context.settings.budgets[kind].steps,
    )
    record = record_of(context, draft)
    # Of the cohort only the cases that are trained on count: another test case makes no other training.
    training = record.model_dump(mode="json", exclude={"validation": True, "cohort": {"path", "name", "key", "fold"}})
    content = [_FORMAT, training, context.key_of(context.dataset.train_files[:cases])]
    if architecture == LIBRARY:
        content.append(context.public.masks_key)  # its options name a folder, not what lies in it
    if kind != "segmenter":
        return plan.add(replace(draft, key=digest(content)))
    parts = [
        context.key_of(context.dataset.validation_files),
        context.key_of(context.dataset.test_files),
        context.external_key,
    ]
    parts.append(str(context.settings.flips))
    return plan.add(replace(draft, key=digest([*content, trained_on.share]), evaluated=digest(parts)))
