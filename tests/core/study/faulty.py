"""A translator that fails in the way its options ask for; importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from strokereg.core.errors import InputError
from strokereg.core.roles import Player
from strokereg.core.specs import TranslatorSpec
from strokereg.core.study.patience import Patience
from strokereg.registry.catalogue import build as build_installed


@dataclass(frozen=True)
class Entry:
    spec: TranslatorSpec
    distribution: str = "faulty"
    version: str = "1.0"


def entry(how: str) -> Entry:
    return Entry(TranslatorSpec(name=how, factory="faulty:Faulty", summary="fails"))


def build(name, problem, options):
    """`raises`, `refuses`, `nan…`, `hangs…` and `dies…` fail on purpose; any other is an installed architecture."""
    ours = name.startswith(("raises", "refuses", "nan", "hangs", "dies"))
    return Faulty(name) if ours else build_installed(name, problem, options)


def mark_of(how: str) -> Path:
    """The file by which a translator lets the test know that it came to its fault."""
    return Path(f"{os.environ['FAULTY_MARK']}-{how}")


class Faulty(nn.Module):
    def __init__(self, how: str):
        super().__init__()
        self.how = how
        self.shade = nn.Parameter(torch.zeros(()))

    def forward(self, labels):
        if self.how == "nan-painted" and not self.training:
            return labels[:, None].float() * torch.nan
        return (labels[:, None].float() * self.shade).tanh()

    def players(self):
        return {"painter": Player([self.shade])}

    def moves(self, batch):
        loss = (self(batch.labels) - batch.image).square().mean()
        if self.how == "raises":
            raise RuntimeError("the plugin is broken\nin two lines")
        if self.how == "refuses":
            raise InputError("its sizes are multiples of 1000; choose --patch accordingly")
        if self.how == "hangs" and batch.progress > 0.5:
            mark_of("hangs").touch()
            time.sleep(600)
        if self.how == "nan":
            loss = loss * torch.nan
        if self.how.startswith("dies"):
            mark = mark_of(self.how)
            if self.how == "dies-always" or not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        yield "painter", {"l2": loss}


class Impatient(Patience):
    """Has no patience with the one that really hangs, and all the world's with a busy machine."""

    def __init__(self, limit):
        super().__init__(2.0)

    def lost(self, waited):
        hangs = mark_of("hangs").exists()
        return [key for key in super().lost(waited) if hangs and "after step 4 of 6" in self.sentence(key)]
