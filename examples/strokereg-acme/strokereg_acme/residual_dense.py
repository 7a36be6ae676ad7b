"""`residual-dense`: a translator of residual dense blocks with a patch discriminator.

Y. Zhang, Y. Tian, Y. Kong, B. Zhong, Y. Fu: Residual Dense Network for Image Super-Resolution (CVPR 2018, arXiv
1802.08797): in a block, every layer receives the outputs of all layers before it, a 1 x 1 convolution fuses them, and a
skip connection adds the input. The outputs of the blocks are fused in the same way.
Departures: the input is a label map of full size, so nothing is upsampled. A patch discriminator with a hinge loss is
added to L1.
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

import strokereg

CONV = {2: nn.Conv2d, 3: nn.Conv3d}


class ResidualDense(nn.Module):
    """Labels int64 [N, *S] → image [N, C, *S] in [-1, 1]; any size."""

    class Options(strokereg.Options):
        """Args:
        width: filters between blocks.
        growth: filters of each layer within a block.
        layers: number of layers in a block.
        blocks: number of blocks.
        ndf: filters of the discriminator's first layer.
        lr: of Adam, for both players; it falls to zero over the second half.
        l1, adversarial: weights of the generator's losses.
        """

        width: int = Field(default=32, ge=1)
        growth: int = Field(default=16, ge=1)
        layers: int = Field(default=4, ge=1)
        blocks: int = Field(default=4, ge=1)
        ndf: int = Field(default=32, ge=1)
        lr: float = Field(default=2e-4, gt=0)
        l1: float = Field(default=10.0, ge=0)
        adversarial: float = Field(default=1.0, ge=0)

    def __init__(self, problem, options):
        super().__init__()
        self.options, self.labels = options, problem.labels
        dims, width = problem.dims, options.width
        conv = CONV[dims]
        self.enter = conv(problem.labels, width, 3, padding=1)
        self.blocks = nn.ModuleList(Block(dims, width, options.growth, options.layers) for _ in range(options.blocks))
        self.fuse = nn.Sequential(conv(options.blocks * width, width, 1), conv(width, width, 3, padding=1))
        self.leave = conv(width, problem.channels, 3, padding=1)
        seen, ndf = problem.labels + problem.channels, options.ndf
        self.critic = nn.Sequential(
            conv(seen, ndf, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            conv(ndf, 2 * ndf, 3, padding=1),
            nn.LeakyReLU(0.2),
            conv(2 * ndf, 1, 3, padding=1),
        )

    def forward(self, labels):
        entered = x = self.enter(self.one_hot(labels))
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return self.leave(entered + self.fuse(torch.cat(outputs, 1))).tanh()

    def players(self):
        own = [p for name, p in self.named_parameters() if not name.startswith("critic.")]
        lr = self.options.lr
        return {
            "discriminator": strokereg.Player(list(self.critic.parameters()), lr, schedule="linear", average=False),
            "generator": strokereg.Player(own, lr, schedule="linear"),
        }

    def moves(self, batch):
        fake = self(batch.labels)
        real, shown = self.evaluate(batch.image, batch.labels), self.evaluate(fake.detach(), batch.labels)
        yield "discriminator", {"hinge": F.relu(1.0 - real).mean() + F.relu(1.0 + shown).mean()}
        # The discriminator has been updated, so it evaluates the fake again.
        gan = -self.evaluate(fake, batch.labels).mean()
        l1 = F.l1_loss(fake.float(), batch.image)
        yield "generator", {"gan": self.options.adversarial * gan, "l1": self.options.l1 * l1}

    def evaluate(self, image, labels):
        return self.critic(torch.cat([image.float(), self.one_hot(labels)], 1)).float()

    def one_hot(self, labels):
        return F.one_hot(labels, self.labels).movedim(-1, 1).float()


class Block(nn.Module):
    """Densely connected layers, fused, with a skip connection."""

    def __init__(self, dims, width, growth, layers):
        super().__init__()
        self.layers = nn.ModuleList(CONV[dims](width + n * growth, growth, 3, padding=1) for n in range(layers))
        self.fuse = CONV[dims](width + layers * growth, width, 1)

    def forward(self, x):
        seen = [x]
        for layer in self.layers:
            seen.append(F.leaky_relu(layer(torch.cat(seen, 1)), 0.2))
        return x + self.fuse(torch.cat(seen, 1))
