"""Build networks, mixers, readers and trackers from entries. Only this module imports the code of a factory."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from strokereg.registry.errors import InputError, StrokeregError, describe_error
from strokereg.registry.installed import Entry
from strokereg.registry.specs import ArchitectureSpec, Role

if TYPE_CHECKING:
    from torch import nn

    from strokereg.registry.options import Options
    from strokereg.registry.problem import Problem


def load_class(entry: Entry) -> Any:
    """Import the factory that a spec names.

    Raises:
        InputError: the module or the class is missing, or its import fails. The message names the distribution.
    """
    module_name, _, class_name = entry.spec.factory.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        if module_name == missing or module_name.startswith(f"{missing}."):
            raise InputError(
                f"{entry.title} names the module {module_name!r}, which does not exist; reinstall {entry.distribution}"
            ) from error
        raise InputError(
            f"{entry.title} needs the module {missing!r}, which is not installed; install what provides it"
        ) from error
    except Exception as error:
        raise InputError(
            f"{entry.title} cannot be imported ({describe_error(error)}); reinstall "
            f"{entry.distribution} and what it needs"
        ) from error
    try:
        return getattr(module, class_name)
    except AttributeError as error:
        raise InputError(
            f"{entry.title} names the class {class_name!r}, which the module {module_name!r} does not have; "
            f"report this to the authors of {entry.distribution}"
        ) from error


def read_options(entry: Entry, options: Mapping[str, Any]) -> dict[str, Any]:
    """The given options as plain typed values, so that `lr=2e-3` and `lr=0.002` are the same run.

    Raises:
        InputError: unknown options, wrong values, or a factory that cannot be loaded.
    """
    return _parse_options(entry, load_class(entry), options).model_dump(mode="json", include=set(options))


def build_entry(entry: Entry, problem: Problem, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Build one architecture as `Class(problem, options)`.

    Args:
        problem: the sizes to build for.
        options: values for the class's `Options`, plain or as strings; a class without `Options` takes none.

    Returns:
        An `nn.Module` on the CPU, in training mode, with fresh weights. A mixer is any object with a method `mix`.

    Raises:
        InputError: dimensions that the spec does not offer, wrong options, or a factory that cannot be loaded, fails
            or returns something else.
    """
    assert isinstance(entry.spec, ArchitectureSpec)
    if problem.dims not in entry.spec.dims:
        offered = entry.spec.offered_dims
        raise InputError(f"{entry.spec.name} is built for {offered}, not {problem.dims}D; choose --dims accordingly")
    factory = load_class(entry)
    model = _call(entry, factory, problem, _parse_options(entry, factory, options or {}))
    if entry.spec.role is Role.MIXER:
        _require_methods(entry, model, "mix(host, donor, rng)")
        return model
    from torch import nn

    if not isinstance(model, nn.Module):
        raise _wrong_kind(entry, model, "and not a torch.nn.Module")
    _require_methods(entry, model, "players()", "moves(batch)")
    return model


def build_reader(entry: Entry, options: Mapping[str, Any] | None = None) -> Any:
    """Build one reader as `Class(options)`.

    Args:
        options: values for the class's `Options`, plain or as strings; a class without `Options` takes none.

    Returns:
        An object with the methods `recognises(root)` and `read(root)`; see `core.cohort.source.Reader`.

    Raises:
        InputError: wrong options, or a factory that cannot be loaded, fails or returns something else.
    """
    factory = load_class(entry)
    reader = _call(entry, factory, _parse_options(entry, factory, options or {}))
    _require_methods(entry, reader, "recognises(root)", "read(root)")
    return reader


def build_tracker(entry: Entry, folder: Path) -> Any:
    """Build one experiment tracker as `Class(folder)`.

    Returns:
        A `core.train.tracking.Tracker`.

    Raises:
        InputError: a missing library, or a factory that cannot be loaded, fails or returns something else.
    """
    try:
        tracker = load_class(entry)(folder)
    except StrokeregError:
        raise
    except Exception as error:
        raise InputError(
            f"--track {entry.spec.name}: cannot be set up ({describe_error(error)}); fix that or leave it out"
        ) from error
    _require_methods(entry, tracker, "begin", "step", "end", "close")
    return tracker


def _parse_options(entry: Entry, factory: Any, options: Mapping[str, Any]) -> Options:
    """These values as the class's `Options`."""
    from strokereg.registry.options import Options, parse

    table = getattr(factory, "Options", Options)
    if not (isinstance(table, type) and issubclass(table, Options)):
        raise InputError(
            f"{entry.title} has a class Options that does not derive from strokereg.Options; derive it from that"
        )
    owner = f"reader {entry.spec.name}" if entry.spec.role is Role.READER else entry.spec.name
    return parse(table, options, owner)


def _call(entry: Entry, factory: Any, *arguments: Any) -> Any:
    """Call the factory. Any exception becomes a one-sentence error; `--debug` shows the traceback."""
    try:
        return factory(*arguments)
    except StrokeregError:
        raise
    except Exception as error:
        raise InputError(
            f"{entry.title} cannot be built ({describe_error(error)}); run 'strokereg --debug' "
            f"for the traceback and report it to the authors of {entry.distribution}"
        ) from error


def _require_methods(entry: Entry, built: Any, *methods: str) -> None:
    """Raise an `InputError` unless the object has these methods; each may be written with its arguments."""
    missing = [method for method in methods if not callable(getattr(built, method.partition("(")[0], None))]
    if missing:
        raise _wrong_kind(entry, built, f"without the method {' and '.join(missing)}")


def _wrong_kind(entry: Entry, built: Any, fault: str) -> InputError:
    return InputError(
        f"{entry.title} builds a {type(built).__name__} {fault}; report this to the authors of {entry.distribution}"
    )


_FOREIGN = ("builtins", "typing", "torch", "abc", "collections")


def source_key(thing: object) -> str:
    """Digest of the files that define the class of an object and its base classes; empty where there is none.

    Imports of those files do not count: a changed distribution has another version.
    """
    files: dict[str, str] = {}
    for part in type(thing).__mro__:
        if part.__module__.partition(".")[0] in _FOREIGN:
            continue
        try:
            path = Path(inspect.getfile(part))
            files[part.__module__] = hashlib.sha256(path.read_bytes()).hexdigest()
        except (TypeError, OSError):  # defined at run time, or shipped without source
            continue
    joined = "\n".join(f"{name} {files[name]}" for name in sorted(files))
    return hashlib.sha256(joined.encode()).hexdigest()[:16] if files else ""
