"""Architectures and readers of one project, without packaging: a Python file, or a folder with an `__init__.py`.

They are named by `strokereg --plugin FILE` or by the environment variable `STROKEREG_PLUGINS`, through which worker
processes know them too. The code's hash stands for the version of a distribution: in run folders, in the keys of a
study, and in its report. A file that changes while a study runs is refused by the next worker.
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

from strokereg.registry.errors import InputError
from strokereg.registry.hooks import SPEC_OF_HOOK
from strokereg.registry.installed import Entry
from strokereg.registry.plugin import Fault, read_specs, told
from strokereg.registry.specs import Spec

FILES = "STROKEREG_PLUGINS"
_PIN = re.compile(r"(?P<path>.+)@(?P<hash>[0-9a-f]{12})")


def add_files(paths: Iterable[Path | str]) -> None:
    """Add files and folders to those that the catalogues of this process, and of its workers, load.

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
    """Entries of all files that were added.

    Raises:
        InputError: a file that cannot be loaded, is faulty, or has changed since it was added. It was asked for by
            name, so it is not left out quietly.
    """
    entries: list[Entry] = []
    for item in filter(None, os.environ.get(FILES, "").split(os.pathsep)):
        path, pinned = _split(item)
        digest = _digest(path)
        if pinned not in ("", digest):
            raise InputError(f"{path}: has changed since the command began; let it be while it runs, and start again")
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
    raise InputError(f"--plugin {path}: no Python file is there, nor a folder with an __init__.py; check the path")


def _digest(path: Path) -> str:
    summed = hashlib.sha256()
    for source in _sources(path):
        summed.update(f"{source.relative_to(path.parent).as_posix()}\0".encode())
        summed.update(source.read_bytes() + b"\0")
    return summed.hexdigest()[:12]


def _specs(path: Path) -> list[Spec]:
    """What the file's hooks yield; of one without hooks, the specs that it holds."""
    name = f"strokereg_local_{re.sub(r'[^0-9A-Za-z_]', '_', path.stem)}"
    try:
        module = _import(path, name)
        if any(hasattr(module, hook) for hook in SPEC_OF_HOOK):
            specs = list(read_specs(lambda: module, set()))
        else:
            specs = [value for value in vars(module).values() if isinstance(value, Spec)]
    except Fault as fault:
        raise InputError(f"{path}: {fault.reason}; {fault.mend or 'mend the file'}") from fault
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
        mend = "mend the file"
        if isinstance(error, ModuleNotFoundError) and error.name:
            mend = f"install what provides {error.name!r}"
            if (path.parent / f"{error.name}.py").is_file():
                mend = "a plugin file stands alone: put both into a folder with an __init__.py, and name the folder"
        raise Fault(f"cannot be imported ({told(error)})", mend) from error
    return module


def _factory(factory: str, stem: str, name: str) -> str:
    """`mymodel:Class` → the name under which the file is really loaded, so that it can shadow no package."""
    module, _, kind = factory.partition(":")
    inside = module == stem or module.startswith(f"{stem}.")
    return f"{name}{module.removeprefix(stem)}:{kind}" if inside else factory
