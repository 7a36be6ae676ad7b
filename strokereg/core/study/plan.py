"""From settings to trainings: which arms there are, what each needs, and under which key its work is found again.

A key is the digest of everything that determines a task's outcome: contents of the cases, architecture with its
distribution, version and source, options, grid, trainer settings, and the keys of what it builds on. Equal keys are
equal work, so it is done once, within a study and across interruptions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from strokereg.core.storage.cache import digest
from strokereg.core.study.arms import LIBRARY, Recipe, list_recipes
from strokereg.core.study.context import Stage
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
        judged: key of the cases that a segmenter is judged on, and of how; not part of its training's key, so that
            judging on other cases needs no other training.
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
    judged: str = ""
    steps: int = 1

    @property
    def folder(self) -> str:
        """Name of its folder in the store."""
        return f"{self.kind}-{self.architecture.replace(':', '.')}-{self.key[:16]}"

    @property
    def title(self) -> str:
        """For progress and messages."""
        taught = f"{self.taught}, " if self.kind == "segmenter" else ""
        note = f"{self.note}, " if self.note else ""
        return f"{self.kind} {self.architecture} ({self.cases} cases, {taught}{note}seed {self.seed})"

    @property
    def taught(self) -> str:
        """What a segmenter is trained on, in short."""
        return " + ".join(["clinical"] * self.clinical + [f"{self.translator} synthetic"] * bool(self.translator))


@dataclass(frozen=True)
class ArmPlan:
    """An arm and the segmenter trainings that make it up, one a seed."""

    name: str
    recipe: Recipe
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


def make_plan(stage: Stage) -> Plan:
    """Lay out the study."""
    settings, plan = stage.settings, Plan()
    everything = len(stage.ready.train)
    numbers = [min(n, everything) or everything for n in settings.cases]
    recipes = list(list_recipes(settings, frozenset(filter(stage.mixes, settings.models))))
    for segmenter in settings.segmenters:
        own = [recipe for recipe in recipes if recipe.segmenter == segmenter]
        plan.arms += [_arm(plan, stage, recipe, cases) for cases in numbers for recipe in own]
        if settings.headroom and everything not in numbers:
            plan.arms.append(_arm(plan, stage, own[0], everything))
    if settings.quality:
        for database in [task for task in plan.tasks.values() if task.kind == "database"]:
            plan.add(_quality(plan, stage, database))
    return plan


def record_of(stage: Stage, task: Task) -> Record:
    """What the run folder of a training says of itself."""
    registered = find(task.architecture)
    budget = stage.settings.budgets[task.kind]
    return Record(
        architecture=task.architecture,
        role=task.kind,
        distribution=registered.distribution,
        version=registered.version,
        code=stage.code[task.architecture],
        factory=registered.spec.factory,
        problem=stage.ready.problem,
        options=stage.settings.options.get(task.architecture, {}),
        preparation=stage.ready.preparation,
        labels=stage.ready.table.names,
        cohort={
            **stage.ready.facts,
            "training_cases": task.cases,
            "clinical": task.clinical,
            "synthetic": task.database,
        },
        validation=tuple(case.name for case in stage.ready.validation_files),
        trainer=TrainerSettings(
            **budget.model_dump(),
            seed=task.seed,
            device=stage.settings.device,
            precision=stage.settings.precision,
            threads=stage.settings.threads,
        ).model_dump(),
    )


def _arm(plan: Plan, stage: Stage, recipe: Recipe, cases: int) -> ArmPlan:
    name = recipe.name(stage.settings)
    segmenters = []
    for seed in stage.settings.seeds:
        database = _database(plan, stage, recipe, cases, seed) if recipe.model else None
        taught = Taught(recipe.training != "synthetic", database, recipe.model, recipe.share, _note(recipe, name))
        segmenters.append(plan_training(plan, stage, "segmenter", recipe.segmenter, cases, seed, taught))
    return ArmPlan(name, recipe, cases, tuple(segmenters))


def _note(recipe: Recipe, name: str) -> str:
    """What an arm's name says beyond model and training."""
    plain = "clinical only" if recipe.model is None else f"{recipe.model}, {recipe.training}"
    return name.removeprefix(plain).removeprefix(", ").removesuffix(recipe.segmenter).removesuffix(", ")


def _database(plan: Plan, stage: Stage, recipe: Recipe, cases: int, seed: int) -> str:
    settings, model = stage.settings, recipe.model
    assert model is not None
    shared = seed if settings.fresh_translators else settings.seeds[0]
    if recipe.generator is None:
        return plan.add(_mixture(stage, model, cases, shared)).key
    seen = len(stage.ready.train) if settings.all_for_synthesis else cases
    makers = [
        plan_training(plan, stage, "generator", recipe.generator, seen, shared).key,
        plan_training(plan, stage, "translator", model, seen, shared).key,
    ]
    anatomies = stage.key_of(stage.ready.train_files[:cases])
    public = recipe.public and stage.public.anatomies
    content = [_FORMAT, "database", makers, anatomies, settings.synthetic_cases, shared]
    key = digest([*content, stage.public.key] if public else content)
    note = "public" if recipe.public else recipe.generator * (len(settings.generators) > 1)
    task = Task(
        "database", key, model, cases, shared, tuple(makers), note=note, public=bool(public),
        steps=settings.synthetic_cases,
    )  # fmt: skip
    return plan.add(task).key


def _mixture(stage: Stage, model: str, cases: int, seed: int) -> Task:
    """The database of a mixer: no training comes before it, and it sees the arm's own cases only."""
    entry, ready, count = find(model), stage.ready, stage.settings.synthetic_cases
    mixer = [model, entry.distribution, entry.version, stage.code[model], stage.settings.options.get(model, {})]
    shown = [ready.preparation.model_dump(mode="json"), ready.table.names, stage.key_of(ready.train_files[:cases])]
    return Task("database", digest([_FORMAT, "mixture", mixer, shown, count, seed]), model, cases, seed, steps=count)


def _quality(plan: Plan, stage: Stage, database: Task) -> Task:
    """The audit of a database, through the eyes of the clinical-only segmenter with as many cases."""
    settings, ready = stage.settings, stage.ready
    eye = plan_training(plan, stage, "segmenter", settings.segmenters[0], database.cases, settings.seeds[0])
    painter = tuple(key for key in database.needs if plan.tasks[key].kind == "translator")
    needs = (database.key, eye.key, *painter)
    held_out = [stage.key_of(ready.validation_files), stage.key_of(ready.test_files)]
    key = digest([_FORMAT, "quality at half resolution", needs, held_out])
    return replace(database, kind="quality", key=key, needs=needs, steps=1)


@dataclass(frozen=True)
class Taught:
    """What a segmenter trains on; see `Task`."""

    clinical: bool = True
    database: str | None = None
    translator: str | None = None
    share: float | None = None
    note: str = ""


def plan_training(
    plan: Plan,
    stage: Stage,
    kind: str,
    architecture: str,
    cases: int,
    seed: int,
    taught: Taught = Taught(),
) -> Task:
    """Add one training to a plan; generators and translators are trained on clinical cases only.

    Args:
        kind: generator, translator or segmenter.
        cases: how many training cases, the first of the split.
        taught: of a segmenter.
    """
    draft = Task(
        kind=kind,
        key="",
        architecture=architecture,
        cases=cases,
        seed=seed,
        needs=(taught.database,) if taught.database else (),
        **vars(taught),
        steps=stage.settings.budgets[kind].steps,
    )
    record = record_of(stage, draft)
    # Of the cohort only the cases that are trained on count: another test case makes no other training.
    training = record.model_dump(mode="json", exclude={"validation": True, "cohort": {"path", "name", "key", "fold"}})
    content = [_FORMAT, training, stage.key_of(stage.ready.train_files[:cases])]
    if architecture == LIBRARY:
        content.append(stage.public.masks_key)  # its options name a folder, not what lies in it
    if kind != "segmenter":
        return plan.add(replace(draft, key=digest(content)))
    parts = [stage.key_of(stage.ready.validation_files), stage.key_of(stage.ready.test_files), stage.external_key]
    parts.append(str(stage.settings.flips))
    return plan.add(replace(draft, key=digest([*content, taught.share]), judged=digest(parts)))
