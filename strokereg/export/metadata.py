"""What an exported file says of itself: one JSON text under the key `strokereg`. No torch here.

The JSON schema lies in `docs/bundle.schema.json`. All that surrounds the graph (channels, spacing, axes,
threshold, smallest lesion) is read from here, so a file needs neither its run folder nor its training code.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from strokereg.core.errors import InputError
from strokereg.core.grid import Preparation
from strokereg.core.record import Decision

KEY = "strokereg"
SCHEMA_VERSION = 2  # 2: `size` and `decision.flips`; without them a reader would segment otherwise than was judged
AXES = "RAS canonical, arrays [Z, Y, X]"
INTENDED_USE = (
    "Research and engineering only. Not a medical device: not cleared by any authority, not for diagnosis, "
    "treatment or any other clinical decision."
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Parity(_Part):
    """How far the exported file is from the trained network, measured before the file was released.

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

    def __str__(self) -> str:
        masks = "" if self.agreeing_voxels is None else f", masks agree on {100 * self.agreeing_voxels:.4f} % of voxels"
        cases = f"{self.cases} case{'' if self.cases == 1 else 's'}"
        return f"largest difference {self.largest_difference:.2g}{masks}, on {cases} and {len(self.shapes)} sizes"


class Training(_Part):
    """What the network was trained on.

    Attributes:
        cohort: name of the cohort; empty where the run does not say.
        simulated: the images came from a simulator, not from patients; None where the run does not say.
        versions: of Python, torch and strokereg at training time.
    """

    cohort: str = ""
    simulated: bool | None = None
    versions: dict[str, str] = {}


class Bundle(_Part):
    """The metadata of an exported file.

    Attributes:
        role: generator, translator or segmenter.
        architecture, distribution, version: the registered name, and who provides it.
        dims: 2 (a batch of axial slices) or 3 (a volume).
        size: spatial size trained on, [Z,] Y, X; a segmenter takes larger scans in windows of it (`core.window`).
            Empty in files of schema version 1, whose scans go in whole.
        inputs, output: names of the graph's tensors → their meaning.
        channels: image contrasts in the order of the channel axis.
        labels: names of the label table in order, lesion last.
        axes: of the network grid.
        preparation: from a scan to the network grid; intensities go in raw, the graph normalises them.
        decision: from probability to mask, on the scan's own grid; None where there is no mask to decide.
        versions: of strokereg, torch and the format's own tools at export time.
        licence: of the architecture's implementation.
    """

    schema_version: Literal[1, 2] = SCHEMA_VERSION
    role: Literal["generator", "translator", "segmenter"]
    architecture: str
    distribution: str
    version: str
    dims: Literal[2, 3]
    size: tuple[int, ...] = ()
    inputs: dict[str, str]
    output: dict[str, str]
    channels: tuple[str, ...] = Field(min_length=1)
    labels: tuple[str, ...]
    axes: str = AXES
    preparation: Preparation
    decision: Decision | None
    training: Training
    parity: Parity
    versions: dict[str, str]
    licence: str
    intended_use: str = INTENDED_USE

    def to_json(self) -> str:
        """The text that goes into the file."""
        return self.model_dump_json()


def read_bundle(text: str | None, where: object) -> Bundle:
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
        content = json.loads(text)
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
