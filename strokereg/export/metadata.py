"""The metadata of exported files: one JSON text under the key `strokereg`. No torch here.

Its schema is `docs/bundle.schema.json`. The runtime reads channels, spacing, axes, threshold and smallest lesion from
here, so a file needs neither its run folder nor its training code.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from strokereg.core.scan.appearance import Ranges
from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.core.scan.window import OVERLAP, SIGMA
from strokereg.core.storage.files import parse_json
from strokereg.export.formats import Precision
from strokereg.registry.errors import InputError, counted

KEY = "strokereg"
TOLERANCE = 1e-4  # of any output value: probabilities, or intensities in [-1, 1]
AGREEMENT = 0.9999  # share of voxels on the same side of the threshold
# 2: `size` and `postprocessing.flips`; without them the masks would differ from those of the evaluation.
# 3: `precision`, `gate`, `probe`, `noise`, `steps`, `overlap`, `sigma`.
# 4: `training.images`.
SCHEMA_VERSION = 4
AXES = "RAS canonical, arrays [Z, Y, X]"
INTENDED_USE = (
    "Research and engineering only. Not a medical device: not cleared by any authority, not for diagnosis, "
    "treatment or any other clinical decision."
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parity(_Part):
    """The difference of an exported file from the trained network, measured before the file was released.

    Attributes:
        largest_difference: of any output value, absolute.
        agreeing_voxels: share of voxels on the same side of the threshold; None for image outputs.
        cases: cases of a cohort among the samples (simulated ones, where that cohort is simulated); the rest
            are edge sizes with random content.
        shapes: every input shape that was measured, [N, …].
    """

    largest_difference: float
    agreeing_voxels: float | None
    cases: int
    shapes: tuple[tuple[int, ...], ...]

    @property
    def holds(self) -> bool:
        """True if a float32 file may be released; never with NaN."""
        agreeing = 1.0 if self.agreeing_voxels is None else self.agreeing_voxels
        return self.largest_difference <= TOLERANCE and agreeing >= AGREEMENT

    def __str__(self) -> str:
        masks = "" if self.agreeing_voxels is None else f", masks agree on {100 * self.agreeing_voxels:.4f} % of voxels"
        sizes = counted(len(self.shapes), "size")
        where = f"{counted(self.cases, 'case')} and {sizes}" if self.cases else sizes
        return f"largest difference {self.largest_difference:.2g}{masks}, on {where}"


class Gate(_Part):
    """The loss of a lower precision, measured on validation cases before the file was released.

    Attributes:
        measure: of `full`, `reduced` and `loss`; mean Dice over the cases for segmenters.
        full, reduced: of the file in float32, and of this one.
        loss: of this file against the one in float32; at most `allowed`, unless forced.
        cases: validation cases measured on.
        calibrated_on: training cases used to find the ranges of int8; 0 for other precisions.
        forced: the loss was too large and the file was written nevertheless (`--force`).
    """

    measure: str
    full: float
    reduced: float
    loss: float
    allowed: float
    cases: int
    calibrated_on: int = 0
    forced: bool = False

    @property
    def holds(self) -> bool:
        """True if a lower precision may be released; never with NaN."""
        return self.loss <= self.allowed

    def __str__(self) -> str:
        forced = ", forced" if self.forced else ""
        return f"{self.measure} {self.full:.4f} → {self.reduced:.4f} on {counted(self.cases, 'case')}{forced}"


class Probe(_Part):
    """Random inputs and the trained network's answers to them, so that a file can be checked without its run.

    Attributes:
        seed: of `numpy.random.RandomState`, whose stream never changes; see `export.inputs`.
        batch, size: of the inputs; `size` is [Z,] Y, X, empty for generators.
        values: the network's output at evenly spaced places of the flattened array.
        difference: largest difference of the file from them at export, on the CPU.
    """

    seed: int
    batch: int
    size: tuple[int, ...]
    values: tuple[float, ...]
    difference: float


class Training(_Part):
    """The training data of the network.

    Attributes:
        cohort: name of the cohort; empty if unknown.
        simulated: the images came from a simulator, not from patients; None if unknown.
        versions: of Python, torch and strokereg at training time.
        images: contrast → what the training scans looked like; scans unlike them are reported. Empty if unknown.
    """

    cohort: str = ""
    simulated: bool | None = None
    versions: dict[str, str] = {}
    images: dict[str, Ranges] = {}


class Bundle(_Part):
    """The metadata of an exported file.

    Attributes:
        role: generator, translator or segmenter.
        architecture, distribution, version: the registered name, and the package that provides it.
        dims: 2 (a batch of axial slices) or 3 (a volume).
        size: spatial size trained on, [Z,] Y, X; a segmenter takes larger scans in windows of it (`core.scan.window`).
            Empty in files of schema version 1, which take a scan in one piece.
        steps: each spatial edge of an input is a multiple of its step, [Z,] Y, X; empty for generators.
        overlap, sigma: of neighbouring windows, and of their Gaussian weights, as shares of a window's edge.
        noise: width of the noise vector; None if the graph takes none.
        precision: of the network; inputs and outputs are float32 in any case.
        inputs, output: names of the graph's tensors → their meaning.
        channels: image contrasts in the order of the channel axis.
        labels: names of the label table in order, lesion last.
        axes: of the network grid.
        preparation: from a scan to the network grid; intensities go in raw, the graph normalises them.
        postprocessing: from probability to mask, on the scan's own grid; None if the output is no mask.
        gate: loss of a precision below fp32; None for fp32.
        probe: None in files before schema version 3.
        versions: of strokereg, torch and the format's own tools at export time.
        licence: of the architecture's implementation.
    """

    schema_version: Literal[1, 2, 3, 4] = SCHEMA_VERSION
    role: Literal["generator", "translator", "segmenter"]
    architecture: str
    distribution: str
    version: str
    dims: Literal[2, 3]
    size: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    overlap: float = OVERLAP
    sigma: float = SIGMA
    noise: int | None = None
    precision: Precision = Precision.FP32
    inputs: dict[str, str]
    output: dict[str, str]
    channels: tuple[str, ...] = Field(min_length=1)
    labels: tuple[str, ...]
    axes: str = AXES
    preparation: Preparation
    postprocessing: Postprocessing | None
    training: Training
    parity: Parity
    gate: Gate | None = None
    probe: Probe | None = None
    versions: dict[str, str]
    licence: str
    intended_use: str = INTENDED_USE

    @property
    def is_scan_graph(self) -> bool:
        """True if the graph takes a scan on its own grid (`export.scan`), not the input of a network."""
        return "scan" in self.inputs

    def to_json(self) -> str:
        """The text that goes into the file."""
        return self.model_dump_json()


def parse_bundle(text: str | None, where: object) -> Bundle:
    """Parse the metadata text of an exported file.

    Args:
        text: what the file holds under `strokereg`, or None where it holds nothing.
        where: the file, for the message.

    Raises:
        InputError: no metadata, metadata of another schema version, or damaged metadata.
    """
    if not text:
        raise InputError(f"{where}: holds no strokereg metadata; give a file that 'strokereg export' wrote")
    try:
        content = parse_json(text)
        found = content.get("schema_version") if isinstance(content, dict) else None
        if isinstance(found, int) and found > SCHEMA_VERSION:
            raise InputError(
                f"{where}: its metadata has schema version {found}, this strokereg reads up to {SCHEMA_VERSION}; "
                "update strokereg"
            )
        return Bundle.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}"
        raise InputError(f"{where}: its strokereg metadata is damaged ({reason}); export the run again") from error
    except ValueError as error:
        raise InputError(f"{where}: its strokereg metadata is damaged ({error}); export the run again") from error
