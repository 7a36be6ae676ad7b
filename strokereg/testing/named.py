"""From what is typed, a registered name or `package.module:Class`, to what is checked."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Mapping
from typing import Any

from strokereg.registry.catalogue import find
from strokereg.registry.errors import InputError
from strokereg.registry.installed import Entry
from strokereg.registry.specs import ROLES, SPEC_OF_ROLE
from strokereg.testing.run import Suite
from strokereg.testing.subject import Subject

_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
UNREGISTERED = "not registered"


def suites_of(
    name: str,
    role: str | None = None,
    dims: tuple[int, ...] | None = None,
    options: Mapping[str, Any] | None = None,
    edge: int | None = None,
    expected: Mapping[str, str] | None = None,
) -> list[Suite]:
    """The suites of an architecture, one a dimension; a mixer, which works on volumes, has one.

    Raises:
        InputError: an unknown name or role, dimensions that the spec does not offer, or an unknown check.
    """
    entry = _entry(name, role, dims)
    for one in dims or ():
        if one not in entry.spec.dims:
            offered = " and ".join(f"{n}D" for n in entry.spec.dims)
            raise InputError(f"{name} is built for {offered}, not {one}D; choose --dims accordingly")
    wanted = (3 if 3 in entry.spec.dims else 2,) if entry.spec.role == "mixer" else dims or entry.spec.dims
    return [Suite(Subject(entry, one, options, edge), expected) for one in wanted]


def _entry(name: str, role: str | None, dims: tuple[int, ...] | None) -> Entry:
    module, _, kind = name.partition(":")
    if not _CLASS.fullmatch(name) or re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", kind):
        return find(name, role)
    if role is None:
        raise InputError(f"{name} is a class that is not registered; say which role it has, as in --role {ROLES[1]}")
    try:
        found = getattr(importlib.import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{name} cannot be imported ({error}); write it as package.module:Class") from error
    # As `create` would see it after registration under a spec that claims everything.
    named = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind).lower()).strip("-")
    fields: dict[str, Any] = {"stochastic": _takes_noise(found)} if role == "translator" else {}
    spec = SPEC_OF_ROLE[role](name=named, factory=name, summary="", dims=dims or (2,), **fields)
    return Entry(spec, UNREGISTERED, "", installed=False)


def _takes_noise(translator: Any) -> bool:
    """Whether `forward` asks for z beside the labels."""
    try:
        return len(inspect.signature(translator.forward).parameters) > 2
    except (AttributeError, TypeError, ValueError):
        return False
