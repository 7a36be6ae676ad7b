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

    It is kept in buffers, so a checkpoint includes it and a resumed run is bit-exact.
    """

    def __init__(self, capacity: int, *shape: int):
        super().__init__()
        self.capacity = capacity
        self.register_buffer("items", torch.zeros(capacity, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    def swap(self, fresh: Tensor) -> Tensor:
        """Return a batch [N, …] of which about half comes from the pool; the pool keeps the replaced items."""
        if self.capacity == 0:
            return fresh
        out = []
        for item in fresh.detach():
            filled = int(self.filled)
            if filled < self.capacity:
                self.items[filled] = item
                self.filled += 1
                out.append(item)
            elif torch.rand(()).item() < 0.5:
                place = int(torch.randint(self.capacity, ()))
                out.append(self.items[place].to(item.dtype, copy=True))
                self.items[place] = item
            else:
                out.append(item)
        return torch.stack(out)


def least_squares(logits: Tensor, target: float) -> Tensor:
    """LSGAN loss (Mao 2017): mean squared distance of the logits to `target`."""
    return (logits.float() - target).square().mean()
