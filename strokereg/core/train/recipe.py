"""How each role is trained: which slices it sees, and how they are augmented. One recipe for every architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from strokereg.core.train.artefacts import require_libraries
from strokereg.core.train.augmentation import FULL, MOVEMENTS, Augmentation
from strokereg.core.train.prepared import PreparedCase
from strokereg.core.train.sampler import CasePool, Sampler
from strokereg.core.train.trainer import TrainerSettings
from strokereg.registry.options import parse
from strokereg.registry.problem import Problem
from strokereg.registry.specs import ArchitectureSpec, TranslatorSpec

_LESION_SHARE = {"generator": 1.0, "translator": 0.5, "segmenter": 0.5}
_AUGMENTATION = {"generator": MOVEMENTS, "translator": MOVEMENTS, "segmenter": FULL}


def sampler_of(
    spec: ArchitectureSpec,
    problem: Problem,
    settings: TrainerSettings,
    clinical: Sequence[PreparedCase],
    synthetic: Sequence[PreparedCase] = (),
    synthetic_share: float = 0.5,
) -> Sampler:
    """The sampler for one training.

    Args:
        clinical, synthetic: training cases; either may be empty, and then the other fills the batches.
        synthetic_share: of each batch, where both are given.
    """
    lesion_share = _LESION_SHARE[spec.role]
    sources = []
    if clinical:
        sources.append(CasePool(clinical, 1.0 - synthetic_share if synthetic else 1.0, lesion_share))
    if synthetic:
        sources.append(CasePool(synthetic, synthetic_share if clinical else 1.0, lesion_share))
    paired = spec.paired if isinstance(spec, TranslatorSpec) else True
    how = augmentation_of(spec.role, settings.augment)
    return Sampler(sources, problem, settings.batch_size, settings.seed, how, paired)


def augmentation_of(role: str, changes: Mapping[str, float], owner: str = "--augment") -> Augmentation:
    """The role's augmentation with the changes that were asked for.

    Args:
        owner: whom an error names.

    Raises:
        InputError: no such kind, a value that does not fit, or a library that is not installed.
    """
    how = parse(Augmentation, {**_AUGMENTATION[role].model_dump(), **changes}, owner)
    require_libraries(how, owner)
    return how
