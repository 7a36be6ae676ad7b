"""What is special about `timm-unet`: any encoder, clear refusals, weights without a net, and batch norm done right."""

from __future__ import annotations

import socket
import sys

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

from strokereg.core.roles import Batch
from strokereg.core.train.trainer import Trainer, TrainerSettings
from strokereg.plugins.blocks import timm_encoder
from strokereg.registry.catalogue import build
from strokereg.registry.errors import InputError
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


def test_stages_less_than_two_voxels_wide_are_left_out():
    assert network(size=(64, 64)).encoder.feature_info.reduction() == [2, 4, 8, 16, 32]
    assert network(size=(48, 64)).encoder.feature_info.reduction() == [2, 4, 8, 16]
    with pytest.raises(InputError, match=r"\(3, 64\) are too small for the encoder 'test_resnet'"):
        network("test_resnet", (3, 64))


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        ("resnet81", r"timm-unet: timm knows no encoder 'resnet81' \(did you mean resnet"),
        ("hf-hub:someone/resnet", "timm knows no encoder 'hf-hub:someone/resnet'"),
        ("resnet18.nonsense", "encoder 'resnet18.nonsense': Invalid pretrained tag"),
        ("nest_tiny", r"no feature maps for slices of \(64, 48\) \(Model only handles square inputs\); choose another"),
        ("convit_tiny", r"no feature maps .*; choose another, for example resnet18"),
    ],
)
def test_encoders_that_cannot_be_are_one_sentence(encoder, said):
    with pytest.raises(InputError, match=said) as refused:
        network(encoder)
    assert "\n" not in str(refused.value)


def test_a_broken_torchvision_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(InputError, match=r"operator torchvision::nms does not exist\); install the torchvision that"):
        network()


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.parametrize("offline", [True, False])
def test_no_net_and_no_cache_is_one_sentence(tmp_path, monkeypatch, offline):
    address = f"http://127.0.0.1:{closed_port()}"
    for name, value in {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": offline, "ENDPOINT": address}.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)
    # Were the download begun, its retries would be seen here.
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: pytest.fail("tried to download"))
    with pytest.raises(InputError, match=rf"of 'test_resnet' are not in the cache and {address} cannot be reached"):
        network(pretrained=True)


def test_an_encoder_without_weights():
    with pytest.raises(InputError, match="timm has no weights for the encoder 'cs3darknet_s'; leave out pretrained"):
        network("cs3darknet_s", pretrained=True)


@pytest.fixture
def weights_in_cache(tmp_path, monkeypatch):
    """The hub's cache as a download of test_resnet leaves it, with weights of our own."""
    import timm

    torch.manual_seed(5)
    weights = timm.create_model("test_resnet").state_dict()
    folder = tmp_path / f"models--{timm.get_pretrained_cfg('test_resnet').hf_hub_id.replace('/', '--')}"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    save_file(weights, folder / "snapshots" / "abc" / "model.safetensors")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return weights


def test_weights_that_do_not_come_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(timm_encoder, "_answers", lambda address: True)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", broken)
    with pytest.raises(
        InputError, match=r"the weights of 'test_resnet' cannot be loaded \(the line is cut\); try again, or"
    ):
        network(pretrained=True)


def broken(*_, **__):
    raise ConnectionError("the line is cut.\nAnd more.")


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_in_the_cache_need_no_net(weights_in_cache, monkeypatch, channels):
    monkeypatch.setattr(timm_encoder, "_answers", lambda address: pytest.fail("asked the net"))
    encoder = network(channels=channels, pretrained=True).encoder.state_dict()
    shared = [name for name in encoder if name in weights_in_cache and "conv1" not in name]
    assert len(shared) > 10
    assert all(torch.equal(encoder[name], weights_in_cache[name]) for name in shared)


def slices(count=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(count, 1, 32, 32)
    mask[:, :, 8:16, 10:20] = 1
    image = (mask - 0.5 + 0.3 * torch.randn(count, 1, 32, 32, generator=generator)).clamp(-1, 1)
    return Batch(mask[:, 0].long(), image, mask)


def trained(folder, batch_size, steps=60, **options):
    model = network(size=(32, 32), lr=0.03, **options)
    settings = TrainerSettings(steps=steps, precision="fp32", checkpoint_every=1000)
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
