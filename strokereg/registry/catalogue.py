"""The catalogue: what is registered, by name, and the way from a name to a network or a reader.

A name is unique over all roles of architectures, because commands such as `train NAME` take any of them; readers and
trackers have names of their own. Where two distributions claim one name, the bare name is an error and
`distribution:name` picks one; neither wins by being built in or by being installed later.
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
from strokereg.registry.installed import installed as installed_here
from strokereg.registry.local import add_files, load_local
from strokereg.registry.specs import ROLES, ArchitectureSpec, ReaderSpec, TrackerSpec

if TYPE_CHECKING:
    from torch import nn

    from strokereg.registry.problem import Problem

#: A role, several, or any.
Roles = str | tuple[str, ...] | None
READERS, TRACKERS = (ReaderSpec.role,), (TrackerSpec.role,)


class Catalogue:
    """Everything of these roles that is installed, sorted by role and name.

    Args:
        installed: the outcome of loading; by default all plugins of this Python, and the project's own files.
        roles: those of architectures, or readers alone.

    Raises:
        InputError: a file of the project that cannot be loaded; see `registry.local`.
    """

    def __init__(self, installed: Installed | None = None, roles: tuple[str, ...] = ROLES) -> None:
        installed = _with_files(load_installed()) if installed is None else installed
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
        """Names that more than one distribution claims, with their claimants."""
        claims: dict[str, list[Entry]] = {}
        for entry in self.entries:
            claims.setdefault(entry.spec.name, []).append(entry)
        return {name: entries for name, entries in claims.items() if len(entries) > 1}

    def select(self, pattern: str = "*", role: Roles = None) -> list[Entry]:
        """Entries whose name fits a shell pattern; a pattern with a colon is held against `distribution:name`.

        Raises:
            InputError: an unknown role.
        """
        wanted = _roles(role)
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
        """Names that `find` takes, in the order of roles.

        Args:
            pattern: shell pattern, such as `"spade*"` or `"acme:*"`.
            role: "generator", "translator", "segmenter" or "mixer", or several of them; None for all.

        Raises:
            InputError: an unknown role.
        """
        return [self.label(entry) for entry in self.select(pattern, role)]

    def find(self, name: str, role: Roles = None) -> Entry:
        """The entry of that name.

        Args:
            name: as typed: `name` or `distribution:name`.
            role: the role that it must have, or several of which it must have one; None for any.

        Raises:
            InputError: unknown name (with a near-miss hint and what is installed), a name that two distributions
                claim, another role, an unknown role.
        """
        known = self.available(role=role)
        distribution, colon, bare = name.rpartition(":")
        claims = [
            entry
            for entry in self.entries
            if entry.spec.name == bare and (not colon or canonical(entry.distribution) == canonical(distribution))
        ]
        wanted = _roles(role)
        kind = " or ".join(wanted) or ("model" if self.roles == ROLES else self.roles[0])
        if not claims:
            listed = ", ".join(known) or "none"
            broken = "; some plugins are broken, see 'strokereg models --broken'" if self.quarantined else ""
            raise InputError(f"no {kind} is named {name!r}{did_you_mean(name, known)}; installed are: {listed}{broken}")
        if len(claims) > 1:
            raise InputError(
                f"the name {bare!r} is claimed by {' and '.join(entry.origin for entry in claims)}; "
                f"write {' or '.join(entry.qualified for entry in claims)}"
            )
        entry = claims[0]
        if wanted and entry.spec.role not in wanted:
            listed, kinds = ", ".join(known) or "none", " and ".join(f"{one}s" for one in wanted)
            raise InputError(f"{name!r} is a {entry.spec.role}, not a {kind}; installed {kinds} are: {listed}")
        return entry

    def check(self) -> None:
        """What `--strict` asks: no plugin in quarantine and no name claimed twice.

        Raises:
            RunFailed: names the first fault and counts the others.
        """
        faults = [str(fault) for fault in self.quarantined] + [
            f"the name {name!r} is claimed by {' and '.join(entry.origin for entry in entries)}; uninstall one of them"
            for name, entries in self.clashes().items()
        ]
        if faults:
            more = f" (and {len(faults) - 1} more, see 'strokereg models --broken')" if len(faults) > 1 else ""
            raise RunFailed(faults[0] + more)

    def build(self, name: str, problem: Problem, options: Mapping[str, Any] | None = None) -> nn.Module:
        """Find and build; see `find` and `registry.factory.build_entry` for what can be wrong."""
        return build_entry(self.find(name), problem, options)


def _roles(role: Roles) -> tuple[str, ...]:
    """The roles asked for; none stands for any."""
    return (role,) if isinstance(role, str) else role or ()


@functools.cache
def catalogue() -> Catalogue:
    """The architectures of this process, loaded once, when first asked for."""
    return Catalogue(_with_files(installed_here()))


@functools.cache
def readers() -> Catalogue:
    """The readers of this process, likewise."""
    return Catalogue(_with_files(installed_here()), READERS)


@functools.cache
def trackers() -> Catalogue:
    """The experiment trackers of this process, likewise."""
    return Catalogue(_with_files(installed_here()), TRACKERS)


def _with_files(found: Installed) -> Installed:
    return Installed(found.entries + load_local(), found.quarantined)


def add_plugin(*paths: Path | str) -> None:
    """Load architectures and readers from Python files, or folders with an `__init__.py`, as `strokereg --plugin` does.

    Raises:
        InputError: no such file, or one that cannot be loaded; see `registry.local`.
    """
    add_files(paths)
    forget()
    catalogue()


def forget() -> None:
    """Look again at what is installed and which files were added, when next asked."""
    for known in (installed_here, catalogue, readers, trackers):
        known.cache_clear()


def available(pattern: str = "*", role: Roles = None) -> list[str]:
    """Names of the installed architectures; see `Catalogue.available`."""
    return catalogue().available(pattern, role)


def find(name: str, role: Roles = None) -> Entry:
    """The installed architecture of that name; see `Catalogue.find`."""
    return catalogue().find(name, role)


def spec_of(name: str) -> ArchitectureSpec:
    """What an installed architecture says of itself: its role and what it can do; see `Catalogue.find`."""
    spec = find(name).spec
    assert isinstance(spec, ArchitectureSpec)
    return spec


def build(name: str, problem: Problem, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Build an installed architecture; a module-level function, so that worker processes can be sent it."""
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
        labels: number of labels, background and lesion included.
        channels: image contrasts.
        size: spatial size in voxels, (Y, X) or (Z, Y, X); by default 64 along each axis.
        **options: of the architecture's own table.

    Returns:
        A `torch.nn.Module` on the CPU with fresh weights, or a mixer; what they take and give is said in `core.roles`.

    Raises:
        InputError: unknown name or role, sizes or options that do not fit.
    """
    from strokereg.registry.options import parse
    from strokereg.registry.problem import Problem

    entry = find(name, role)
    sizes = {"dims": dims, "labels": labels, "channels": channels, "size": size or (64,) * dims}
    problem = parse(Problem, sizes, entry.spec.name)
    if len(problem.size) != problem.dims:
        raise InputError(f"{entry.spec.name}: size {problem.size} does not have {problem.dims} axes; give one per dim")
    return build_entry(entry, problem, options)
