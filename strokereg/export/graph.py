"""The complete inference function as one module: raw input → normalise → network → activation.

A wrong scaling or activation gives a plausible but wrong mask, so both are part of the exported graph. Each role has a
class, with the same attributes for writers and parity.
"""

from __future__ import annotations

import abc
import copy
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from strokereg.core.roles import device_of
from strokereg.core.scan.scaling import normalise
from strokereg.core.train.record import Record
from strokereg.export.inputs import InputForm, Inputs
from strokereg.export.shapes import sizes_of
from strokereg.registry.specs import Role


class Graph(nn.Module, abc.ABC):
    """Base of the three graphs.

    Attributes:
        inputs: tensor name → meaning, in the order of `forward`.
        sizes: spatial sizes that the network takes.
        output: the one output's name → its meaning.
        noise: width of the noise vector, or None.
        program: result of `export.write.program`, kept for the next format.
        onnx: result of torch's ONNX exporter, kept for lower precisions.
        spatial: names of the inputs whose axes after the second (or first, for labels) are [Z,] Y, X.
        masks: True where the output is a probability that a threshold turns into a mask.
    """

    output: ClassVar[dict[str, str]]
    spatial: ClassVar[str] = ""
    first_axis: ClassVar[int] = 2
    masks: ClassVar[bool] = True

    def __init__(self, network: nn.Module, record: Record) -> None:
        super().__init__()
        self.network = network
        self.record = record
        self.sizes = sizes_of(record, int(getattr(network, "multiple", 1)))
        self.inputs: dict[str, str] = {}
        self.program: torch.export.ExportedProgram | None = None
        self.onnx = b""
        self.noise: int | None = getattr(network, "noise", None) if record.role != Role.SEGMENTER else None

    def random(self, batch: int, size: tuple[int, ...], rng: np.random.RandomState) -> Inputs:
        """Random inputs of the right ranges: `batch` items of spatial `size`."""
        record = self.record
        problem, measured = record.problem, record.preparation.measured
        return InputForm(record.role, problem.channels, problem.labels, self.noise, measured).draw(batch, size, rng)

    @abc.abstractmethod
    def reference(self, model: nn.Module, inputs: Inputs) -> Tensor:
        """The output of the trained `model` itself, computed as in evaluation."""


class SegmenterGraph(Graph):
    """image float32 [N, C, *S] raw and median float32 [N, C] → lesion probability [N, 1, *S]."""

    output: ClassVar = {"probability": "lesion probability in [0, 1], float32 [N, 1, *S]"}
    spatial: ClassVar = "image"

    def __init__(self, network: nn.Module, record: Record) -> None:
        super().__init__(network, record)
        self.ceiling = record.preparation.ceiling
        self.dims = record.problem.dims
        self.inputs = {
            "image": "raw intensities on the network grid, float32 [N, C, *S]",
            "median": "median brain intensity of each complete volume, float32 [N, C]",
        }

    def forward(self, image: Tensor, median: Tensor) -> Tensor:
        scale = (2.0 / (self.ceiling * median)).reshape(*median.shape, *([1] * self.dims))
        return torch.sigmoid(self.network(torch.clamp(image * scale - 1.0, -1.0, 1.0)))

    def reference(self, model: nn.Module, inputs: Inputs) -> Tensor:
        # The numpy normalisation of training data, so that an error in `forward` shows.
        how = self.record.preparation
        items = zip(inputs["image"], inputs[how.measured], strict=True)
        image = np.stack([[normalise(c, m, how) for c, m in zip(*item, strict=True)] for item in items])
        return torch.sigmoid(model(torch.from_numpy(image)))


class LimitedGraph(SegmenterGraph):
    """The same where intensities are scaled by two limits: limits float32 [N, C, 2] instead of the median."""

    def __init__(self, network: nn.Module, record: Record) -> None:
        super().__init__(network, record)
        del self.inputs["median"]
        self.inputs["limits"] = "intensities of each complete volume that become -1 and 1, float32 [N, C, 2]"

    def forward(self, image: Tensor, limits: Tensor) -> Tensor:
        low, high = limits.reshape(*limits.shape[:2], *([1] * self.dims), 2).unbind(-1)
        scaled = torch.clamp((image - low) * (2.0 / (high - low)) - 1.0, -1.0, 1.0)
        return torch.sigmoid(self.network(torch.where(image > 0.0, scaled, -1.0)))


class TranslatorGraph(Graph):
    """labels int64 [N, *S] (and noise float32 [N, Z]) → image [N, C, *S] in [-1, 1]."""

    output: ClassVar = {"image": "intensities in [-1, 1], float32 [N, C, *S]; see `preparation.scaling`"}
    spatial: ClassVar = "labels"
    first_axis: ClassVar = 1
    masks: ClassVar = False

    def __init__(self, network: nn.Module, record: Record) -> None:
        super().__init__(network, record)
        self.inputs = {"labels": "label map on the network grid, int64 [N, *S]"}
        if self.noise:
            self.inputs["noise"] = f"standard normal, float32 [N, {self.noise}]"

    def forward(self, labels: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.network(labels) if noise is None else self.network(labels, noise)

    def reference(self, model: nn.Module, inputs: Inputs) -> Tensor:
        return model(*(torch.from_numpy(array) for array in inputs.values()))


class GeneratorGraph(Graph):
    """noise float32 [N, Z] → lesion probability [N, 1, *S], S as trained."""

    output: ClassVar = {"probability": "lesion probability in [0, 1], float32 [N, 1, *S]"}

    def __init__(self, network: nn.Module, record: Record) -> None:
        super().__init__(network, record)
        self.inputs = {"noise": f"standard normal, float32 [N, {self.noise}]"}

    def forward(self, noise: Tensor) -> Tensor:
        return torch.sigmoid(self.network(noise))

    def reference(self, model: nn.Module, inputs: Inputs) -> Tensor:
        return torch.sigmoid(model(torch.from_numpy(inputs["noise"])))


_GRAPHS = {Role.SEGMENTER: SegmenterGraph, Role.TRANSLATOR: TranslatorGraph, Role.GENERATOR: GeneratorGraph}


def graph_of(model: nn.Module, record: Record) -> Graph:
    """Wrap a folded copy of `model` for its role; the model itself stays as it is."""
    kind = _GRAPHS[Role(record.role)]
    if kind is SegmenterGraph and record.preparation.measured == "limits":
        kind = LimitedGraph
    return kind(fold(model), record).eval()


def plain_copy(model: nn.Module) -> nn.Module:
    """An eval-mode float32 copy on the CPU."""
    return copy.deepcopy(model).cpu().float().eval()


def fold(model: nn.Module) -> nn.Module:
    """A plain copy whose parametrizations (spectral norm …) have become ordinary weights."""
    folded = plain_copy(model)
    for module in list(folded.modules()):
        if parametrize.is_parametrized(module):
            # A deep copy shares the class that carries the parametrized property; removing it there would
            # break the original, so the copy gets a class of its own first.
            kind = type(module)
            module.__class__ = type(kind.__name__, kind.__bases__, dict(kind.__dict__))
            for name in list(module.parametrizations):  # type: ignore[arg-type, union-attr]
                parametrize.remove_parametrizations(module, name, leave_parametrized=True)
    return folded


def run(graph: Graph, inputs: Inputs) -> np.ndarray:
    """Run a graph on arrays, on the device that the graph is on."""
    device = device_of(graph)
    with torch.inference_mode():
        return graph(*(torch.from_numpy(inputs[name]).to(device) for name in graph.inputs)).cpu().numpy()
