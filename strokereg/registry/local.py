"""Plugins without packaging: a Python file, or a folder with an `__init__.py`.

They are given with `strokereg --plugin FILE` or in the environment variable `STROKEREG_PLUGINS`, which worker processes
inherit. In run folders, in the keys of a study and in its report, the hash of the code takes the place of a version.
If a file changes while a study runs, the next worker stops with an error.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from strokereg.registry.errors import InputError, describe_error
from strokereg.registry.hooks import SPEC_OF_HOOK
from strokereg.registry.installed import Entry
from strokereg.registry.plugin import Fault, read_specs
from strokereg.registry.specs import Spec

FILES = "STROKEREG_PLUGINS"
_PIN = re.compile(r"(?P<path>.+)@(?P<hash>[0-9a-f]{12})")


def add_files(paths: Iterable[Path | str]) -> None:
    """Add files and folders to those that this process and its workers load.

    Raises:
        InputError: no such file, or not Python.
    """
    known = [item for item in os.environ.get(FILES, "").split(os.pathsep) if item]
    loaded = {_split(item)[0] for item in known}
    for path in (Path(path).resolve() for path in paths):
        if path not in loaded:
            loaded.add(path)
            known.append(f"{path}@{_digest(path)}")
    os.environ[FILES] = os.pathsep.join(known)


def load_local() -> tuple[Entry, ...]:
    """Load the files that were added.

    Raises:
        InputError: a file cannot be loaded, is faulty, or has changed since it was added. The user asked for it by
            name, so it is not quarantined.
    """
    entries: list[Entry] = []
    for item in filter(None, os.environ.get(FILES, "").split(os.pathsep)):
        path, pinned = _split(item)
        digest = _digest(path)
        if pinned not in ("", digest):
            raise InputError(
                f"{path}: has changed since the command began; start again and leave the file alone until it is done"
            )
        entries += [Entry(spec, path.name, f"sha256:{digest}", installed=False) for spec in _specs(path)]
    return tuple(entries)


def _split(item: str) -> tuple[Path, str]:
    """`path@hash` or `path` → path and hash."""
    match = _PIN.fullmatch(item)
    return (Path(match["path"]), match["hash"]) if match else (Path(item).resolve(), "")


def _sources(path: Path) -> list[Path]:
    if path.is_file() and path.suffix == ".py":
        return [path]
    if (path / "__init__.py").is_file():
        return sorted(path.rglob("*.py"))
    raise InputError(f"--plugin {path}: neither a Python file nor a folder with an __init__.py; check the path")


def _digest(path: Path) -> str:
    summed = hashlib.sha256()
    for source in _sources(path):
        summed.update(f"{source.relative_to(path.parent).as_posix()}\0".encode())
        summed.update(source.read_bytes() + b"\0")
    return summed.hexdigest()[:12]


def _specs(path: Path) -> list[Spec]:
    """The specs that the file's hooks yield, or its module-level specs where it has no hooks."""
    name = f"strokereg_local_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    try:
        module = _import(path, name)
        if any(hasattr(module, hook) for hook in SPEC_OF_HOOK):
            specs = list(read_specs(lambda: module, set()))
        else:
            specs = [value for value in vars(module).values() if isinstance(value, Spec)]
    except Fault as fault:
        raise InputError(f"{path}: {fault.reason}; {fault.fix or 'fix the file'}") from fault
    if not specs:
        raise InputError(f"{path}: holds no spec; add one, for example spec = TranslatorSpec(name=…, factory=…)")
    return [replace(spec, factory=_factory(spec.factory, path.stem, name)) for spec in specs]


def _import(path: Path, name: str) -> ModuleType:
    known = sys.modules.get(name)
    source = path if path.is_file() else path / "__init__.py"
    if known is not None:
        if known.__file__ != str(source):
            raise InputError(f"{path}: another plugin file has the same name, {known.__file__}; rename one of them")
        return known
    folder = None if path.is_file() else [str(path)]
    found = importlib.util.spec_from_file_location(name, source, submodule_search_locations=folder)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        fix = "fix the file"
        if isinstance(error, ModuleNotFoundError) and error.name:
            fix = f"install what provides {error.name!r}"
            if (path.parent / f"{error.name}.py").is_file():
                fix = "put both files into a folder with an __init__.py, and give the folder to --plugin"
        raise Fault(f"cannot be imported ({describe_error(error)})", fix) from error
    return module


def _factory(factory: str, stem: str, name: str) -> str:
    """`mymodel:Class` → the module name under which the file is loaded, which cannot shadow a package."""
    module, _, kind = factory.partition(":")
    inside = module == stem or module.startswith(f"{stem}.")
    return f"{name}{module.removeprefix(stem)}:{kind}" if inside else factory
