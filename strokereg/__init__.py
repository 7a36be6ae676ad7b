"""strokereg: plugin registry, uniform trainer and study for synthetic stroke-imaging training data.

Public names are imported when first used, so that `import strokereg` costs milliseconds and needs no torch.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_HOME = {
    "hookimpl": "strokereg.registry.markers",
    "GeneratorSpec": "strokereg.core.specs",
    "TranslatorSpec": "strokereg.core.specs",
    "SegmenterSpec": "strokereg.core.specs",
    "MixerSpec": "strokereg.core.specs",
    "ReaderSpec": "strokereg.core.specs",
    "TrackerSpec": "strokereg.core.specs",
    "CaseFiles": "strokereg.core.case",
    "Source": "strokereg.core.source",
    "Options": "strokereg.core.options",
    "Problem": "strokereg.core.problem",
    "Player": "strokereg.core.roles",
    "Batch": "strokereg.core.roles",
    "Scan": "strokereg.core.roles",
    "InputError": "strokereg.core.errors",
    "require_multiple": "strokereg.core.sizes",
    "available": "strokereg.registry.catalogue",
    "find": "strokereg.registry.catalogue",
    "create": "strokereg.registry.catalogue",
    "add_plugin": "strokereg.registry.catalogue",
    "simulate_cohort": "strokereg.core.simulate",
    "check": "strokereg.api",
    "import_data": "strokereg.api",
    "check_data": "strokereg.api",
    "train": "strokereg.api",
    "compare": "strokereg.api",
    "load": "strokereg.api",
}

__all__ = ["__version__", "export", *_HOME]


class _Export(ModuleType):
    """The room `strokereg.export`, which can be called as the verb `strokereg.export(run, …)` too."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return importlib.import_module("strokereg.api").export(*args, **kwargs)


class _Package(ModuleType):
    """Python binds a room to the package whenever it is imported; `export` must stay callable through that."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "export" and isinstance(value, ModuleType):
            value.__class__ = _Export
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("strokereg")
    elif name == "export":
        value = importlib.import_module("strokereg.export")
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'strokereg' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
