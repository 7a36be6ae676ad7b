"""Run the conformance checks on architectures, by name."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

from strokereg.core.study.settings import PRESETS
from strokereg.registry.catalogue import catalogue, find, readers
from strokereg.registry.errors import InputError, StrokeregError
from strokereg.registry.factory import build_reader
from strokereg.registry.hooks import PROJECT
from strokereg.registry.installed import Entry, Quarantined, canonical
from strokereg.registry.specs import ROLES, SPEC_OF_ROLE, ArchitectureSpec, Role
from strokereg.testing.check import CHECKS, describe
from strokereg.testing.run import Outcome, Suite
from strokereg.testing.subject import Subject

_CLASS = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def check(
    name: str,
    *,
    role: str | None = None,
    dims: tuple[int, ...] | None = None,
    options: Mapping[str, Any] | None = None,
    edge: int | None = None,
    expected: Mapping[str, str] | None = None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Run every check that applies to an architecture, in each of its dimensions.

    A built-in is checked with the small options of the preset `smoke`, unless `options` overrides them.

    Args:
        name, role, dims, options, edge, expected: see `suites_of`.
        on_outcome: called with each outcome as soon as it is known.

    Returns:
        All outcomes. The architecture conforms if none has the status "failed".

    Raises:
        InputError: an unknown name, role, option or check.
    """
    small = PRESETS["smoke"]["options"].get(name.removeprefix("strokereg:"), {})
    options = {**small, **(options or {})}
    suites = suites_of(name, role=role, dims=dims, options=options, edge=edge, expected=expected)
    for suite in suites:
        suite.subject.require_options()
    outcomes = []
    for suite in suites:
        for outcome in suite:
            on_outcome(outcome)
            outcomes.append(outcome)
    return outcomes


def suites_of(
    name: str,
    *,
    role: str | None = None,
    dims: tuple[int, ...] | None = None,
    options: Mapping[str, Any] | None = None,
    edge: int | None = None,
    expected: Mapping[str, str] | None = None,
) -> list[Suite]:
    """The checks of an architecture, one suite for each of its dimensions. A mixer has one, because it runs on volumes.

    Args:
        name: a registered name, or `package.module:Class` with `role`.
        role: role of a class that is not registered.
        dims: by default all that the spec offers.
        options: of the architecture; a small network is checked in seconds.
        edge: voxels a side of the toy brains; by default the smallest of 16, 32 and 64 that the network takes.
        expected: check → reason why it may fail.

    Raises:
        InputError: an unknown name, role or check, or dimensions that the spec does not offer.
    """
    entry = _entry(name, role, dims)
    assert isinstance(entry.spec, ArchitectureSpec)
    offered = entry.spec.dims
    for one in dims or ():
        if one not in offered:
            raise InputError(f"{name} is built for {entry.spec.offered_dims}, not {one}D; choose --dims accordingly")
    wanted = (max(offered),) if entry.spec.role is Role.MIXER else dims or offered
    return [Suite(Subject(entry, one, options, edge), expected) for one in wanted]


def _entry(name: str, role: str | None, dims: tuple[int, ...] | None) -> Entry:
    module, _, kind = name.partition(":")
    if not _CLASS.fullmatch(name) or _NAME.fullmatch(kind):
        return find(name, role)
    if role is None:
        raise InputError(f"{name} is a class that is not registered; give its role, as in --role {Role.TRANSLATOR}")
    if role not in ROLES:
        raise InputError(f"there is no role {role!r}; the roles are {', '.join(ROLES)}")
    try:
        found = getattr(importlib.import_module(module), kind)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{name} cannot be imported ({error}); write it as package.module:Class") from error
    # Registered as if by a spec that claims every capability.
    words = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind).lower()).strip("-")
    fields: dict[str, Any] = {"stochastic": _takes_noise(found)} if role == Role.TRANSLATOR else {}
    spec = SPEC_OF_ROLE[Role(role)](name=words, factory=name, summary="", dims=dims or (2,), **fields)
    return Entry(spec, "not registered", "", installed=False)


def _takes_noise(translator: Any) -> bool:
    """Whether `forward` takes z in addition to the labels."""
    try:
        return len(inspect.signature(translator.forward).parameters) > 2
    except (AttributeError, TypeError, ValueError):
        return False


def unbuildable() -> list[Quarantined]:
    """Find architectures and readers of plugins that are listed but cannot be built or run.

    Each is built with its defaults and run once. This loads their code and torch, so it takes seconds.
    """
    found = []
    for entry in (*catalogue().entries, *readers().entries):
        if canonical(entry.distribution) == PROJECT:
            continue
        reason, fix = "", ""
        try:
            if entry.spec.role is Role.READER:
                build_reader(entry)
            else:
                reason, fix = _fault(entry)
        except StrokeregError as error:
            reason, semicolon, fix = str(error).rpartition("; ")
            if not semicolon:
                reason, fix = str(error), f"report this to the authors of {entry.distribution}"
        if reason:
            found.append(Quarantined(entry.spec.name, entry.distribution, entry.version, reason, fix))
    return found


def _fault(entry: Entry) -> tuple[str, str]:
    """What is wrong with an architecture, and the fix; two empty strings where it builds and runs."""
    assert isinstance(entry.spec, ArchitectureSpec)
    suite = Suite(Subject(entry, entry.spec.dims[-1]))
    for name in ("builds", "shapes-and-ranges"):
        check = CHECKS[name]
        outcome = suite.outcome(check) if check in suite.checks else None
        if outcome is not None and outcome.status == "failed" and outcome.cause is not None:
            if isinstance(outcome.cause, StrokeregError):
                raise outcome.cause
            return f"does not do what a {entry.spec.role} does ({describe(outcome.cause)})", check.fix
    return "", ""
