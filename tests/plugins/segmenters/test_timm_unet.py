"""`timm-unet`: any encoder and any size, and batch norm that fits the delivered weights."""

from __future__ import annotations

import pytest
import torch

from strokereg.core.roles import Batch
from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.registry.catalogue import build
from strokereg.registry.problem import Problem


def network(encoder="test_resnet", size=(64, 48), channels=1, **options):
    torch.manual_seed(0)
    return build("timm-unet", Problem(size=size, channels=channels), {"encoder": encoder, "filters": 4, **options})


KINDS = ["resnet18.a1_in1k", "test_convnext", "test_efficientnet", "test_vit", "swin_tiny_patch4_window7_224"]


@pytest.mark.parametrize("encoder", KINDS)
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_encoders_of_all_kinds(encoder, channels):
    model = network(encoder, (64, 80), channels).eval()
    with torch.no_grad():
        assert model(torch.randn(2, channels, 64, 80)).shape == (2, 1, 64, 80)


@pytest.mark.parametrize("size", [(64, 48), (33, 50), (17, 20)])
def test_an_encoder_of_convolutions_takes_any_size(size):
    with torch.no_grad():
        assert network().eval()(torch.randn(1, 1, *size)).shape == (1, 1, *size)


def slices(count=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(count, 1, 32, 32)
    mask[:, :, 8:16, 10:20] = 1
    image = (mask - 0.5 + 0.3 * torch.randn(count, 1, 32, 32, generator=generator)).clamp(-1, 1)
    return Batch(mask[:, 0].long(), image, mask)


def trained(folder, batch_size, steps=60, **options):
    model = network(size=(32, 32), lr=0.03, **options)
    settings = TrainerSettings(steps=steps, precision="fp32")
    return Trainer(model, "timm-unet", lambda step, *_: slices(batch_size, step), settings, folder).fit()


def test_running_statistics_belong_to_the_weights_that_are_delivered(tmp_path):
    """In eval mode the network does on new slices what it did in training; its statistics are those of its weights."""
    model = trained(tmp_path, 8)
    fresh = slices(16, 999)
    kept = {name: value.clone() for name, value in model.state_dict().items() if "running_var" in name}
    with torch.no_grad():
        evaluated = sum(next(model.eval().moves(fresh))[1].values())
        in_training = sum(next(model.train().moves(fresh))[1].values())
        assert evaluated < 0.2
        assert evaluated == pytest.approx(float(in_training), abs=0.05)
        for part in model.modules():  # the statistics of these very weights, taken over many batches
            if isinstance(part, torch.nn.BatchNorm2d):
                part.reset_running_stats()
                part.momentum = None
        for seed in range(20):
            model(slices(8, 2000 + seed).image)
    off = {name: float((model.state_dict()[name] / value - 1).abs().mean()) for name, value in kept.items()}
    assert max(off.values()) < 0.3, off


def test_a_batch_of_one_slice_trains(tmp_path):
    model = trained(tmp_path, 1, steps=5)
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_only_encoders_without_batch_norm_deliver_averaged_weights():
    assert not network("test_resnet").players()["segmenter"].average
    assert network("test_convnext").players()["segmenter"].average
