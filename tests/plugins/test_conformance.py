"""Every built-in keeps the contract that it asks of strangers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from strokereg.core.train.device import compile_networks
from strokereg.registry.catalogue import build
from strokereg.registry.problem import Problem
from strokereg.testing import CHECKS, suites_of

DEVICE = CHECKS["stays-on-its-device"]
NEVER = "a training step never waits for the device"
#: Looks at label maps in NumPy, for a few batches; it is not trained.
ON_THE_HOST = "mask-library"


def test_a_built_in_conforms(check):
    check()
    if check.check is DEVICE:
        message = check.suite.outcome(DEVICE).message
        assert (message == NEVER) != (check.suite.subject.spec.name == ON_THE_HOST), message


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mask-gan", {"ngf": 4, "ndf": 4, "volume": True}),
        ("spade-hinge", {"ngf": 4, "ndf": 4, "hidden": 4, "encoder": True, "l1": 1.0}),
        ("dynunet", {"filters": 4, "residual": True, "supervision": False}),
        ("random-contrast", {"lesion_bright": True}),
    ],
)
def test_other_options_stay_on_the_device_too(name, options):
    for suite in suites_of(name, options=options, edge=16):
        assert DEVICE.run(suite.subject) == NEVER


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cyclegan", {"ngf": 4, "ndf": 4, "blocks": 1}),
        ("flow", {"ngf": 4}),
        ("dynunet", {"filters": 4}),
        ("pix2pix", {"ngf": 4, "ndf": 4}),
        ("unet", {"widths": (4, 8)}),
    ],
)
def test_compiling_reaches_whatever_moves_call(name, options, brains, monkeypatch):
    """The outermost module of every call is compiled: the network's own forward, or the parts that moves call."""
    compiled, called, depth = set(), [], [0]
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.add(module))
    model = build(name, Problem(labels=5, size=(16, 16)), options)
    compile_networks(model)

    def enter(module, given):
        called.extend([module] if depth[0] == 0 else [])
        depth[0] += 1

    def leave(module, given, result):
        depth[0] -= 1

    hooks = [
        nn.modules.module.register_module_forward_pre_hook(enter),
        nn.modules.module.register_module_forward_hook(leave),
    ]
    try:
        with torch.no_grad():
            list(model.moves(brains()))
    finally:
        for hook in hooks:
            hook.remove()
    assert called
    assert {type(module).__name__ for module in called if module not in compiled} == set()
