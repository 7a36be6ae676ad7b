"""A segmentation_models_pytorch network as a segmenter: strokereg --plugin FILE compare --segmenter smp-unet …"""

import segmentation_models_pytorch as smp
from pydantic import Field
from torch import nn

import strokereg

spec = strokereg.SegmenterSpec(
    name="smp-unet",
    factory="smp_unet:SmpUNet",
    summary="U-Net of segmentation_models_pytorch, any of its encoders",
    licence="MIT",
)


class SmpUNet(nn.Module):
    class Options(strokereg.Options):
        encoder: str = "resnet18"
        depth: int = Field(default=4, ge=3, le=5)
        lr: float = Field(default=1e-3, gt=0)

    def __init__(self, problem, options):
        super().__init__()
        self.lr, self.multiple = options.lr, 2**options.depth
        self.dice, self.entropy = smp.losses.DiceLoss("binary"), nn.BCEWithLogitsLoss()
        widths = tuple(256 // 2**level for level in range(options.depth))
        self.net = smp.Unet(options.encoder, options.depth, None, decoder_channels=widths, in_channels=problem.channels)

    def forward(self, image):
        strokereg.require_multiple(image.shape[2:], self.multiple, "smp-unet")
        return self.net(image)

    def players(self):  # batch norm: its statistics belong to the last weights, not to averaged ones
        return {"segmenter": strokereg.Player(list(self.parameters()), lr=self.lr, average=False)}

    def moves(self, batch):
        logits = self(batch.image).float()
        yield "segmenter", {"dice": self.dice(logits, batch.mask), "entropy": self.entropy(logits, batch.mask)}
