"""The results of a study, with the schema of `results.json`.

The same study gives the same bytes except for `timing`, even if it was interrupted.
`core.report.summary` fills the derived parts (summaries, contrasts, headroom) from the scores per case.
The published schema is `docs/results.schema.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from strokereg.core.evaluate.image_quality import ImageQuality, Interval
from strokereg.core.evaluate.memorisation import Memorisation
from strokereg.core.evaluate.metrics import CaseMetrics
from strokereg.core.report.statistics import Contrast, Moments, Spread
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.storage.files import write_json
from strokereg.core.synthesis.composition import Composition
from strokereg.core.synthesis.public import PublicSources
from strokereg.registry.errors import InputError

SCHEMA_VERSION = 2

Training = Literal["clinical", "synthetic", "clinical + synthetic"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CohortFacts(_Part):
    """The cohort that was evaluated on: name, content key, whether simulated, and cases per part of its split.

    Attributes:
        about: what the embedded cohort is and where it comes from; empty for others.
    """

    name: str
    fingerprint: str
    simulated: bool
    counts: dict[str, int]
    about: str = ""


class ExternalFacts(_Part):
    """A cohort from elsewhere, on which every segmenter was also evaluated."""

    name: str
    fingerprint: str
    simulated: bool
    cases: int


class Study(_Part):
    """The settings that define a study.

    Attributes:
        models: translators and mixers to compare, in the given order.
        generators: generators of the lesion masks.
        segmenters: segmenters trained on every arm.
        shares: synthetic shares of each batch in mixed arms.
        compose: what became the synthetic images of translators.
        public: `anatomies` and `masks` that come from public folders instead of the cohort.
        preset: smoke, quick or full.
        cases: numbers of clinical training cases of the synthesis arms.
        seeds: every arm is trained once with each.
        validation_cases: number of cases that weights and postprocessing were chosen on.
        start: the run whose weights the segmenters began with, and its cohort; empty for random weights.
        steps: optimiser steps by role; the same for every arm.
        augment: changes to the default augmentation, by role; a role without changes is left out.
        spacing: voxel size of the network grid in mm along R, A, S.
        synthesis_saw: clinical cases that generator and translator were trained on: the arm's own, or all
            training cases as in the paper.
    """

    models: list[str]
    generators: list[str] = []
    segmenters: list[str] = []
    shares: list[float] = []
    compose: list[Composition] = []
    public: dict[str, PublicSources] = {}
    preset: str
    cases: list[int]
    seeds: list[int]
    validation_cases: int = 0
    start: str = ""
    steps: dict[str, int]
    augment: dict[str, dict[str, float]] = {}
    spacing: tuple[float, float, float]
    cohort: CohortFacts
    external: ExternalFacts | None = None
    synthesis_saw: Literal["the arm's cases", "all training cases"] = "the arm's cases"


class SeedScores(_Part):
    """One training of an arm's segmenter: its postprocessing rule and its scores on test and external cases."""

    seed: int
    postprocessing: Postprocessing = Postprocessing()
    cases: dict[str, CaseMetrics]
    external: dict[str, CaseMetrics] = {}


class Stratum(_Part):
    """Scores of the test cases in one range of true lesion volume, averaged over seeds first."""

    name: str
    cases: int
    metrics: dict[str, Moments]
    contrast: Contrast | None = None


class Summary(_Part):
    """Summary of an arm's scores.

    Attributes:
        dice, lesion_f1: spread over seeds of the mean over test cases.
        external_dice: the same over external cases.
        strata: "all", "< 5 ml" and "≥ 5 ml"; strata without cases are left out.
    """

    dice: Spread
    lesion_f1: Spread
    external_dice: Spread | None
    strata: list[Stratum]


class Arm(_Part):
    """One training-set recipe.

    Attributes:
        name: unique among the arms with the same number of cases.
        training: what the segmenter was trained on.
        translator: the translator or mixer that made the synthetic images; None for clinical only.
        generator: the generator of the lesion masks; None for a mixer and for clinical only.
        segmenter: the trained segmenter.
        public: whether the synthetic images use public anatomies or masks; see `Study.public`.
        synthetic: synthetic share of each batch, in mixed arms.
        compose: what became the synthetic images; None for a mixer and for clinical only.
        cases: number of clinical cases of the arm.
        seeds: trainings that succeeded; an arm without any has no summary.
        contrast: Dice compared with clinical only, same segmenter and number of cases.
        share: `contrast.difference` over the headroom; None if no headroom was shown.
    """

    name: str
    training: Training
    translator: str | None = None
    generator: str | None = None
    segmenter: str = ""
    public: bool = False
    synthetic: float | None = None
    compose: Composition | None = None
    cases: int
    seeds: list[SeedScores]
    summary: Summary | None = None
    contrast: Contrast | None = None
    share: float | None = None


class Headroom(_Part):
    """Dice of clinical only with all training cases minus Dice with `cases`: the most that more data could add."""

    segmenter: str = ""
    cases: int
    all_cases: int
    contrast: Contrast


class Quality(_Part):
    """Quality of a synthetic database.

    Attributes:
        model, cases, seed, note: identify the database.
        public: whether its anatomies come from a public folder instead of training cases.
        compose: what became its images; translated for a mixer, too.
        image_quality: quality of the images that the translator makes from held-out label maps; None for a mixer.
        true_contrast: lesion contrast of the real held-out images.
        memorisation: whether images of the database are copies of training images.
    """

    model: str
    cases: int
    seed: int
    note: str = ""
    public: bool = False
    compose: Composition = Composition.TRANSLATED
    image_quality: ImageQuality | None = None
    true_contrast: Interval | None = None
    memorisation: Memorisation


class Failure(_Part):
    """A failed training or arm, and the reason."""

    what: str
    reason: str


class Run(_Part):
    """A network that was trained for the study.

    Attributes:
        folder: name of its run folder in `runs`, for `strokereg export`.
        steps: number of optimiser steps; 0 for an untrained method.
        losses: the last logged losses.
        chosen_step: of a segmenter, the step whose averaged weights had the best validation Dice and were evaluated.
        validation_dice: of a segmenter, mean Dice (0 … 1) on the validation cases.
    """

    folder: str = ""
    role: str
    architecture: str
    seed: int
    cases: int
    steps: int
    losses: dict[str, float] = {}
    chosen_step: int | None = None
    validation_dice: float | None = None


class Provenance(_Part):
    """How to repeat the study: the command and the versions of the packages."""

    command: str = ""
    versions: dict[str, str] = {}


class Results(_Part):
    """The results of a study.

    Attributes:
        synthesis: translator or mixer → name → number, for instance how many masks were redrawn.
        quality: quality of each synthetic database.
        timing: task → seconds, not overlapping; the only part that differs between two equal studies.
    """

    schema_version: int = SCHEMA_VERSION
    study: Study
    headroom: list[Headroom] = []
    arms: list[Arm]
    synthesis: dict[str, dict[str, float]] = {}
    quality: list[Quality] = []
    runs: list[Run] = []
    failures: list[Failure] = []
    provenance: Provenance = Provenance()
    timing: dict[str, float] = {}

    def baseline(self, arm: Arm) -> Arm | None:
        """Clinical only with the same segmenter and number of cases; None for such an arm or if it has no scores."""
        return None if arm.training == "clinical" else baselines(self.arms).get((arm.segmenter, arm.cases))

    def changes(self, before: Results) -> list[str]:
        """Every value that is not as in earlier results: `arms[0].seeds[1].cases.sub-03.dice: 0.41, was 0.43`.

        Times, command, versions, and names of run folders, which name the code, do not count.
        """
        old, new = (_leaves(results.model_dump(mode="json", exclude=_REPEATED)) for results in (before, self))
        names = [*new, *(name for name in old if name not in new)]
        return [
            f"{name}: {new.get(name, 'missing')}, was {old.get(name, 'missing')}"
            for name in names
            if name not in new or name not in old or new[name] != old[name]
        ]

    def write(self, path: Path) -> None:
        """Write `results.json` atomically."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read `results.json`.

        Raises:
            InputError: the file is missing, damaged or of another schema.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); give the results.json of a study") from error
        except (ValidationError, UnicodeDecodeError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise InputError(f"{path}: not the results of a study ({reason}); run the study again") from error


#: What may differ between two runs of the same study.
_REPEATED: Any = {"timing": True, "provenance": True, "runs": {"__all__": {"folder"}}}


def _leaves(value: Any, name: str = "") -> dict[str, Any]:
    """Place in a JSON value → what is there, for everything but tables and lists that are not empty."""
    if isinstance(value, dict) and value:
        parts = [(f"{name}.{key}" if name else key, each) for key, each in value.items()]
    elif isinstance(value, list) and value:
        parts = [(f"{name}[{number}]", each) for number, each in enumerate(value)]
    else:
        return {name: value}
    return {place: leaf for part, each in parts for place, leaf in _leaves(each, part).items()}


def baselines(arms: Iterable[Arm]) -> dict[tuple[str, int], Arm]:
    """(segmenter, number of cases) → the clinical-only arm, if it has scores."""
    return {(arm.segmenter, arm.cases): arm for arm in arms if arm.training == "clinical" and arm.seeds}


def schema() -> str:
    """The JSON schema of `results.json`, as in `docs/results.schema.json`."""
    return json.dumps(Results.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
