"""What a segmenter is trained_on with: one line of the study's table, apart from the number of cases and the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from strokereg.core.report.results import Training
from strokereg.core.study.settings import StudySettings

#: The generator that draws from a folder of masks.
LIBRARY = "mask-library"


@dataclass(frozen=True)
class ArmSettings:
    """One way to teach one segmenter.

    Attributes:
        training: what it is trained on.
        segmenter: who is trained.
        model: the translator or mixer behind the synthetic images; None for clinical only.
        generator: who drew their lesions; None for clinical only and for mixers.
        public: their anatomies, their masks or both are public ones; see `StudySettings.anatomies`.
        share: of each batch that is synthetic; None but in mixed arms.
    """

    training: Training
    segmenter: str
    model: str | None = None
    generator: str | None = None
    public: bool = False
    share: float | None = None

    def name(self, settings: StudySettings) -> str:
        """As tables show it: only what tells it from the study's other arms."""
        parts = ["clinical only" if self.model is None else f"{self.model}, {self.training}"]
        if self.public:
            parts.append(_public(settings))
        if self.generator and self.generator != LIBRARY and len(settings.generators) > 1:
            parts.append(self.generator)
        if self.share is not None and len(settings.shares) > 1:
            parts.append(f"{self.share:.0%} of each batch")
        if len(settings.segmenters) > 1:
            parts.append(self.segmenter)
        return ", ".join(parts)


def list_arms(settings: StudySettings, mixers: frozenset[str]) -> Iterator[ArmSettings]:
    """All wanted of a study; clinical only comes before the others of its segmenter.

    Args:
        mixers: those of the study's models that need neither generator nor translator.
    """
    for segmenter in settings.segmenters:
        yield ArmSettings("clinical", segmenter)
        for model in settings.models:
            for generator, public in _priors(settings, model in mixers):
                if not settings.mixed_only:
                    yield ArmSettings("synthetic", segmenter, model, generator, public)
                for share in settings.shares:
                    yield ArmSettings("clinical + synthetic", segmenter, model, generator, public, share)


def _priors(settings: StudySettings, mixer: bool) -> list[tuple[str | None, bool]]:
    """Who draws the lesions, and whether anything of anatomy and lesion is public: once for each set of arms."""
    if mixer:
        return [(None, False)]
    own: list[tuple[str | None, bool]] = [(name, False) for name in settings.generators]
    if settings.mask_library:
        return [*own, (LIBRARY, True)]
    return [*own, *((name, True) for name in settings.generators)] if settings.anatomies else own


def _public(settings: StudySettings) -> str:
    if settings.anatomies and settings.mask_library:
        return "public anatomies and masks"
    return "public anatomies" if settings.anatomies else "public masks"
