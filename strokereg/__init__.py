"""strokereg: plugin registry, trainer and study for synthetic stroke images as training data.

Public names are imported on first use, so `import strokereg` takes milliseconds and does not load torch.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_HOME = {
    "hookimpl": "strokereg.registry.hooks",
    "GeneratorSpec": "strokereg.registry.specs",
    "TranslatorSpec": "strokereg.registry.specs",
    "SegmenterSpec": "strokereg.registry.specs",
    "MixerSpec": "strokereg.registry.specs",
    "ReaderSpec": "strokereg.registry.specs",
    "TrackerSpec": "strokereg.registry.specs",
    "BundleSpec": "strokereg.registry.specs",
    "CaseFiles": "strokereg.core.cohort.case",
    "Source": "strokereg.core.cohort.source",
    "Options": "strokereg.registry.options",
    "Problem": "strokereg.registry.problem",
    "Player": "strokereg.core.roles",
    "Batch": "strokereg.core.roles",
    "Sample": "strokereg.core.roles",
    "InputError": "strokereg.registry.errors",
    "require_multiple": "strokereg.core.roles",
    "available": "strokereg.registry.catalogue",
    "find": "strokereg.registry.catalogue",
    "create": "strokereg.registry.catalogue",
    "add_plugin": "strokereg.registry.catalogue",
    "Simulation": "strokereg.core.simulate",
    "simulate_cohort": "strokereg.core.simulate",
    "check": "strokereg.testing.conformance",
    "ImportSettings": "strokereg.core.cohort.importing.transfer",
    "import_data": "strokereg.core.cohort.importing.run",
    "check_data": "strokereg.core.cohort.checks.check",
    "train": "strokereg.core.train.training",
    "TrainingSettings": "strokereg.core.train.training",
    "TrainingCallbacks": "strokereg.core.train.training",
    "TrainerSettings": "strokereg.core.train.trainer",
    "DatasetSettings": "strokereg.core.train.dataset",
    "compare": "strokereg.core.study.compare",
    "RunOptions": "strokereg.core.study.compare",
    "load": "strokereg.export.runtime.segmenter",
    "evaluate_segmenters": "strokereg.export.evaluate",
    "EvaluationSettings": "strokereg.export.evaluate",
}

__all__ = ["__version__", "export", *_HOME]


class _Export(ModuleType):
    """The package `strokereg.export`, which can also be called: `strokereg.export(run, …)`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return importlib.import_module("strokereg.export.run").export(*args, **kwargs)


class _Package(ModuleType):
    """Keeps `strokereg.export` callable: importing the subpackage would bind a plain module to that name."""

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
