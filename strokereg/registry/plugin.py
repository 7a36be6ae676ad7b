"""One plugin: import it, call its hooks, and take its specs, or say what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pluggy

from strokereg.registry import hooks
from strokereg.registry.errors import did_you_mean
from strokereg.registry.hooks import PROJECT, SPEC_OF_HOOK
from strokereg.registry.specs import Spec, SpecError


class Fault(Exception):
    """Why a plugin goes into quarantine, and the mend where there is a better one than to ask its authors."""

    def __init__(self, reason: str, mend: str = "") -> None:
        super().__init__(reason)
        self.reason, self.mend = reason, mend


def read_specs(load: Callable[[], Any], taken: set[str]) -> Iterator[Spec]:
    """The specs of one plugin.

    Args:
        load: imports the plugin and gives it, such as an entry point's `load`.
        taken: names that its distribution has claimed before; those of this plugin are added.

    Raises:
        Fault: whatever is wrong with the plugin; nothing that a plugin does gets past this.
    """
    try:
        plugin = load()
    except (Exception, SystemExit) as error:
        raise Fault(f"cannot be imported ({told(error)})", _mend_of_import(error)) from error
    for hook, kind, result in _call_hooks(plugin):
        for spec in _iterate(hook, result):
            if not isinstance(spec, kind):
                raise Fault(f"yields {_article(type(spec).__name__)} from {hook}, which takes only {kind.__name__}")
            if spec.name in taken:
                raise Fault(f"claims the name {spec.name!r} twice")
            taken.add(spec.name)
            yield spec


def _call_hooks(plugin: Any) -> Iterator[tuple[str, type[Spec], Any]]:
    """Call what the plugin implements. It has a pluggy manager to itself, so that it can harm no other."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hooks)
    try:
        manager.register(plugin)
    except pluggy.PluginValidationError as error:
        raise Fault("implements a hook with arguments; hooks take none") from error
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        if not caller.has_spec():
            hint = did_you_mean(caller.name, SPEC_OF_HOOK)
            raise Fault(f"implements the hook {caller.name!r}, which does not exist{hint}")
    marked = {caller.name for caller in callers}
    for name in SPEC_OF_HOOK:
        if name not in marked and hasattr(plugin, name):
            raise Fault(f"has {name!r} without the mark @strokereg.hookimpl")
    if not callers:
        raise Fault(f"implements none of the hooks {', '.join(SPEC_OF_HOOK)}")
    for caller in callers:
        try:
            results = caller()
        except Exception as error:
            raise _broken_hook(caller.name, error) from error
        for result in results:
            yield caller.name, SPEC_OF_HOOK[caller.name], result


def _iterate(hook: str, result: Any) -> Iterator[Any]:
    """Walk through what a hook gave; a generator's own code runs only here."""
    try:
        iterator = iter(result)
    except TypeError as error:
        raise Fault(f"returns {_article(type(result).__name__)} from {hook}; a hook yields specs") from error
    while True:
        try:
            spec = next(iterator)
        except StopIteration:
            return
        except Exception as error:
            raise _broken_hook(hook, error) from error
        yield spec


def _broken_hook(hook: str, error: Exception) -> Fault:
    if isinstance(error, SpecError):
        return Fault(f"gives a wrong spec: {error}", "install a version of it that fits this strokereg")
    return Fault(f"fails in {hook} ({told(error)})")


def _mend_of_import(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install what provides {error.name!r}, or reinstall the plugin"
    return ""


def told(error: BaseException) -> str:
    """Kind and first line of an error, short enough for one sentence."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'AEIOUaeiou' else 'a'} {word}"
