"""Specs: frozen, torch-free descriptions under which plugins register what they offer.

A spec names a factory (`"package.module:Class"`) and states what it can do. The factory is imported only when it is
used, so listing a hundred installed plugins is fast.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from strokereg.registry.errors import StrokeregError

API = 1  # version of the contract between the core and a plugin

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FACTORY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class Role(StrEnum):
    """What a plugin can add. Members are strings, so JSON files and options hold plain words."""

    GENERATOR = "generator"
    TRANSLATOR = "translator"
    SEGMENTER = "segmenter"
    MIXER = "mixer"
    READER = "reader"
    TRACKER = "tracker"
    BUNDLE = "bundle"


class SpecError(StrokeregError):
    """A spec breaks a rule; the plugin that gave it is quarantined."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What the registry knows before it loads any code of the factory.

    Args:
        name: lower-case words joined by hyphens, as typed on the command line.
        factory: `"package.module:Class"`.
        summary: one line for lists.
        paper: citation or URL of the source.
        licence: licence of the implementation, or of the code that it follows.
        api: version of the plugin contract that the plugin was written for.

    Raises:
        SpecError: a field breaks its rule.
    """

    name: str
    factory: str
    summary: str
    paper: str = ""
    licence: str = ""
    api: int = API

    role: ClassVar[Role]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SpecError(f"the name {self.name!r} is not lower-case words joined by hyphens")
        if not _FACTORY.fullmatch(self.factory):
            raise SpecError(f"{self.name}: the factory {self.factory!r} is not of the form 'package.module:Class'")
        if self.api != API:
            raise SpecError(f"{self.name}: written for plugin api {self.api}; this strokereg supports api {API}")


@dataclass(frozen=True, kw_only=True)
class ReaderSpec(Spec):
    """A reader of one folder layout. Its factory is called as `Class(options)` (see `core.cohort.source`).

    Args:
        general: the layout is a broad one, such as BIDS. A general reader is used only where no other reader
            recognises the folder.
    """

    general: bool = False
    role: ClassVar[Role] = Role.READER


@dataclass(frozen=True, kw_only=True)
class TrackerSpec(Spec):
    """An experiment tracker. Its factory is called as `Class(folder)` (see `core.train.tracking`)."""

    role: ClassVar[Role] = Role.TRACKER


@dataclass(frozen=True, kw_only=True)
class BundleSpec(Spec):
    """An exported model with its weights, so that `strokereg segment --model NAME` runs it.

    Args:
        file: path of the ONNX file; a plugin gives `str(Path(__file__).with_name("acme.onnx"))`.
        url: https address that the file is downloaded from at first use, in place of `file`.
        sha256: of the file; required with `url`.
        task: role of the network, `segmenter` or `translator`.
        contrasts: that it takes, in order.
        card: path or https address of its model card.
        factory: what opens it; leave it as it is.
    """

    factory: str = "strokereg.export.runtime.segmenter:Segmenter"
    file: str = ""
    url: str = ""
    sha256: str = ""
    task: Role = Role.SEGMENTER
    contrasts: tuple[str, ...]
    card: str = ""
    role: ClassVar[Role] = Role.BUNDLE

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.file) == bool(self.url):
            raise SpecError(f"{self.name}: give either file or url")
        if self.url and not self.url.startswith("https://"):
            raise SpecError(f"{self.name}: the url {self.url!r} does not begin with https://")
        if (self.url or self.sha256) and not _SHA256.fullmatch(self.sha256):
            raise SpecError(f"{self.name}: sha256 is {self.sha256!r}; it must be 64 hexadecimal digits")
        if self.task not in (Role.SEGMENTER, Role.TRANSLATOR):
            raise SpecError(f"{self.name}: task is {self.task!r}; it must be 'segmenter' or 'translator'")
        if not self.contrasts:
            raise SpecError(f"{self.name}: contrasts is empty; name those that the model takes")


@dataclass(frozen=True, kw_only=True)
class ArchitectureSpec(Spec):
    """An architecture. Its factory is called as `Class(problem, options)` (see `core.roles`).

    Args:
        dims: spatial dimensions that it can be built for, a subset of (2, 3).
        stochastic: `forward` takes a noise vector.
        torchscript: it exports to TorchScript and passes the parity check. False states that the export fails.
        onnx: the same for ONNX and `.pt2`, which start from the same exported program.
        bf16: it trains under bfloat16 autocast.
    """

    dims: tuple[int, ...] = (2,)
    stochastic: bool = False
    torchscript: bool = True
    onnx: bool = True
    bf16: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.dims or not set(self.dims) <= {2, 3}:
            raise SpecError(f"{self.name}: dims is {self.dims!r}; it must be (2,), (3,) or (2, 3)")

    @property
    def needs_tissues(self) -> bool:
        """Whether it works only on cases with tissue label maps."""
        return self.role in (Role.GENERATOR, Role.TRANSLATOR)

    @property
    def offered_dims(self) -> str:
        """`2D`, `3D` or `2D and 3D`, for messages."""
        return " and ".join(f"{dims}D" for dims in self.dims)


@dataclass(frozen=True, kw_only=True)
class GeneratorSpec(ArchitectureSpec):
    """An architecture that makes lesion masks."""

    stochastic: bool = True
    role: ClassVar[Role] = Role.GENERATOR


@dataclass(frozen=True, kw_only=True)
class TranslatorSpec(ArchitectureSpec):
    """An architecture that turns a label map (tissues and lesion) into an MR image.

    Args:
        paired: it trains on label map and image of the same case. False: the two come from different cases.
    """

    paired: bool = True
    role: ClassVar[Role] = Role.TRANSLATOR


@dataclass(frozen=True, kw_only=True)
class SegmenterSpec(ArchitectureSpec):
    """An architecture that turns an MR image into a lesion mask."""

    role: ClassVar[Role] = Role.SEGMENTER


@dataclass(frozen=True, kw_only=True)
class MixerSpec(ArchitectureSpec):
    """A method that mixes two real training cases into a new image with its labels.

    It is not a network: it works on whole volumes in NumPy in 2D and 3D studies alike, and is neither trained nor
    exported.

    Args:
        tissues: it needs tissue label maps. Without them, the labels of a case are background, brain and lesion.
    """

    dims: tuple[int, ...] = (2, 3)
    stochastic: bool = True
    torchscript: bool = False
    onnx: bool = False
    bf16: bool = False
    tissues: bool = False
    role: ClassVar[Role] = Role.MIXER

    @property
    def needs_tissues(self) -> bool:
        """See `tissues`."""
        return self.tissues


SPEC_OF_ROLE: dict[Role, type[ArchitectureSpec]] = {
    spec.role: spec for spec in (GeneratorSpec, TranslatorSpec, SegmenterSpec, MixerSpec)
}
#: Roles of architectures.
ROLES = tuple(SPEC_OF_ROLE)
#: Roles whose architectures are networks: trained and exported.
NETWORKS = (Role.GENERATOR, Role.TRANSLATOR, Role.SEGMENTER)
