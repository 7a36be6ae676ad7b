"""Encoders of timm: stages, weights from the cache, and one sentence for everything that goes wrong."""

from __future__ import annotations

import socket
import sys

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

from strokereg.plugins.blocks import timm_encoder
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem


def encoder_of(encoder="test_resnet", size=(64, 48), channels=1, pretrained=False):
    return timm_encoder.build_encoder(encoder, pretrained, Problem(size=size, channels=channels))


def test_stages_less_than_two_voxels_wide_are_left_out():
    assert encoder_of(size=(64, 64)).feature_info.reduction() == [2, 4, 8, 16, 32]
    assert encoder_of(size=(48, 64)).feature_info.reduction() == [2, 4, 8, 16]
    with pytest.raises(InputError, match=r"\(3, 64\) are too small for the encoder 'test_resnet'"):
        encoder_of("test_resnet", (3, 64))


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
        encoder_of(encoder)
    assert "\n" not in str(refused.value)


def test_a_broken_torchvision_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(InputError, match=r"operator torchvision::nms does not exist\); install the torchvision that"):
        encoder_of()


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
        encoder_of(pretrained=True)


def test_an_encoder_without_weights():
    with pytest.raises(InputError, match="timm has no weights for the encoder 'cs3darknet_s'; leave out pretrained"):
        encoder_of("cs3darknet_s", pretrained=True)


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
        encoder_of(pretrained=True)


def broken(*_, **__):
    raise ConnectionError("the line is cut.\nAnd more.")


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_in_the_cache_need_no_net(weights_in_cache, monkeypatch, channels):
    monkeypatch.setattr(timm_encoder, "_answers", lambda address: pytest.fail("asked the net"))
    encoder = encoder_of(channels=channels, pretrained=True).state_dict()
    shared = [name for name in encoder if name in weights_in_cache and "conv1" not in name]
    assert len(shared) > 10
    assert all(torch.equal(encoder[name], weights_in_cache[name]) for name in shared)
