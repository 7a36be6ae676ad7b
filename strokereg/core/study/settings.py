"""The settings of a study: a typed table, three presets that differ in budget only, and how they are completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, field_validator

from strokereg.core.cohort.embedded import CONTRASTS
from strokereg.core.scan import DEFAULT_SPACING
from strokereg.core.scan.grid import Channels, Interpolation, Scaling
from strokereg.core.storage.cache import cache_folder
from strokereg.core.synthesis.composition import Composition, refuse_edited
from strokereg.core.synthesis.mask_library import EMBEDDED, embedded_masks
from strokereg.core.train.augmentation import augmentation_of
from strokereg.registry.catalogue import find
from strokereg.registry.errors import InputError, did_you_mean
from strokereg.registry.factory import read_options
from strokereg.registry.installed import Entry
from strokereg.registry.options import Augmented, Options, parse
from strokereg.registry.specs import Role

#: The generator that draws from a folder of masks.
LIBRARY = "mask-library"
#: Settings that are tables of tables.
TABLES = ("budgets", "options")

#: The name that stands for a simulated cohort in the place of a cohort folder.
SIMULATED = "simulated"

Preset = Literal["smoke", "quick", "full"]
Share = Annotated[float, Field(gt=0, lt=1)]


#: Synthetic cases of the quick preset on the embedded cohort, whose cases are single slices.
_SLICES = 400


class Budget(Augmented):
    """How one role is trained; see `core.train.trainer.TrainerSettings`. Evaluations are those of segmenters."""

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    average: float = Field(default=0.99, ge=0, lt=1)
    evaluations: int = Field(default=20, ge=0)
    patience: int = Field(default=0, ge=0)


class Simulated(Options):
    """The cohort that a study simulates for itself with `--data simulated`.

    Args:
        cases: how many.
        shape, spacing: scan grid and its voxel size in mm.
    """

    cases: int = Field(ge=5)
    shape: tuple[int, int, int] = (112, 112, 73)
    spacing: float = 2.0


class StudySettings(Options):
    """The settings that define a study, apart from its data.

    Args:
        models: translators and mixers to compare; none for clinical only.
        generators: generators of the lesion masks.
        segmenters: segmenters that are trained on every arm.
        cases: numbers of clinical training cases; 0 stands for all.
        validation_cases: number of validation cases that choose weights and postprocessing, the first of the split; 0
            stands for all.
        seeds: every arm is trained once with each.
        start: run whose weights the segmenters of all arms begin with; None for random ones.
        headroom: also train clinical only on all cases, to show what more data could bring.
        channels: image contrasts; None for dwi, or for the only contrast of the cohort.
        spacing: network grid in mm along R, A, S.
        dims: 2 trains on axial slices, 3 on volumes.
        patch: size that networks train on, in voxels (Y, X) or (Z, Y, X); None for the whole brain.
        interpolation, scaling: how images are brought before networks; see `core.scan.grid.Preparation`.
        shares: synthetic shares of each batch in mixed arms; one arm for each.
        compose: what becomes the image of a synthetic case: `translated`, its translation; `edited`, the image of its
            clinical host, changed by what the new lesion changes in the translation; `both`, half of each. One arm for
            each.
        mixed_only: leave out the arms that are trained on synthetic images alone.
        anatomies: folder of FreeSurfer-coded label maps; each translator gets arms that put lesions into these.
        mask_library: folder of lesion masks in MNI space; each translator gets arms with lesions drawn from it. With
            `mask-library` as the only generator there are no others. `cohort` stands for the masks of all training
            cases of the cohort, `embedded` for those that the package brings.
        flips: segmenters are evaluated on the mean over each image and its left-right mirror image.
        synthetic_cases: size of each synthetic database.
        fresh_translators: train generator and translators anew for every seed, so that intervals cover their luck;
            otherwise those of the first seed serve all seeds.
        all_for_synthesis: generator and translators see all training cases, as in the paper, not just the arm's.
        quality: measure how similar every synthetic database is to real images, and whether it copies training images.
        budgets: steps, batch size and changes to the augmentation, by role.
        options: architecture → its own options.
        simulated: the cohort of `--data simulated`; the network's grid is then no finer than it.
        device, precision, deterministic, threads: see `core.train.trainer.TrainerSettings`.
    """

    models: tuple[str, ...]
    preset: Preset = "quick"
    generators: tuple[str, ...] = Field(default=("mask-gan",), min_length=1)
    segmenters: tuple[str, ...] = Field(default=("unet",), min_length=1)
    cases: tuple[int, ...] = Field(default=(10,), min_length=1)
    validation_cases: int = Field(default=0, ge=0)
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    start: Path | None = None
    headroom: bool = True
    channels: Channels | None = None
    spacing: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = DEFAULT_SPACING
    dims: int = Field(default=2, ge=2, le=3)
    patch: tuple[int, ...] | None = None
    interpolation: Interpolation = "linear"
    scaling: Scaling = "median"
    shares: tuple[Share, ...] = Field(default=(0.5,), min_length=1)
    compose: tuple[Composition, ...] = Field(default=(Composition.TRANSLATED,), min_length=1)
    mixed_only: bool = False
    anatomies: Path | None = None
    mask_library: Path | None = None
    flips: bool = False
    synthetic_cases: int = Field(default=40, ge=1)
    fresh_translators: bool = True
    all_for_synthesis: bool = False
    quality: bool = True
    budgets: dict[str, Budget]
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    simulated: Simulated
    device: str = "auto"
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    deterministic: bool = False
    threads: int = Field(default=1, ge=1)

    @field_validator("models", "generators", "segmenters", "shares", "compose", "cases", "seeds")
    @classmethod
    def _no_repeats(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) != len(values):
            raise ValueError("names the same thing twice; keep one of each")
        return values


#: smoke exercises every joint; quick gives a first table on a laptop; full is for a workstation.
PRESETS: dict[str, dict[str, Any]] = {
    "smoke": {
        "cases": (3,),
        "seeds": (0,),
        "headroom": False,
        "spacing": (6.0, 6.0, 6.0),
        "synthetic_cases": 2,
        "budgets": {
            "generator": {"steps": 6, "batch_size": 4},
            "translator": {"steps": 6, "batch_size": 4},
            "segmenter": {"steps": 60, "batch_size": 4, "evaluations": 2},
        },
        "options": {
            "mask-gan": {"ngf": 8, "ndf": 8},
            "pix2pix": {"ngf": 8, "ndf": 8},
            "spade": {"ngf": 8, "ndf": 8, "hidden": 8, "levels": 2},
            "spade-hinge": {"ngf": 8, "ndf": 8, "hidden": 8, "levels": 2},
            "cyclegan": {"ngf": 8, "ndf": 8, "blocks": 2},
            "flow": {"ngf": 8, "levels": 2, "sampling_steps": 2},
            "unet": {"widths": (8, 16, 32)},
            "dynunet": {"filters": 8, "halvings": 2},
            "timm-unet": {"encoder": "test_resnet"},
        },
        "simulated": {"cases": 10, "shape": (56, 56, 36), "spacing": 4.0},
    },
    "quick": {
        "budgets": {
            "generator": {"steps": 300, "batch_size": 16},
            "translator": {"steps": 400, "batch_size": 8},
            "segmenter": {"steps": 500, "batch_size": 8},
        },
        "options": {
            "mask-gan": {"ngf": 16, "ndf": 16, "volume": True},
            "pix2pix": {"ngf": 24, "ndf": 16},
            "spade": {"ngf": 16, "ndf": 16, "hidden": 32},
            "spade-hinge": {"ngf": 16, "ndf": 16, "hidden": 32},
            "cyclegan": {"ngf": 16, "ndf": 16, "blocks": 6, "lr": 1e-3},
            "flow": {"ngf": 24},
            "dynunet": {"filters": 16},
        },
        "simulated": {"cases": 40, "shape": (56, 56, 36), "spacing": 4.0},
    },
    "full": {
        "cases": (10, 50),
        "seeds": (0, 1, 2, 3, 4),
        "spacing": (2.0, 2.0, 2.0),
        "synthetic_cases": 400,
        "budgets": {
            "generator": {"steps": 20000, "batch_size": 32},
            "translator": {"steps": 20000, "batch_size": 16},
            "segmenter": {"steps": 20000, "batch_size": 32, "average": 0.999},
        },
        "options": {"mask-gan": {"volume": True}},
        "simulated": {"cases": 180},
    },
}


def study_settings(preset: str = "quick", owner: str = "compare", **changes: Any) -> StudySettings:
    """A preset with changes: any field of `core.study.settings.StudySettings`.

    Args:
        preset: smoke, quick or full.
        owner: name used in error messages.
        **changes: `budgets` (by role), `steps` and `batch_sizes` (by role) and `options` (by architecture) are merged
            into the preset's; every other field replaces it. None leaves the preset's value.

    Raises:
        InputError: an unknown preset, or a value that does not fit.
    """
    if preset not in PRESETS:
        raise InputError(f"no preset {preset!r}{did_you_mean(preset, PRESETS)}; the presets are {', '.join(PRESETS)}")
    base = {"options": {}, **PRESETS[preset], "preset": preset}
    budgets = [changes.pop("budgets", None) or {}]
    for field, name in (("steps", "steps"), ("batch_sizes", "batch_size")):
        budgets.append({role: {name: number} for role, number in (changes.pop(field, None) or {}).items()})
    for part, what in zip(budgets, ("budgets", "--steps", "--batch-size"), strict=True):
        for role in part:
            if role not in base["budgets"]:
                raise InputError(f"{what} {role}: no such role{did_you_mean(role, base['budgets'])}")
    settings = parse(StudySettings, merge(base, changes, *({"budgets": part} for part in budgets)), owner)
    refuse_edited(settings.anatomies, settings.compose)
    return settings


def complete_settings(models: Sequence[str], data: Path | str | None, preset: str, **changes: Any) -> StudySettings:
    """Settings with typed options.

    Without data, the embedded cohort gives the contrast and, for `mask-library`, the masks; the quick preset then
    makes more synthetic cases, since each is a slice.

    Raises:
        InputError: unknown model, wrong options, a library that an augmentation needs is missing.
    """
    if data is None:
        changes["channels"] = changes.get("channels") or CONTRASTS
        if preset == "quick" and not changes.get("synthetic_cases"):
            changes["synthetic_cases"] = _SLICES
        if LIBRARY in (changes.get("generators") or ()) and not changes.get("mask_library"):
            changes["mask_library"] = EMBEDDED
    if str(changes.get("mask_library")) == EMBEDDED:
        changes["mask_library"] = embedded_masks(cache_folder())
    settings = study_settings(preset, models=tuple(models), **changes)
    for role, budget in settings.budgets.items():
        augmentation_of(role, budget.augment, f"budgets.{role}.augment")
    if is_simulated_by_name(data):
        spacing = tuple(max(edge, settings.simulated.spacing) for edge in settings.spacing)
        settings = settings.model_copy(update={"spacing": spacing})
    known = architectures(settings)
    for name in settings.options:
        if name not in known and name in (changes.get("options") or {}):
            raise InputError(f"--set {name}.…: {name} is not in this study{did_you_mean(name, known)}")
    return typed_options(settings, known)


def is_simulated_by_name(data: Path | str | None) -> bool:
    """True for `--data simulated`; a folder of that name is given as `./simulated`, or with its full path."""
    return data is not None and str(data) == SIMULATED


def typed_options(settings: StudySettings, known: Mapping[str, Entry]) -> StudySettings:
    """The same settings with the options of the study's architectures as typed values.

    Raises:
        InputError: options that an architecture does not have or cannot take.
    """
    read = {name: read_options(entry, settings.options.get(name, {})) for name, entry in known.items()}
    return settings.model_copy(update={"options": {**settings.options, **read}})


def architectures(settings: StudySettings) -> dict[str, Entry]:
    """Name → entry of every architecture that a study uses. Mixers bring their own lesions and need no generator.

    Raises:
        InputError: an unknown name, or one of another role.
    """
    found = {name: find(name, (Role.TRANSLATOR, Role.MIXER)) for name in settings.models}
    generators = {name: find(name, Role.GENERATOR) for name in settings.generators}
    if LIBRARY in generators and not settings.mask_library:
        raise InputError(f"--generator {LIBRARY}: needs a folder of lesion masks; name it with --mask-library")
    if settings.mask_library:
        generators[LIBRARY] = find(LIBRARY, Role.GENERATOR)
    if any(entry.spec.role is Role.TRANSLATOR for entry in found.values()):
        found |= generators
    return found | {name: find(name, Role.SEGMENTER) for name in settings.segmenters}


def library_users(settings: StudySettings) -> tuple[str, ...]:
    """The generators that get the masks of the library: `mask-library`, and those that are pre-trained."""
    pretrained = (name for name in settings.generators if settings.options.get(name, {}).get("pretraining"))
    return (LIBRARY, *(name for name in pretrained if name != LIBRARY)) if settings.mask_library else ()


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


def merge(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Later parts override earlier ones; tables of budgets and options are merged key by key, None changes nothing."""
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            if value is None:
                continue
            merged[key] = _merge_tables(merged.get(key, {}), value) if key in TABLES else value
    return merged


def _merge_tables(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    return {**before, **{name: {**before.get(name, {}), **values} for name, values in after.items()}}
