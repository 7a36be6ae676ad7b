"""MONAI's UNet as a translator: strokereg --plugin examples/monai_unet.py compare --models pix2pix,monai-unet"""

import torch.nn.functional as F
from monai.networks.nets import UNet
from pydantic import Field
from torch import nn

import strokereg

spec = strokereg.TranslatorSpec(
    name="monai-unet",
    factory="monai_unet:MonaiUNet",
    summary="MONAI's UNet, L1 only",
    licence="Apache-2.0",
    dims=(2, 3),
)


class MonaiUNet(nn.Module):
    class Options(strokereg.Options):
        width: int = Field(default=16, ge=1)
        lr: float = Field(default=1e-3, gt=0)

    multiple = 4

    def __init__(self, problem, options):
        super().__init__()
        self.labels, self.lr, w = problem.labels, options.lr, options.width
        self.net = UNet(problem.dims, problem.labels, problem.channels, (w, 2 * w, 4 * w), (2, 2), num_res_units=1)

    def forward(self, labels):
        strokereg.require_multiple(labels.shape[1:], self.multiple, "monai-unet")
        return self.net(F.one_hot(labels, self.labels).movedim(-1, 1).float()).tanh()

    def players(self):
        return {"translator": strokereg.Player(list(self.parameters()), lr=self.lr)}

    def moves(self, batch):
        yield "translator", {"l1": F.l1_loss(self(batch.labels).float(), batch.image)}
