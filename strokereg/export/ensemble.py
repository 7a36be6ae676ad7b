"""Several trainings of a segmenter, by seeds or by folds, as one network that averages their probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from strokereg.core.train.record import Record
from strokereg.registry.errors import InputError
from strokereg.registry.specs import Role

_LEAST = 1e-6  # probability that a logit can still be computed of in float32


class Ensemble(nn.Module):
    """image [N, C, *S] → logits [N, 1, *S] of the mean probability of the members."""

    def __init__(self, members: Sequence[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)
        self.multiple = math.lcm(*(int(getattr(member, "multiple", 1)) for member in members))

    def forward(self, image: Tensor) -> Tensor:
        mean = torch.stack([torch.sigmoid(member(image)) for member in self.members]).mean(dim=0)
        mean = mean.clamp(_LEAST, 1.0 - _LEAST)
        return torch.log(mean) - torch.log(1.0 - mean)


def check_members(records: Sequence[Record], names: Sequence[str]) -> None:
    """Refuse runs that cannot be averaged. Folds of one cohort can, although their network grids may differ in size.

    Args:
        names: of the runs, for messages.

    Raises:
        InputError: fewer than two runs, no segmenters, or runs on other grids, contrasts, cohorts or validation cases.
    """
    if len(records) < 2:
        raise InputError(f"{names[0] if names else 'no run'}: an ensemble takes at least two finished runs")
    first = records[0]
    for record, name in zip(records, names, strict=True):
        if record.role is not Role.SEGMENTER:
            raise InputError(f"{name}: is a {record.role}, and an ensemble is one of segmenters; leave it out")
        same = {
            "another network grid or other contrasts": _grid(record) == _grid(first),
            "another patch size": _patch(record) == _patch(first),
            "another cohort": record.cohort.get("key") == first.cohort.get("key"),
            "other validation cases": record.validation == first.validation or are_folds((first, record)),
            "another use of --flips": _flips(record) == _flips(first),
        }
        for difference, alike in same.items():
            if not alike:
                raise InputError(f"{name}: was trained with {difference} than {names[0]}; give runs of one recipe")


def are_folds(records: Sequence[Record]) -> bool:
    """True for runs on different folds of a cross-validation."""
    folds = [record.cohort.get("fold") for record in records]
    return None not in folds and len(set(folds)) > 1


def record_of(records: Sequence[Record]) -> Record:
    """The record of an ensemble: of the first run, with the largest grid and size of all."""
    first = records[0]
    grid = tuple(max(edges) for edges in zip(*(record.preparation.size for record in records), strict=True))
    size = tuple(max(edges) for edges in zip(*(record.problem.size for record in records), strict=True))
    name, kind = str(first.cohort.get("name", "")), "folds" if are_folds(records) else "trainings"
    name = name.removesuffix(f", fold {first.cohort.get('fold')}") if kind == "folds" else name
    return first.model_copy(
        update={
            "preparation": first.preparation.model_copy(update={"size": grid}),
            "problem": first.problem.model_copy(update={"size": size}),
            "cohort": {**first.cohort, "name": f"{name}, mean of {len(records)} {kind}"},
        }
    )


def _grid(record: Record) -> dict[str, Any]:
    """The preparation without the size of the grid, which follows from the training cases."""
    return record.preparation.model_dump(exclude={"size"})


def _patch(record: Record) -> dict[str, Any]:
    """The problem, without a size where networks take whole slices or volumes."""
    whole = tuple(record.preparation.size[::-1][-record.problem.dims :])
    return record.problem.model_dump(exclude={"size"} if record.problem.size == whole else set())


def _flips(record: Record) -> bool:
    return bool(record.postprocessing and record.postprocessing.flips)
