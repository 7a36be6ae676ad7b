"""Read one plugin: import it, call its hooks, and return its specs or say what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pluggy

from strokereg.registry import hooks
from strokereg.registry.errors import describe_error, did_you_mean
from strokereg.registry.hooks import PROJECT, SPEC_OF_HOOK
from strokereg.registry.specs import Spec, SpecError


class Fault(Exception):
    """Why a plugin is quarantined, and the fix where there is a better one than to ask its authors."""

    def __init__(self, reason: str, fix: str = "") -> None:
        super().__init__(reason)
        self.reason, self.fix = reason, fix


def read_specs(load: Callable[[], Any], taken: set[str]) -> Iterator[Spec]:
    """Yield the specs of one plugin.

    Args:
        load: imports the plugin and returns it, such as an entry point's `load`.
        taken: names that its distribution has claimed before; those of this plugin are added.

    Raises:
        Fault: anything that is wrong with the plugin; no other exception of a plugin gets out.
    """
    try:
        plugin = load()
    except (Exception, SystemExit) as error:
        raise Fault(f"cannot be imported ({describe_error(error)})", _fix_of_import(error)) from error
    for hook, kind, result in _call_hooks(plugin):
        for spec in _iterate(hook, result):
            if not isinstance(spec, kind):
                raise Fault(f"yields {_article(type(spec).__name__)} from {hook}, which takes only {kind.__name__}")
            if spec.name in taken:
                raise Fault(f"claims the name {spec.name!r} twice")
            taken.add(spec.name)
            yield spec


def _call_hooks(plugin: Any) -> Iterator[tuple[str, type[Spec], Any]]:
    """Call the hooks of a plugin. Each plugin has its own pluggy manager, so it cannot affect another."""
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
    """Iterate over the result of a hook; the body of a generator runs only here."""
    if not isinstance(result, Iterable):
        raise Fault(f"returns {_article(type(result).__name__)} from {hook}; a hook yields specs")
    try:
        yield from result
    except Exception as error:
        raise _broken_hook(hook, error) from error


def _broken_hook(hook: str, error: Exception) -> Fault:
    if isinstance(error, SpecError):
        return Fault(f"gives a wrong spec: {error}", "install a version of it that fits this strokereg")
    return Fault(f"fails in {hook} ({describe_error(error)})")


def _fix_of_import(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install what provides {error.name!r}, or reinstall the plugin"
    return ""


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'AEIOUaeiou' else 'a'} {word}"
