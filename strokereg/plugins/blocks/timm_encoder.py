"""Build encoders by their timm name, with one-sentence errors for all that can go wrong."""

from __future__ import annotations

import urllib.error
import urllib.request
from types import ModuleType
from typing import Any

import torch
from torch import nn

from strokereg.registry.errors import InputError, did_you_mean
from strokereg.registry.problem import Problem

_PATIENCE = 5  # seconds to wait for a reply; the hub's own retries take most of a minute
_FILES = ("model.safetensors", "pytorch_model.bin")  # names of the weights in a repository of the hub


def build_encoder(name: str, pretrained: bool, problem: Problem) -> nn.Module:
    """Build a timm model that returns feature maps, finest first, none less than 2 voxels wide.

    Args:
        name: timm name, with or without the tag of its weights: resnet18, resnet18.a1_in1k.
        pretrained: load timm's weights, from the hub's cache or by download.
        problem: gives the channels, and the size for encoders of a fixed size.

    Raises:
        InputError: timm cannot be imported, the name is unknown, the model has no feature maps or does not take this
            size, or its weights do not exist or cannot be downloaded.
    """
    timm = _import_timm()
    if not timm.is_model(name):
        near = did_you_mean(name, timm.list_models())
        raise InputError(f"timm-unet: timm knows no encoder {name!r}{near}; timm.list_models() lists all")
    try:
        about = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        raise InputError(f"timm-unet: the encoder {name!r}: {error} Leave out the part after the dot") from error
    asked: dict[str, Any] = {"features_only": True, "in_chans": problem.channels}
    if about is not None and about.fixed_input_size:
        asked["img_size"] = problem.size
    # Built without weights first, to find the useful stages, and to fail before any download.
    plain = _created(timm, name, problem, asked)
    info = plain.feature_info
    wide = [i for i, step in zip(info.out_indices, info.reduction(), strict=True) if min(problem.size) // step >= 2]
    if not wide:
        raise InputError(f"timm-unet: slices of {problem.size} are too small for the encoder {name!r}; choose another")
    if len(wide) < len(info.out_indices):
        asked["out_indices"] = tuple(wide)
        plain = _created(timm, name, problem, asked)
    if not pretrained:
        return plain
    source = _source(name, about)
    try:
        return timm.create_model(name, **asked, pretrained=True, **source)
    except Exception as error:  # downloads fail in many ways
        raise InputError(
            f"timm-unet: the weights of {name!r} cannot be loaded ({_line(error)}); try again, or set pretrained=false"
        ) from error


def _created(timm: ModuleType, name: str, problem: Problem, asked: dict[str, Any]) -> nn.Module:
    try:
        encoder = timm.create_model(name, **asked)
        with torch.no_grad():  # many transformers reject a size only here
            encoder.eval()(torch.zeros(1, problem.channels, *problem.size))
    except Exception as error:  # timm and its models raise errors of many kinds
        raise InputError(
            f"timm-unet: the encoder {name!r} gives no feature maps for slices of {problem.size} ({_line(error)}); "
            "choose another, for example resnet18"
        ) from error
    return encoder.train()


def _import_timm() -> ModuleType:
    try:
        import timm
    except Exception as error:  # a torchvision for another torch raises a RuntimeError
        raise InputError(
            f"timm-unet: timm cannot be imported ({_line(error)}); install the torchvision that was built for "
            f"torch {torch.__version__}, and timm"
        ) from error
    return timm


def _source(name: str, about: Any) -> dict[str, Any]:
    """Arguments for timm: the file in the hub's cache, or none for a download.

    Raises:
        InputError: there are no weights, or they are not in the cache and the network cannot be reached.
    """
    if about is None or not about.has_weights:
        raise InputError(f"timm-unet: timm has no weights for the encoder {name!r}; leave out pretrained")
    import huggingface_hub

    address = huggingface_hub.constants.ENDPOINT
    if about.hf_hub_id:
        for file in [about.hf_hub_filename] if about.hf_hub_filename else _FILES:
            found = huggingface_hub.try_to_load_from_cache(about.hf_hub_id, file)
            if isinstance(found, str):
                return {"pretrained_cfg_overlay": {"file": found}}
    elif about.url:
        address = about.url
    if huggingface_hub.constants.HF_HUB_OFFLINE or not _answers(address):
        raise InputError(
            f"timm-unet: the weights of {name!r} are not in the cache and {address} cannot be reached; "
            "connect to the internet once, or set pretrained=false"
        )
    return {}


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=_PATIENCE).close()
    except urllib.error.HTTPError as refusal:
        return refusal.code < 500  # the server answers, unless it is a gateway
    except (OSError, ValueError):
        return False
    return True


def _line(error: Exception) -> str:
    """The first line of an error message, without its full stop."""
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
