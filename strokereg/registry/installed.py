"""What is installed: every plugin of the entry-point group `strokereg`, loaded one at a time.

A plugin that does anything wrong is quarantined whole, with its reason, its distribution and the mend; the
others go on. `STROKEREG_DISABLE_PLUGINS` (names of distributions, comma separated, or `*` for all but
strokereg itself) leaves plugins out unloaded. `STROKEREG_TRACE=1` tells on stderr what was loaded, and how long that
took.
"""

from __future__ import annotations

import functools
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
    """A registered architecture or reader and the distribution that it came with.

    Attributes:
        installed: False for one that is not of an installed distribution: a file given with `--plugin`, a bare class.
    """

    spec: Spec
    distribution: str
    version: str
    installed: bool = True

    @property
    def qualified(self) -> str:
        """`distribution:name`, which is unique even where two plugins claim one name."""
        return f"{self.distribution}:{self.spec.name}"

    @property
    def origin(self) -> str:
        """`distribution version`."""
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Quarantined:
    """A plugin that was left out: which, from where, why, and what to do."""

    plugin: str
    distribution: str
    version: str
    reason: str
    mend: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} of {self.distribution} {self.version} {self.reason}; {self.mend}"


@dataclass(frozen=True)
class Installed:
    """The outcome of loading: what can be used and what was left out."""

    entries: tuple[Entry, ...]
    quarantined: tuple[Quarantined, ...]


def canonical(distribution: str) -> str:
    """The name of a distribution as package indexes compare it: lower case, runs of '-_.' as one '-'."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def load_installed(entry_points: Iterable[metadata.EntryPoint] | None = None) -> Installed:
    """Load every plugin.

    Args:
        entry_points: what to load; by default all that this Python has in the group `strokereg`.

    Returns:
        Entries in the order of loading, and the plugins in quarantine. Never raises for a bad plugin.
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
            mend = fault.mend or f"report this to the authors of {distribution}, or uninstall it"
            quarantined.append(Quarantined(point.name, distribution, version, fault.reason, mend))
            told = f"quarantined: {fault.reason}"
        else:
            entries += [Entry(spec, distribution, version) for spec in specs]
            told = ", ".join(f"{spec.role} {spec.name}" for spec in specs)
        _trace(point, distribution, version, f"{told} ({(time.perf_counter() - begun) * 1e3:.0f} ms)")
    return Installed(tuple(entries), tuple(quarantined))


@functools.cache
def installed() -> Installed:
    """What this process has, loaded once, when first asked for."""
    return load_installed()


def _trace(point: metadata.EntryPoint, distribution: str, version: str, told: str) -> None:
    if os.environ.get(TRACE):
        print(f"strokereg: plugin {point.name} ({point.value}) of {distribution} {version}: {told}", file=sys.stderr)


def _disabled(distribution: str) -> bool:
    names = {canonical(name.strip()) for name in os.environ.get(DISABLE, "").split(",") if name.strip()}
    return canonical(distribution) in names or ("*" in names and canonical(distribution) != PROJECT)
