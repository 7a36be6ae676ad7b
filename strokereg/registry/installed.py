"""Installed plugins: every entry point of the group `strokereg`, loaded one at a time.

A faulty plugin is quarantined with its reason, its distribution and the fix; the others are not affected.
`STROKEREG_DISABLE_PLUGINS` (names of distributions, comma-separated, or `*` for all but strokereg itself) skips plugins
without loading them. `STROKEREG_TRACE=1` prints on stderr what was loaded and how long it took.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

from strokereg.registry.hooks import PROJECT
from strokereg.registry.plugin import Fault, read_specs
from strokereg.registry.specs import Spec

DISABLE, TRACE = "STROKEREG_DISABLE_PLUGINS", "STROKEREG_TRACE"


@dataclass(frozen=True)
class Entry:
    """A spec and the distribution that registered it.

    Attributes:
        installed: False where there is no distribution: a file given with `--plugin`, or a bare class.
    """

    spec: Spec
    distribution: str
    version: str
    installed: bool = True

    @property
    def qualified(self) -> str:
        """`distribution:name`, which is unique even where two distributions claim one name."""
        return f"{self.distribution}:{self.spec.name}"

    @property
    def origin(self) -> str:
        """`distribution version`."""
        return f"{self.distribution} {self.version}"

    @property
    def title(self) -> str:
        """`name (distribution version)`, for messages."""
        return f"{self.spec.name} ({self.origin})"


@dataclass(frozen=True)
class Quarantined:
    """A plugin that was left out: its name, where it comes from, the reason and the fix."""

    plugin: str
    distribution: str
    version: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} of {self.distribution} {self.version} {self.reason}; {self.fix}"


@dataclass(frozen=True)
class Installed:
    """The outcome of loading: the usable entries and the plugins in quarantine."""

    entries: tuple[Entry, ...]
    quarantined: tuple[Quarantined, ...]


def canonical(distribution: str) -> str:
    """Normalise the name of a distribution as package indexes do: lower case, runs of '-_.' as one '-'."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def load_installed(entry_points: Iterable[metadata.EntryPoint] | None = None) -> Installed:
    """Load every plugin. A faulty one is quarantined and raises nothing.

    Args:
        entry_points: what to load; by default the whole group `strokereg` of this Python.

    Returns:
        Entries in the order of loading, and the plugins in quarantine.
    """
    entries: list[Entry] = []
    quarantined: list[Quarantined] = []
    for point in metadata.entry_points(group=PROJECT) if entry_points is None else entry_points:
        distribution = (point.dist.name if point.dist else None) or "unknown"
        version = (point.dist.version if point.dist else None) or "unknown"
        if _disabled(distribution):
            _trace(point, distribution, version, f"left out by {DISABLE}")
            continue
        begun = time.perf_counter()
        taken = {entry.spec.name for entry in entries if canonical(entry.distribution) == canonical(distribution)}
        try:
            specs = list(read_specs(point.load, taken))
        except Fault as fault:
            fix = fault.fix or f"report this to the authors of {distribution}, or uninstall it"
            quarantined.append(Quarantined(point.name, distribution, version, fault.reason, fix))
            outcome = f"quarantined: {fault.reason}"
        else:
            entries += [Entry(spec, distribution, version) for spec in specs]
            outcome = ", ".join(f"{spec.role} {spec.name}" for spec in specs)
        _trace(point, distribution, version, f"{outcome} ({(time.perf_counter() - begun) * 1e3:.0f} ms)")
    return Installed(tuple(entries), tuple(quarantined))


def _trace(point: metadata.EntryPoint, distribution: str, version: str, outcome: str) -> None:
    if os.environ.get(TRACE):
        print(f"strokereg: plugin {point.name} ({point.value}) of {distribution} {version}: {outcome}", file=sys.stderr)


def _disabled(distribution: str) -> bool:
    names = {canonical(name.strip()) for name in os.environ.get(DISABLE, "").split(",") if name.strip()}
    return canonical(distribution) in names or ("*" in names and canonical(distribution) != PROJECT)
