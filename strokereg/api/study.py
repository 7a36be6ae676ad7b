"""The study in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.core.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from strokereg.core.study.executor import Watcher
    from strokereg.core.study.run import Finished
    from strokereg.core.study.settings import StudySettings
    from strokereg.registry.installed import Entry

#: Where a study goes when nobody says where.
OUT = Path("strokereg-study")
#: The roles that make synthetic images.
SYNTHESIS = ("translator", "mixer")


def study_settings(preset: str = "quick", **changes: Any) -> StudySettings:
    """A preset with changes: any field of `core.study.settings.StudySettings`.

    Args:
        preset: smoke, quick or full.
        **changes: `steps` and `batch_sizes` (by role) and `options` (by architecture) are merged into the preset's;
            every other field replaces it. None leaves the preset's value.

    Raises:
        InputError: an unknown preset, or a value that does not fit.
    """
    from strokereg.core.options import parse
    from strokereg.core.study.settings import PRESETS, StudySettings

    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}{did_you_mean(preset, PRESETS)}; the presets are {', '.join(PRESETS)}")
    values = {**PRESETS[preset], "preset": preset}
    changes = {name: value for name, value in changes.items() if value is not None}
    for field, name in (("steps", "steps"), ("batch_sizes", "batch_size")):
        for role, number in changes.pop(field, {}).items():
            if role not in values["budgets"]:
                raise InputError(f"--{name} {role}: no such role{did_you_mean(role, values['budgets'])}")
            values["budgets"] = {**values["budgets"], role: {**values["budgets"][role], name: number}}
    merged = {**values.get("options", {})}
    for name, options in changes.pop("options", {}).items():
        merged[name] = {**merged.get(name, {}), **options}
    return parse(StudySettings, {**values, **changes, "options": merged}, "compare")


def compare(
    models: Sequence[str],
    data: Path | str | None = None,
    out: Path | str = OUT,
    preset: str = "quick",
    external: Path | str | None = None,
    workers: int | None = None,
    watcher: Watcher | None = None,
    command: str = "",
    fold: int | None = None,
    **changes: Any,
) -> Finished:
    """Run the study: train the segmenter with and without synthetic images, judge, and report.

    Args:
        models: translators and mixers to compare.
        data: cohort folder; None makes and caches a simulated one.
        out: folder of the study; called again on it, finished work is found and not done again.
        preset, **changes: see `study_settings`.
        external: cohort of another origin to judge on as well.
        workers: processes; by default one a core, or one on a GPU. It changes nothing in the result.
        watcher: told how the study goes; see `core.study.executor.Watcher`.
        command: as the report shows it.
        fold: of a cross-validation of `data`, counted from 1; None for `split.tsv`.

    Returns:
        Results and the paths of `results.json`, `results.csv` and `report.html`.

    Raises:
        InputError: unknown model, wrong options, or data that cannot be used.
    """
    from strokereg.api.data import read_folder
    from strokereg.core.cache import cache_folder
    from strokereg.core.cohort import open_cohort
    from strokereg.core.device import choose_device
    from strokereg.core.study.executor import LocalExecutor, Silent, default_workers
    from strokereg.core.study.run import run_study
    from strokereg.registry.catalogue import build, find

    settings = study_settings(preset, models=tuple(models), **changes)
    if data is None:
        spacing = tuple(max(edge, settings.embedded.spacing) for edge in settings.spacing)
        settings = settings.model_copy(update={"spacing": spacing})
    registered = {name: find(name, SYNTHESIS) for name in models}
    registered |= {settings.generator: find(settings.generator, "generator")}
    registered |= {settings.segmenter: find(settings.segmenter, "segmenter")}
    for name in settings.options:
        if name not in registered and name in changes.get("options", {}):
            raise InputError(f"--set {name}.…: {name} is not in this study{did_you_mean(name, registered)}")
    settings = typed_options(settings, registered)
    watcher = watcher or Silent()
    workers = workers or default_workers(choose_device(settings.device))
    abroad = read_folder(external) if external else None  # a wrong folder should show before an hour of training
    cohort = open_cohort(Path(data) if data else _embedded(settings, workers, watcher), fold)
    return run_study(
        settings, cohort, Path(out), cache_folder() / "prepared", registered, build,
        LocalExecutor(workers), watcher, abroad, command,
    )  # fmt: skip


def _embedded(settings: StudySettings, workers: int, watcher: Watcher) -> Path:
    """The simulated cohort of these settings, made once and kept."""
    from strokereg.core.cache import cache_folder
    from strokereg.core.simulate import RECIPE, simulate_cohort

    wanted = settings.embedded
    shape = "x".join(map(str, wanted.shape))
    return simulate_cohort(
        cache_folder() / "cohorts" / f"embedded-{wanted.cases}-{shape}-{wanted.spacing:g}mm-r{RECIPE}",
        wanted.cases,
        shape=wanted.shape,
        spacing=wanted.spacing,
        workers=workers,
        on_progress=lambda done, total: watcher.preparing("simulating the embedded cohort", done, total),
    )


def typed_options(settings: StudySettings, registered: Mapping[str, Entry]) -> StudySettings:
    """The same settings with the options of the study's architectures as typed values.

    Raises:
        InputError: options that an architecture does not have or cannot take.
    """
    from strokereg.registry.factory import read_options

    read = {name: read_options(entry, settings.options.get(name, {})) for name, entry in registered.items()}
    return settings.model_copy(update={"options": {**settings.options, **read}})


def split_options(values: Mapping[str, str], example: str) -> dict[str, dict[str, str]]:
    """`{"pix2pix.lr": "1e-4"}` → `{"pix2pix": {"lr": "1e-4"}}`.

    Raises:
        InputError: a key that does not name its architecture.
    """
    options: dict[str, dict[str, str]] = {}
    for key, value in values.items():
        owner, dot, option = key.rpartition(".")
        if not dot or not owner:
            raise InputError(f"--set {key}: say whose option it is, for example --set {example}.{key}={value}")
        options.setdefault(owner, {})[option] = value
    return options
