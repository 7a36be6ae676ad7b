"""A plugin file whose translators fail in the way their names say; importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import nn

from strokereg import hookimpl
from strokereg.core.roles import Player
from strokereg.core.study.executor import Silence
from strokereg.registry.errors import InputError
from strokereg.registry.specs import TranslatorSpec

HOWS = ("raises", "refuses", "nan", "nan-painted", "hangs", "dies-once", "dies-always")


@hookimpl
def strokereg_translators():
    for how in HOWS:
        yield TranslatorSpec(name=how, factory=f"faulty:{class_of(how)}", summary="fails")


def class_of(how: str) -> str:
    return "".join(part.capitalize() for part in how.split("-"))


def mark_of(how: str) -> Path:
    """The file by which a translator lets the test know that it came to its fault."""
    return Path(f"{os.environ['FAULTY_MARK']}-{how}")


class Faulty(nn.Module):
    how = ""

    def __init__(self, problem, options):
        super().__init__()
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


for _how in HOWS:
    globals()[class_of(_how)] = type(class_of(_how), (Faulty,), {"how": _how})


class Impatient(Silence):
    """Has no patience with the one that really hangs, and all the world's with a busy machine."""

    def __init__(self, limit):
        super().__init__(2.0)

    def exceeded(self, waited):
        hangs = mark_of("hangs").exists()
        return [key for key in super().exceeded(waited) if hangs and "after step 4 of 6" in self.reason(key)]
