"""MONAI's SegResNet as the segmenter of a study: strokereg --plugin FILE compare --segmenter segresnet …"""

from monai.losses import DiceCELoss
from monai.networks.nets import SegResNet
from pydantic import Field
from torch import nn

import strokereg

spec = strokereg.SegmenterSpec(
    name="segresnet",
    factory="monai_segresnet:Segmenter",
    summary="MONAI's SegResNet",
    licence="Apache-2.0",
    dims=(2, 3),
)


class Segmenter(nn.Module):
    class Options(strokereg.Options):
        width: int = Field(default=8, ge=8, multiple_of=8)
        lr: float = Field(default=1e-3, gt=0)

    multiple = 4

    def __init__(self, problem, options):
        super().__init__()
        self.lr, self.loss = options.lr, DiceCELoss(sigmoid=True)
        self.net = SegResNet(problem.dims, options.width, problem.channels, 1, blocks_down=(1, 1, 1), blocks_up=(1, 1))

    def forward(self, image):
        strokereg.require_multiple(image.shape[2:], self.multiple, "segresnet")
        return self.net(image)

    def players(self):
        return {"segmenter": strokereg.Player(list(self.parameters()), lr=self.lr, optimiser="adamw")}

    def moves(self, batch):
        yield "segmenter", {"dice_ce": self.loss(self(batch.image).float(), batch.mask)}
