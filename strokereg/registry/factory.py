"""From an entry to a network, a reader or a tracker: the only place of the registry where a plugin's code is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.registry.errors import InputError, StrokeregError
from strokereg.registry.installed import Entry
from strokereg.registry.plugin import told
from strokereg.registry.specs import ArchitectureSpec, MixerSpec, ReaderSpec

if TYPE_CHECKING:
    from torch import nn

    from strokereg.registry.options import Options
    from strokereg.registry.problem import Problem
import hashlib
import inspect


def load_class(entry: Entry) -> Any:
    """Import the factory that a spec names.

    Raises:
        InputError: the module or the class is missing, or its import fails; names the distribution.
    """
    module_name, _, class_name = entry.spec.factory.partition(":")
    who = f"{entry.spec.name} ({entry.origin})"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise InputError(
                f"{who} names the module {module_name!r}, which is not there; reinstall {entry.distribution}"
            ) from error
        raise InputError(
            f"{who} needs the module {missing!r}, which is not installed; install what provides it"
        ) from error
    except Exception as error:
        raise InputError(
            f"{who} cannot be imported ({told(error)}); reinstall {entry.distribution} and what it needs"
        ) from error
    try:
        return getattr(module, class_name)
    except AttributeError as error:
        raise InputError(
            f"{who} names the class {class_name!r}, which the module {module_name!r} does not have; "
            f"report this to the authors of {entry.distribution}"
        ) from error


def read_options(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    """The given options as plain typed values, so that `lr=2e-3` and 0.002 name one run and not two.

    Raises:
        InputError: unknown keys or wrong values, or a factory that cannot be loaded.
    """
    return _table(entry, load_class(entry), options).model_dump(mode="json", include=set(options))


def build_entry(entry: Entry, problem: Problem, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Build one architecture as `Class(problem, options)`.

    Args:
        entry: which.
        problem: the sizes to build for.
        options: values for the class's own table `Options`, plain or as strings; a class without a table takes none.

    Returns:
        An `nn.Module` on the CPU, in training mode, with fresh weights; a mixer is any object with a method `mix`.

    Raises:
        InputError: dimensions that the spec does not offer, wrong options, a factory that cannot be loaded or
            that gives something else.
    """
    assert isinstance(entry.spec, ArchitectureSpec)
    if problem.dims not in entry.spec.dims:
        offered = " and ".join(f"{dims}D" for dims in entry.spec.dims)
        raise InputError(f"{entry.spec.name} is built for {offered}, not {problem.dims}D; choose --dims accordingly")
    factory = load_class(entry)
    model = _call(entry, factory, problem, _table(entry, factory, options or {}))
    wanting = _wanting(entry.spec.role, model)
    if wanting:
        raise InputError(
            f"{entry.spec.name} ({entry.origin}) builds a {type(model).__name__} {wanting}; "
            f"report this to the authors of {entry.distribution}"
        )
    return model


def build_reader(entry: Entry, options: Mapping[str, Any] | None = None) -> Any:
    """Build one reader as `Class(options)`.

    Args:
        options: values for the class's own table `Options`, plain or as strings; a class without a table takes none.

    Returns:
        An object with the methods `recognises(root)` and `read(root)`; see `core.cohort.source.Reader`.

    Raises:
        InputError: wrong options, a factory that cannot be loaded or that gives something else.
    """
    factory = load_class(entry)
    reader = _call(entry, factory, _table(entry, factory, options or {}))
    for method in ("recognises", "read"):
        if not callable(getattr(reader, method, None)):
            raise InputError(
                f"{entry.spec.name} ({entry.origin}) builds a {type(reader).__name__} without the method "
                f"{method}(root); report this to the authors of {entry.distribution}"
            )
    return reader


def build_tracker(entry: Entry, folder: Path) -> Any:
    """Build one experiment tracker as `Class(folder)`.

    Returns:
        A `core.train.tracking.Tracker`.

    Raises:
        InputError: a factory that cannot be loaded, fails or gives something else, or a library that is missing.
    """
    asked = f"--track {entry.spec.name}"
    try:
        tracker = load_class(entry)(folder)
    except StrokeregError:
        raise
    except Exception as error:
        raise InputError(f"{asked}: cannot be set up ({told(error)}); leave it out, or mend what it names") from error
    for method in ("begin", "step", "end", "close"):
        if not callable(getattr(tracker, method, None)):
            raise InputError(
                f"{asked}: {entry.origin} builds a {type(tracker).__name__} without the method {method}; "
                f"report this to the authors of {entry.distribution}"
            )
    return tracker


def _table(entry: Entry, factory: Any, options: Mapping[str, Any]) -> Options:
    """The class's own table with these values; a class without one takes none."""
    from strokereg.registry.options import Options, parse

    table = getattr(factory, "Options", Options)
    if not (isinstance(table, type) and issubclass(table, Options)):
        raise InputError(
            f"{entry.spec.name} ({entry.origin}) has a table Options that is not one of strokereg; let it derive from "
            "strokereg.Options"
        )
    return parse(table, options, f"{'reader ' * (entry.spec.role == ReaderSpec.role)}{entry.spec.name}")


def _call(entry: Entry, factory: Any, *arguments: Any) -> Any:
    """What the factory makes; whatever it raises becomes one sentence, with the traceback behind it for --debug."""
    try:
        return factory(*arguments)
    except StrokeregError:
        raise
    except Exception as error:
        raise InputError(
            f"{entry.spec.name} ({entry.origin}) cannot be built ({told(error)}); 'strokereg --debug' shows where, "
            "and its authors will want to see that"
        ) from error


def _wanting(role: str, model: Any) -> str:
    """What a thing lacks to be of its role, or an empty string."""
    if role == MixerSpec.role:
        return "" if callable(getattr(model, "mix", None)) else "without the method mix(host, donor, rng)"
    from torch import nn

    if not isinstance(model, nn.Module):
        return "and not a torch.nn.Module"
    lacking = [method for method in ("players", "moves") if not callable(getattr(model, method, None))]
    return f"without {' and '.join(f'{method}()' for method in lacking)}" if lacking else ""


_FOREIGN = ("builtins", "typing", "torch", "abc", "collections")


def source_key(thing: object) -> str:
    """Digest of the files that define the class of an object and its base classes; empty where there is none.

    What those files import does not count: an installed distribution says by its version that it changed.
    """
    files: dict[str, str] = {}
    for part in type(thing).__mro__:
        if part.__module__.partition(".")[0] in _FOREIGN:
            continue
        try:
            path = Path(inspect.getfile(part))
            files[part.__module__] = hashlib.sha256(path.read_bytes()).hexdigest()
        except (TypeError, OSError):  # made at run time, or shipped without source
            continue
    joined = "\n".join(f"{name} {files[name]}" for name in sorted(files))
    return hashlib.sha256(joined.encode()).hexdigest()[:16] if files else ""
