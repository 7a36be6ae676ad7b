"""Checks of the spec and the factory: listing imports nothing heavy, and the factory builds what the role needs."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

from strokereg.core.roles import Mixer, Trainable
from strokereg.registry.factory import build_entry
from strokereg.registry.specs import ROLES, Role
from strokereg.testing.check import Broken, Unfit, describe, require, rule
from strokereg.testing.subject import Subject

_HEAVY = ("torch", "torchvision", "timm", "monai", "nibabel", "scipy", "onnxruntime", "onnx")

_LISTING = """
import sys
from importlib import metadata
from strokereg.registry.installed import canonical, load_installed
points = [point for point in metadata.entry_points(group="strokereg") if point.dist]
load_installed([point for point in points if canonical(point.dist.name) == canonical({name!r})])
print(*[name for name in {heavy!r} if name in sys.modules])
"""


@rule(
    "listing the spec does not import torch or other heavy packages, because every command loads all hooks",
    "import heavy packages in the module of the class, not in the module of the hooks",
    ROLES,
    needs=(),
)
def spec_is_lazy(subject: Subject) -> None:
    if not subject.entry.installed:
        raise Unfit("it is a class or a file, not part of an installed distribution")
    heavy = heavy_imports(subject.entry.distribution)
    require(not heavy, f"loading the hooks of {subject.entry.distribution} imports {heavy}")


@functools.cache
def heavy_imports(distribution: str) -> str:
    """Heavy packages that are loaded in a fresh Python after listing the specs of this distribution, in one line."""
    code = _LISTING.format(name=distribution, heavy=_HEAVY)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise Broken(f"a fresh Python cannot load it ({(done.stderr.strip().splitlines() or ['no message'])[-1]})")
    return done.stdout.strip()


@rule(
    "Class(problem, options) returns what its role needs",
    "let the class take (problem, options); see 'The factory' in docs/reference/plugin-api.md",
    ROLES,
    needs=(),
)
def builds(subject: Subject) -> None:
    model = subject.build()
    if subject.role is Role.MIXER:
        require(isinstance(model, Mixer), "it has no method mix(host, donor, rng)")
        return
    require(isinstance(model, Trainable), "it has no players() or no moves(batch), which an untrained method needs too")
    width = getattr(model, "noise", None)
    if subject.stochastic:
        require(isinstance(width, int), f"its attribute noise, the width of z, is {width} instead of an int")


@rule(
    "it can be built without options",
    "give every option a default",
    ROLES,
)
def builds_with_defaults(subject: Subject) -> None:
    if not subject.options:
        raise Unfit("no options were given, so the other checks cover it")
    try:
        build_entry(subject.entry, subject.problem(), {})
    except Exception as error:
        raise Broken(describe(error)) from error
