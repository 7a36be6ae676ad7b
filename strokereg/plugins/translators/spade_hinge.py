"""`spade-hinge`: SPADE with the losses and discriminators of its authors.

T. Park, M.-Y. Liu, T.-C. Wang, J.-Y. Zhu: Semantic Image Synthesis with Spatially-Adaptive Normalization (2019), with
the discriminators and feature matching of pix2pixHD (Wang 2018): hinge loss, two discriminators at full and half size,
feature matching weight 10, spectral norm (Miyato 2018) in generator and discriminators, rates 1e-4 and 4e-4 (Heusel
2017), Adam with betas 0 and 0.9. With `encoder`, a variational encoder predicts the style z from the real image (KL
weight 0.05); without it, z is noise in training too. At inference z is always noise.
Departures: no VGG loss, because it needs external weights that were trained on photographs; `l1` can replace it and is
off by default. The generator is that of `spade`: instance norm, max-pooled label maps, one block for each scale.
Discriminators halve the image down to at least 4 voxels, at most three times, with a padding of 1 instead of 2. KL is
averaged over the batch, so its weight does not depend on the batch size.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from strokereg.core.roles import Batch, Move, Player, require_multiple
from strokereg.core.roles import noise as draw_noise
from strokereg.plugins.blocks.layers import CONV, INSTANCE_NORM, halvings, one_hot
from strokereg.plugins.translators.spade import SpadeGenerator
from strokereg.registry.options import Options
from strokereg.registry.problem import Problem

_AVERAGE_POOL = {2: F.avg_pool2d, 3: F.avg_pool3d}


class SpadeHinge(nn.Module):
    """Labels int64 [N, *S], z [N, noise] → image [N, C, *S] in [-1, 1]; every edge is a multiple of 2^levels."""

    class Options(Options):
        """Args:
        ngf: filters of the generator's finest level; doubled with each halving up to eightfold.
        ndf: filters of the first layer of each discriminator and of the encoder.
        hidden: filters between labels and modulation maps.
        levels: doublings from the dense map to the image; fewer if the size does not allow them.
        noise: width of z.
        encoder: predict the style z from the real image during training.
        lr: the generator uses half, the discriminators twice this rate; both fall to zero over the second half.
        features, l1: weights of feature matching and of L1 to the real image.
        kl: weight of the KL divergence of the encoder from N(0, 1).
        """

        ngf: int = Field(default=64, ge=1)
        ndf: int = Field(default=64, ge=1)
        hidden: int = Field(default=128, ge=1)
        levels: int = Field(default=5, ge=1, le=8)
        noise: int = Field(default=256, ge=1)
        encoder: bool = False
        lr: float = Field(default=2e-4, gt=0)
        features: float = Field(default=10.0, ge=0)
        l1: float = Field(default=0.0, ge=0)
        kl: float = Field(default=0.05, ge=0)

    def __init__(self, problem: Problem, options: Options):
        super().__init__()
        self.options, self.labels, self.noise = options, problem.labels, options.noise
        self.generator = SpadeGenerator(problem, options.ngf, options.hidden, options.noise, options.levels)
        self.multiple = self.generator.multiple
        for block in self.generator.blocks:
            for conv in filter(None, (block.conv1, block.conv2, block.short)):
                spectral_norm(conv)
        self.encoder = StyleEncoder(problem, options.ndf, options.noise) if options.encoder else None
        self.critics = nn.ModuleList(ScaleCritic(problem, options.ndf, halved) for halved in (0, 1))

    def forward(self, labels: Tensor, z: Tensor) -> Tensor:
        require_multiple(labels.shape[1:], self.multiple, "spade-hinge")
        return self.generator(one_hot(labels, self.labels), z)

    def players(self) -> dict[str, Player]:
        o, betas = self.options, (0.0, 0.9)
        generating = [p for part in (self.generator, self.encoder) if part is not None for p in part.parameters()]
        return {
            "discriminator": Player(
                list(self.critics.parameters()), 2.0 * o.lr, betas, schedule="linear", average=False
            ),
            "generator": Player(generating, 0.5 * o.lr, betas, schedule="linear"),
        }

    def moves(self, batch: Batch) -> Iterator[Move]:
        o = self.options
        z, kl = self.style(batch.image)
        fake = self(batch.labels, z)
        real_logits, fake_logits = (self.evaluate(image, batch.labels)[0] for image in (batch.image, fake.detach()))
        gan = _mean([F.relu(1.0 - logits).mean() for logits in real_logits])
        gan = gan + _mean([F.relu(1.0 + logits).mean() for logits in fake_logits])
        yield "discriminator", {"gan": gan}
        with torch.no_grad():
            _, wanted = self.evaluate(batch.image, batch.labels)
        logits, outputs = self.evaluate(fake, batch.labels)
        apart = [F.l1_loss(a.float(), b.float()) for a, b in zip(outputs, wanted, strict=True)]
        losses = {"gan": -_mean([value.mean() for value in logits])}
        if o.features:
            # Sum over layers, mean over scales.
            losses["features"] = o.features * torch.stack(apart).sum() / len(self.critics)
        if o.l1:
            losses["l1"] = o.l1 * F.l1_loss(fake.float(), batch.image)
        if self.encoder is not None:
            losses["kl"] = o.kl * kl
        yield "generator", losses

    def style(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Style z [N, Z] of a real image and its KL divergence from N(0, 1); plain noise without an encoder."""
        noise = draw_noise(self, len(image))
        if self.encoder is None:
            return noise, noise.new_zeros(())
        mean, log_variance = self.encoder(image)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1).mean()
        return mean + (0.5 * log_variance).exp() * noise, kl

    def evaluate(self, image: Tensor, labels: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Patch logits of each discriminator, and the features of all their layers."""
        x = torch.cat([image, one_hot(labels, self.labels).to(image.dtype)], 1)
        outputs = [critic(x) for critic in self.critics]
        return [layers[-1].float() for layers in outputs], [x for layers in outputs for x in layers[:-1]]


class ScaleCritic(nn.Module):
    """Patch discriminator with spectral and instance norm that returns the outputs of all layers (pix2pixHD).

    Args:
        halved: how often the image is halved first.
    """

    def __init__(self, problem: Problem, ndf: int, halved: int):
        super().__init__()
        self.dims, self.halved = problem.dims, halved
        conv, norm = CONV[problem.dims], INSTANCE_NORM[problem.dims]
        strided = halvings(tuple(n // 2**halved for n in problem.size), most=3)
        layers, before = [], problem.channels + problem.labels
        for depth in range(4):
            width = min(ndf * 2**depth, 8 * ndf)
            edge, stride = (4, 2) if depth < strided else (3, 1)
            if depth == 0:
                layer = [conv(before, width, edge, stride, 1)]
            else:
                layer = [spectral_norm(conv(before, width, edge, stride, 1, bias=False)), norm(width)]
            layers.append(nn.Sequential(*layer, nn.LeakyReLU(0.2)))
            before = width
        self.layers = nn.ModuleList([*layers, conv(before, 1, 3, 1, 1)])

    def forward(self, x: Tensor) -> list[Tensor]:
        for _ in range(self.halved):
            x = _AVERAGE_POOL[self.dims](x, 3, 2, 1, count_include_pad=False)
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return outputs


class StyleEncoder(nn.Module):
    """Image [N, C, *S] of the training size → mean and log variance of its style, [N, Z] each."""

    def __init__(self, problem: Problem, ndf: int, width: int):
        super().__init__()
        conv, norm = CONV[problem.dims], INSTANCE_NORM[problem.dims]
        layers: list[nn.Module] = []
        before, cells = problem.channels, 1
        levels = halvings(problem.size, most=5, smallest=4)
        for depth in range(levels):
            after = min(ndf * 2**depth, 8 * ndf)
            layers += [spectral_norm(conv(before, after, 3, 2, 1, bias=False)), norm(after), nn.LeakyReLU(0.2)]
            before = after
        for n in problem.size:
            cells *= n // 2**levels
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(before * cells, 2 * width))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.layers(image).float().chunk(2, 1)
        return mean, log_variance


def _mean(values: list[Tensor]) -> Tensor:
    return torch.stack(values).mean()
