"""Checks before anything is computed: the spec costs nothing, and the factory builds what the role asks."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

from strokereg.core.roles import Mixer, Trainable
from strokereg.registry.factory import build_entry
from strokereg.registry.specs import ROLES
from strokereg.testing.check import Broken, Unfit, require, rule, told
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
    "a spec is listed without any of the architecture's code: every command loads every plugin's hooks",
    "import torch and the like in the module of the class, not in the module of the hooks",
    ROLES,
    needs=(),
)
def spec_is_lazy(subject: Subject) -> None:
    if not subject.entry.installed:
        raise Unfit("it is given as a class or a file, not by an installed distribution")
    heavy = heavy_imports(subject.entry.distribution)
    require(not heavy, f"loading the hooks of {subject.entry.distribution} imports {heavy}")


@functools.cache
def heavy_imports(distribution: str) -> str:
    """Heavy packages that a fresh Python has loaded once it knows this distribution's specs, in one line."""
    code = _LISTING.format(name=distribution, heavy=_HEAVY)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise Broken(f"a fresh Python cannot load it ({(done.stderr.strip().splitlines() or ['no message'])[-1]})")
    return done.stdout.strip()


@rule(
    "Class(problem, options) gives what its role asks for",
    "let the class take (problem, options); see 'The factory' in docs/reference/plugin-api.md",
    ROLES,
    needs=(),
)
def builds(subject: Subject) -> None:
    model = subject.build()
    if subject.role == "mixer":
        require(isinstance(model, Mixer), "it has no method mix(host, donor, rng)")
        return
    require(isinstance(model, Trainable), "it lacks players() or moves(batch); an untrained method has both, too")
    width = getattr(model, "noise", None)
    if subject.stochastic:
        require(isinstance(width, int), f"its spec is stochastic, and its attribute noise, the width of z, is {width}")


@rule(
    "it can be built without any option",
    "give every option a default",
    ROLES,
)
def builds_with_defaults(subject: Subject) -> None:
    if not subject.options:
        raise Unfit("no options were given, so all the other checks show it")
    try:
        build_entry(subject.entry, subject.problem(), {})
    except Exception as error:
        raise Broken(told(error)) from error
