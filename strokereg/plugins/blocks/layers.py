"""Building blocks that several architectures share, in 2D and 3D."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
UP_CONV = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
INSTANCE_NORM = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}
MAX_POOL = {2: F.max_pool2d, 3: F.max_pool3d}


def one_hot(labels: Tensor, count: int) -> Tensor:
    """int64 [N, *S] → float32 [N, count, *S]."""
    return F.one_hot(labels, count).movedim(-1, 1).float()


def normal_weights(module: nn.Module, std: float = 0.02) -> None:
    """Draw all convolution and linear weights from N(0, std), biases zero (Radford 2016, as in pix2pix)."""
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)):
            nn.init.normal_(part.weight, 0.0, std)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def halvings(size: tuple[int, ...], most: int, smallest: int = 4) -> int:
    """How often every edge of `size` can be halved exactly, down to `smallest` and at most `most` times.

    Edges shorter than the kernel should be avoided: on such volumes, the bf16 gradient of a convolution can be NaN on a
    CPU (torch 2.14, oneDNN).
    """
    times = 0
    while times < most and all(n % 2 ** (times + 1) == 0 and n // 2 ** (times + 1) >= smallest for n in size):
        times += 1
    return times


class PatchDiscriminator(nn.Module):
    """Discriminator of overlapping patches (Isola 2017).

    Args:
        channels: of the input: image channels plus label channels.
        filters: of each layer; the first `strided` of them halve the size.

    Returns:
        from `forward(x [N, channels, *S])`: one logit a patch, [N, 1, *S'].
    """

    def __init__(self, dims: int, channels: int, filters: tuple[int, ...], strided: int = 3):
        super().__init__()
        layers: list[nn.Module] = []
        for depth, width in enumerate(filters):
            stride = 2 if depth < strided else 1
            layers.append(CONV[dims](channels, width, 4 if stride == 2 else 3, stride, 1))
            if depth > 0:
                layers.append(INSTANCE_NORM[dims](width, affine=True))
            layers.append(nn.LeakyReLU(0.2))
            channels = width
        layers.append(CONV[dims](channels, 1, 3, 1, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class HistoryPool(nn.Module):
    """Pool of recent fakes (Shrivastava 2017): half of each batch for the discriminator is replaced by older fakes.

    It is kept in buffers, so a checkpoint includes it and a resumed run is bit-exact. It takes memory from the first
    training step on, and is not delivered with the weights. A batch is exchanged at once and without waiting for a GPU,
    so its items never replace each other.
    """

    training_only = True

    def __init__(self, capacity: int, *shape: int):
        super().__init__()
        self.capacity = capacity
        self.register_buffer("items", torch.zeros(0, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def swap(self, fresh: Tensor) -> Tensor:
        """Return a batch [N, …] of which about half comes from the pool; the pool keeps the replaced items."""
        if self.capacity == 0:
            return fresh
        if not len(self.items):
            self.items = self.items.new_zeros(self.capacity, *self.items.shape[1:])
        return torch.cat([self._exchange(part) for part in fresh.detach().split(self.capacity)])

    def _exchange(self, fresh: Tensor) -> Tensor:
        """`swap` for a batch that fits into the pool. Until the pool is full, it only takes items in."""
        count, device = len(fresh), fresh.device
        ones = (1,) * (fresh.ndim - 1)
        slots = self.filled + torch.arange(count, device=device)
        full = self.filled == self.capacity
        chosen = torch.rand(self.capacity, device=device).argsort()[:count]  # each place at most once
        places = torch.where(full, chosen, slots % self.capacity)
        older = self.items[places]
        swapped = (full & (torch.rand(count, device=device) < 0.5)).reshape(-1, *ones)
        taken = swapped | (slots < self.capacity).reshape(-1, *ones)
        self.items[places] = torch.where(taken, fresh.to(older.dtype), older)
        self.filled.add_(count).clamp_(max=self.capacity)
        return torch.where(swapped, older.to(fresh.dtype), fresh)

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *words: object) -> None:
        stored = state_dict.get(f"{prefix}items", self.items)
        if len(stored) in (0, self.capacity):
            self.items = self.items.new_zeros(len(stored), *self.items.shape[1:])
        super()._load_from_state_dict(state_dict, prefix, *words)  # type: ignore[arg-type]


def least_squares(logits: Tensor, target: float) -> Tensor:
    """LSGAN loss (Mao 2017): mean squared distance of the logits to `target`."""
    return (logits.float() - target).square().mean()
