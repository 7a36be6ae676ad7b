"""The catalogue: what is registered, by name, and the way from a name to a network.

A name is unique over all roles of architectures, because commands such as `train NAME` take any of them. Readers,
trackers and bundles have catalogues of their own. Where two distributions claim one name, the bare name is an error and
`distribution:name` selects one; built-ins take no precedence.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.registry.errors import InputError, RunFailed, did_you_mean
from strokereg.registry.factory import build_entry
from strokereg.registry.installed import Entry, Installed, canonical, load_installed
from strokereg.registry.local import add_files, load_local
from strokereg.registry.specs import ROLES, ArchitectureSpec, Role

if TYPE_CHECKING:
    from torch import nn

    from strokereg.registry.problem import Problem

#: One role, several, or any (None).
Roles = str | tuple[str, ...] | None
READERS, TRACKERS, BUNDLES = (Role.READER,), (Role.TRACKER,), (Role.BUNDLE,)


class Catalogue:
    """The registered plugins of some roles, sorted by role and name.

    Args:
        installed: the outcome of loading; by default all plugins of this Python and the files of `registry.local`.
        roles: by default those of architectures.

    Raises:
        InputError: a file of the project that cannot be loaded; see `registry.local`.
    """

    def __init__(self, installed: Installed | None = None, roles: tuple[Role, ...] = ROLES) -> None:
        installed = installed or _load()
        self.roles = roles
        self.entries = tuple(
            sorted(
                (entry for entry in installed.entries if entry.spec.role in roles),
                key=lambda e: (roles.index(e.spec.role), e.spec.name, canonical(e.distribution)),
            )
        )
        self.quarantined = installed.quarantined

    def label(self, entry: Entry) -> str:
        """What to type for this entry: its name, or `distribution:name` where the name is claimed twice."""
        return entry.qualified if entry.spec.name in self.clashes() else entry.spec.name

    def clashes(self) -> dict[str, list[Entry]]:
        """Names that more than one distribution claims, with the entries that claim them."""
        claims: dict[str, list[Entry]] = {}
        for entry in self.entries:
            claims.setdefault(entry.spec.name, []).append(entry)
        return {name: entries for name, entries in claims.items() if len(entries) > 1}

    def select(self, pattern: str = "*", role: Roles = None) -> list[Entry]:
        """Entries whose name matches a shell pattern; a pattern with a colon is matched with `distribution:name`.

        Raises:
            InputError: an unknown role.
        """
        wanted = _as_tuple(role)
        for one in wanted:
            if one not in self.roles:
                raise InputError(
                    f"there is no role {one!r}{did_you_mean(one, self.roles)}; the roles are {', '.join(self.roles)}"
                )
        return [
            entry
            for entry in self.entries
            if (not wanted or entry.spec.role in wanted)
            and fnmatchcase(entry.qualified if ":" in pattern else entry.spec.name, pattern)
        ]

    def available(self, pattern: str = "*", role: Roles = None) -> list[str]:
        """Names that `find` takes, sorted by role and name.

        Args:
            pattern: shell pattern, such as `"spade*"` or `"acme:*"`.
            role: "generator", "translator", "segmenter" or "mixer", or several of them; None for all.

        Raises:
            InputError: an unknown role.
        """
        return [self.label(entry) for entry in self.select(pattern, role)]

    def find(self, name: str, role: Roles = None) -> Entry:
        """The entry with this name.

        Args:
            name: `name` or `distribution:name`.
            role: the role that the entry must have, or several of which it must have one; None for any.

        Raises:
            InputError: the name is unknown (the message suggests near misses and lists what is installed), is claimed
                by two distributions or has another role; or the role is unknown.
        """
        known, wanted = self.available(role=role), _as_tuple(role)
        listed = ", ".join(known) or "none"
        kind = " or ".join(wanted) or ("model" if self.roles == ROLES else self.roles[0])
        distribution, colon, bare = name.rpartition(":")
        claims = [
            entry
            for entry in self.entries
            if entry.spec.name == bare and (not colon or canonical(entry.distribution) == canonical(distribution))
        ]
        if not claims:
            broken = "; some plugins are broken, see 'strokereg models --broken'" if self.quarantined else ""
            raise InputError(f"no {kind} is named {name!r}{did_you_mean(name, known)}; installed are: {listed}{broken}")
        if len(claims) > 1:
            raise InputError(
                f"the name {bare!r} is claimed by {' and '.join(entry.origin for entry in claims)}; "
                f"write {' or '.join(entry.qualified for entry in claims)}"
            )
        entry = claims[0]
        if wanted and entry.spec.role not in wanted:
            kinds = " and ".join(f"{one}s" for one in wanted)
            raise InputError(f"{name!r} is a {entry.spec.role}, not a {kind}; installed {kinds} are: {listed}")
        return entry

    def check(self) -> None:
        """Require that no plugin is in quarantine and no name is claimed twice (`strokereg models --strict`).

        Raises:
            RunFailed: describes the first fault and counts the others.
        """
        faults = [str(fault) for fault in self.quarantined] + [
            f"the name {name!r} is claimed by {' and '.join(entry.origin for entry in entries)}; uninstall one of them"
            for name, entries in self.clashes().items()
        ]
        if faults:
            more = f" (and {len(faults) - 1} more, see 'strokereg models --broken')" if len(faults) > 1 else ""
            raise RunFailed(faults[0] + more)

    def build(self, name: str, problem: Problem, options: Mapping[str, Any] | None = None) -> nn.Module:
        """Find and build an architecture; see `find` and `registry.factory.build_entry` for the errors."""
        return build_entry(self.find(name), problem, options)


def _as_tuple(role: Roles) -> tuple[str, ...]:
    """The roles asked for; empty for any."""
    return (role,) if isinstance(role, str) else role or ()


def _load() -> Installed:
    found = load_installed()
    return Installed(found.entries + load_local(), found.quarantined)


_loaded = functools.cache(_load)


@functools.cache
def catalogue() -> Catalogue:
    """The architectures of this process. Plugins are loaded at the first call."""
    return Catalogue(_loaded())


@functools.cache
def readers() -> Catalogue:
    """The readers of this process."""
    return Catalogue(_loaded(), READERS)


@functools.cache
def trackers() -> Catalogue:
    """The experiment trackers of this process."""
    return Catalogue(_loaded(), TRACKERS)


@functools.cache
def bundles() -> Catalogue:
    """The exported models of this process, with their weights."""
    return Catalogue(_loaded(), BUNDLES)


def add_plugin(*paths: Path | str) -> None:
    """Load plugins from Python files, or from folders with an `__init__.py`, as `strokereg --plugin` does.

    Raises:
        InputError: no such file, or one that cannot be loaded; see `registry.local`.
    """
    add_files(paths)
    forget()
    catalogue()


def forget() -> None:
    """Clear the caches: the next call looks again at what is installed and which files were added."""
    for known in (_loaded, catalogue, readers, trackers, bundles):
        known.cache_clear()


def available(pattern: str = "*", role: Roles = None) -> list[str]:
    """Names of the installed architectures; see `Catalogue.available`."""
    return catalogue().available(pattern, role)


def find(name: str, role: Roles = None) -> Entry:
    """The installed architecture with this name; see `Catalogue.find`."""
    return catalogue().find(name, role)


def spec_of(name: str) -> ArchitectureSpec:
    """The spec of an installed architecture; see `Catalogue.find`."""
    spec = find(name).spec
    assert isinstance(spec, ArchitectureSpec)
    return spec


def build(name: str, problem: Problem, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Build an installed architecture. A module-level function, so it can be sent to worker processes."""
    return catalogue().build(name, problem, options)


def create(
    name: str,
    *,
    role: str | None = None,
    dims: int = 2,
    labels: int = 7,
    channels: int = 1,
    size: tuple[int, ...] | None = None,
    **options: Any,
) -> nn.Module:
    """Build an installed architecture in one line: `create("pix2pix", dims=2, labels=7)`.

    Args:
        name: `name` or `distribution:name`.
        role: the role that it must have; None for any.
        dims: spatial dimensions, 2 or 3.
        labels: number of labels, including background and lesion.
        channels: number of image contrasts.
        size: spatial size in voxels, (Y, X) or (Z, Y, X); by default 64 along each axis.
        **options: of the architecture itself.

    Returns:
        A `torch.nn.Module` on the CPU with fresh weights, or a mixer. `core.roles` describes their inputs and outputs.

    Raises:
        InputError: unknown name or role, or sizes or options that do not fit.
    """
    from strokereg.registry.options import parse
    from strokereg.registry.problem import Problem

    entry = find(name, role)
    sizes = {"dims": dims, "labels": labels, "channels": channels, "size": size or (64,) * dims}
    problem = parse(Problem, sizes, entry.spec.name)
    if len(problem.size) != problem.dims:
        raise InputError(f"{entry.spec.name}: size {problem.size} does not have {problem.dims} axes; give one per dim")
    return build_entry(entry, problem, options)
