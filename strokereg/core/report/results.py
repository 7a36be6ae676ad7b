"""What a study found: the schema of `results.json`.

Everything but `timing` is the same bytes for the same study, whether or not it was interrupted.
`core.report.summary` fills the derived parts (summaries, contrasts, headroom) from the scores per case.
The published schema is `docs/results.schema.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from strokereg.core.evaluate.image_quality import ImageQuality, Interval
from strokereg.core.evaluate.memorisation import Memorisation
from strokereg.core.evaluate.metrics import CaseMetrics
from strokereg.core.report.statistics import Contrast, Moments, Spread
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.storage.files import write_json
from strokereg.core.synthesis.public import PublicSources
from strokereg.registry.errors import InputError

SCHEMA_VERSION = 2

Training = Literal["clinical", "synthetic", "clinical + synthetic"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CohortFacts(_Part):
    """The cohort that was evaluated on: name, content key, whether simulated, and cases per part of its split."""

    name: str
    fingerprint: str
    simulated: bool
    counts: dict[str, int]


class ExternalFacts(_Part):
    """A cohort of another origin on which every segmenter was evaluated too."""

    name: str
    fingerprint: str
    simulated: bool
    cases: int


class Study(_Part):
    """The settings that define a study.

    Attributes:
        models: translators and mixers compared, in the order asked for.
        generators, segmenters: who made the lesions, and who was trained on the arms.
        shares: of each batch that was synthetic in mixed arms.
        public: `anatomies` and `masks` that come from no case of the cohort.
        preset: smoke, quick or full.
        cases: numbers of clinical training cases of the synthesis arms.
        seeds: one training of every arm for each.
        validation_cases: how many chose weights and postprocessing.
        start: the run whose weights the segmenters began with, and its cohort; empty for random weights.
        steps: optimiser steps per role; the same for every arm.
        augment: changes to the usual augmentation, by role; none is left out.
        spacing: grid that networks see, mm along R, A, S.
        synthesis_saw: clinical cases that generator and translator were trained on: the arm's own, or all
            training cases as in the paper.
    """

    models: list[str]
    generators: list[str] = []
    segmenters: list[str] = []
    shares: list[float] = []
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
    """One training of an arm's segmenter: its postprocessing rule and its scores per case, here and elsewhere."""

    seed: int
    postprocessing: Postprocessing = Postprocessing()
    cases: dict[str, CaseMetrics]
    external: dict[str, CaseMetrics] = {}


class Stratum(_Part):
    """Test cases of one range of true lesion volume; each score is averaged over seeds first."""

    name: str
    cases: int
    metrics: dict[str, Moments]
    contrast: Contrast | None = None


class Summary(_Part):
    """Derived from an arm's scores.

    Attributes:
        dice, lesion_f1: over seeds of the mean over test cases.
        external_dice: the same over the external cases.
        strata: "all", "< 5 ml" and "≥ 5 ml"; those without a case are left out.
    """

    dice: Spread
    lesion_f1: Spread
    external_dice: Spread | None
    strata: list[Stratum]


class Arm(_Part):
    """One training-set recipe.

    Attributes:
        name: unique among the arms with as many cases.
        training: what the segmenter was trained on.
        translator: the translator or mixer that made the synthetic images; None for clinical only.
        generator: who drew the lesions of the synthetic images, but a mixer's.
        segmenter: who was trained.
        public: the synthetic images' anatomies, masks or both are public ones; see `Study.public`.
        synthetic: of each batch that was synthetic, in mixed arms.
        cases: number of clinical cases of the arm.
        seeds: trainings that ended well; an arm without any has no summary.
        contrast: Dice against clinical only of the same segmenter with the same number of cases.
        share: `contrast.difference` over the headroom; None where no headroom was shown.
    """

    name: str
    training: Training
    translator: str | None = None
    generator: str | None = None
    segmenter: str = ""
    public: bool = False
    synthetic: float | None = None
    cases: int
    seeds: list[SeedScores]
    summary: Summary | None = None
    contrast: Contrast | None = None
    share: float | None = None


class Headroom(_Part):
    """Dice of clinical only with all training cases minus with `cases`: what more data could bring at all."""

    segmenter: str = ""
    cases: int
    all_cases: int
    contrast: Contrast


class Quality(_Part):
    """A synthetic database, looked at.

    Attributes:
        model, cases, seed, note, public: which; `public` where its anatomies are no training cases'.
        image_quality: of what the translator paints for held-out label maps; None for a mixer.
        true_contrast: lesion contrast of the held-out images themselves.
        memorisation: whether the database's images are copies.
    """

    model: str
    cases: int
    seed: int
    note: str = ""
    public: bool = False
    image_quality: ImageQuality | None = None
    true_contrast: Interval | None = None
    memorisation: Memorisation


class Failure(_Part):
    """A training or an arm that did not hold, and the sentence that says why."""

    what: str
    reason: str


class Run(_Part):
    """A network that was trained for the study.

    Attributes:
        folder: its run folder below the study's `runs`, as `strokereg export` takes it.
        steps: optimiser steps that it took; 0 for an untrained method.
        losses: the last logged ones.
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
    """How to do it again: the command, and the versions of what ran."""

    command: str = ""
    versions: dict[str, str] = {}


class Results(_Part):
    """All that a study found.

    Attributes:
        synthesis: translator or mixer → name → number, for instance how many masks were redrawn.
        quality: of each synthetic database.
        timing: part of the work → seconds, not overlapping; the only part that differs between two equal studies.
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
        """Clinical only, of the same segmenter with as many cases; None for itself and where it has no scores."""
        return None if arm.training == "clinical" else baselines(self.arms).get((arm.segmenter, arm.cases))

    def write(self, path: Path) -> None:
        """Write `results.json` whole or not at all."""
        write_json(path, self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read `results.json`.

        Raises:
            InputError: missing, damaged or of another schema.
        """
        try:
            return cls.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); give the results.json of a study") from error
        except (ValidationError, UnicodeDecodeError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            raise InputError(f"{path}: not the results of a study ({reason}); run the study again") from error


def baselines(arms: Iterable[Arm]) -> dict[tuple[str, int], Arm]:
    """(segmenter, number of cases) → clinical only, of those that have scores."""
    return {(arm.segmenter, arm.cases): arm for arm in arms if arm.training == "clinical" and arm.seeds}


def schema() -> str:
    """The JSON schema of `results.json`, as kept in `docs/results.schema.json`."""
    return json.dumps(Results.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
