"""Hook specifications, one for each role. An implementation yields specs and imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from strokereg.registry.specs import (
    BundleSpec,
    GeneratorSpec,
    MixerSpec,
    ReaderSpec,
    SegmenterSpec,
    Spec,
    TrackerSpec,
    TranslatorSpec,
)

PROJECT = "strokereg"  # pluggy's project name, the entry-point group and the prefix of every hook

hookimpl = pluggy.HookimplMarker(PROJECT)
hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def strokereg_generators() -> Iterable[GeneratorSpec]:  # type: ignore[empty-body]
    """Yield one `GeneratorSpec` for each architecture that makes lesion masks."""


@hookspec
def strokereg_translators() -> Iterable[TranslatorSpec]:  # type: ignore[empty-body]
    """Yield one `TranslatorSpec` for each architecture that turns a label map into an MR image."""


@hookspec
def strokereg_segmenters() -> Iterable[SegmenterSpec]:  # type: ignore[empty-body]
    """Yield one `SegmenterSpec` for each architecture that finds the lesion in an MR image."""


@hookspec
def strokereg_mixers() -> Iterable[MixerSpec]:  # type: ignore[empty-body]
    """Yield one `MixerSpec` for each method that mixes two real cases into a new one."""


@hookspec
def strokereg_readers() -> Iterable[ReaderSpec]:  # type: ignore[empty-body]
    """Yield one `ReaderSpec` for each folder layout from which cases can be imported."""


@hookspec
def strokereg_trackers() -> Iterable[TrackerSpec]:  # type: ignore[empty-body]
    """Yield one `TrackerSpec` for each experiment tracker that can follow trainings."""


@hookspec
def strokereg_bundles() -> Iterable[BundleSpec]:  # type: ignore[empty-body]
    """Yield one `BundleSpec` for each exported model with its weights."""


SPEC_OF_HOOK: dict[str, type[Spec]] = {
    f"{PROJECT}_{spec.role}s": spec
    for spec in (GeneratorSpec, TranslatorSpec, SegmenterSpec, MixerSpec, ReaderSpec, TrackerSpec, BundleSpec)
}
