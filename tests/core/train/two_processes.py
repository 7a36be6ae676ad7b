"""One training, as torchrun starts it: python -m torch.distributed.run two_processes.py OUT."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import torch
import torch.distributed as dist
from torch import nn

from strokereg.core.roles import Batch, Player
from strokereg.core.train.distributed import join_process_group
from strokereg.core.train.trainer import Trainer, TrainerSettings


class Pair(nn.Module):
    """Two players whose losses are means over samples."""

    def __init__(self):
        super().__init__()
        self.translator, self.critic = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3)

    def players(self):
        return {
            name: Player(list(getattr(self, name).parameters()), lr=1e-2, clip=1.0) for name in ("translator", "critic")
        }

    def moves(self, batch):
        fake = self.translator(batch.mask)
        yield (
            "critic",
            {"gan": (self.critic(fake.detach()) - 1).square().mean() + self.critic(batch.image).square().mean()},
        )
        yield "translator", {"l1": (fake - batch.image).abs().mean(), "gan": self.critic(fake).square().mean()}


def draw(step, device, progress):
    generator = torch.Generator().manual_seed(step)
    image = torch.rand(8, 1, 12, 12, generator=generator)
    image = image[join_process_group("cpu").part(8)]
    return Batch(torch.zeros(len(image), 12, 12, dtype=torch.int64), image, (image > 0.5).float())


def train(folder: Path):
    torch.manual_seed(0)
    model = Pair()
    settings = TrainerSettings(precision="fp32", steps=20, batch_size=8, checkpoint_seconds=0, device="cpu")
    trainer = Trainer(model, "pair", draw, settings, folder)
    trainer.read_every = 5
    return trainer.fit()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with mock.patch.object(dist, "all_reduce", wraps=dist.all_reduce) as reduced:
        trained = train(folder)
    (folder / "reduced").write_text(str(reduced.call_count))
    group = join_process_group()
    torch.save(trained.state_dict(), folder / f"rank{group.rank}.pt")
    group.wait()
