"""Several trainings of a segmenter as one network that averages their probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    """Refuse runs that cannot be averaged.

    Args:
        names: of the runs, for messages.

    Raises:
        InputError: fewer than two runs, no segmenters, or runs on other grids, contrasts or validation cases.
    """
    if len(records) < 2:
        raise InputError(f"{names[0] if names else 'no run'}: an ensemble takes at least two finished runs")
    first = records[0]
    for record, name in zip(records, names, strict=True):
        if record.role is not Role.SEGMENTER:
            raise InputError(f"{name}: is a {record.role}, and an ensemble is one of segmenters; leave it out")
        same = {
            "another network grid or other contrasts": record.preparation == first.preparation,
            "another patch size": record.problem == first.problem,
            "other validation cases": record.validation == first.validation,
            "another cohort": record.cohort.get("key") == first.cohort.get("key"),
        }
        for difference, alike in same.items():
            if not alike:
                raise InputError(f"{name}: was trained with {difference} than {names[0]}; give runs of one recipe")
