"""The residual generator of pix2pix and CycleGAN, for 2 and 3 dimensions.

J. Johnson, A. Alahi, L. Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution (2016), as used by
Zhu, Park, Isola, Efros (CycleGAN, 2017, appendix 7.2): 7-wide convolution, two halvings, nine residual blocks, two
doublings, 7-wide convolution.
Departures: the last convolution also receives the input, so that edges need not pass the coarse levels; without it,
images stayed blurred and striped for the first 500 steps. Upsampling is linear interpolation and a convolution instead
of a transposed convolution, which leaves a checkerboard (Odena 2016). Borders are padded with zeros instead of
reflected, because a skull-stripped scan is empty there. In 3D the outer convolutions are 3 wide instead of 7: with 343
taps a voxel at full resolution, they took three quarters of a training step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from strokereg.plugins.blocks.layers import CONV, DROPOUT, INSTANCE_NORM, halvings
from strokereg.registry.problem import Problem

_LINEAR = {2: "bilinear", 3: "trilinear"}
_OUTER = {2: 7, 3: 3}  # width of the first and the last convolution


class ResNetGenerator(nn.Module):
    """[N, before, *S] → [N, after, *S], without a final activation; every edge is a multiple of `multiple`.

    Args:
        before, after: channels of input and output.
        ngf: filters of the outer layers; doubled with each halving.
        blocks: residual blocks at the coarsest level.
        dropout: inside the blocks, during training.
    """

    def __init__(self, problem: Problem, before: int, after: int, ngf: int, blocks: int, dropout: float = 0.0):
        super().__init__()
        dims = problem.dims
        levels = halvings(problem.size, most=2)
        self.multiple = 2**levels
        layers = [_convolve(dims, before, ngf, _OUTER[dims])]
        width = ngf
        for _ in range(levels):
            layers.append(_convolve(dims, width, 2 * width, 3, stride=2))
            width *= 2
        layers += [_Residual(dims, width, dropout) for _ in range(blocks)]
        for _ in range(levels):
            double = nn.Upsample(scale_factor=2.0, mode=_LINEAR[dims])
            layers.append(nn.Sequential(double, _convolve(dims, width, width // 2, 3)))
            width //= 2
        self.layers = nn.Sequential(*layers)
        self.head = CONV[dims](width + before, after, _OUTER[dims], padding=_OUTER[dims] // 2)

    def forward(self, x: Tensor) -> Tensor:
        features = self.layers(x)
        return self.head(torch.cat([features, x.to(features.dtype)], 1))


class _Residual(nn.Module):
    def __init__(self, dims: int, width: int, dropout: float):
        super().__init__()
        drop = [DROPOUT[dims](dropout)] if dropout else []
        again = CONV[dims](width, width, 3, padding=1)
        self.way = nn.Sequential(
            _convolve(dims, width, width, 3), *drop, again, INSTANCE_NORM[dims](width, affine=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.way(x)


def _convolve(dims: int, before: int, width: int, edge: int, stride: int = 1) -> nn.Sequential:
    norm = INSTANCE_NORM[dims](width, affine=True)
    return nn.Sequential(CONV[dims](before, width, edge, stride, edge // 2), norm, nn.ReLU(inplace=True))
