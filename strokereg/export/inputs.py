"""Inputs of an exported graph, and random ones from a seed. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strokereg.export.metadata import Bundle
from strokereg.registry.specs import Role

Inputs = dict[str, np.ndarray]  # graph input name → array, batch first
RunGraph = Callable[[Inputs], np.ndarray]


@dataclass(frozen=True)
class InputForm:
    """What the graph of a network takes.

    Attributes:
        role: of the network.
        channels: of a segmenter's image.
        labels: number of labels of a translator's map.
        noise: width of the noise vector, or None.
        measured: what scales a segmenter's image, `median` or `limits`.
    """

    role: str
    channels: int = 1
    labels: int = 0
    noise: int | None = None
    measured: str = "median"

    @classmethod
    def of(cls, bundle: Bundle) -> InputForm:
        """The inputs of an exported file."""
        return cls(bundle.role, len(bundle.channels), len(bundle.labels), bundle.noise, bundle.preparation.measured)

    def draw(self, batch: int, size: tuple[int, ...], rng: np.random.RandomState) -> Inputs:
        """Random inputs in the usual ranges: the same seed gives the same inputs with every numpy.

        Args:
            batch: number of items.
            size: [Z,] Y, X; not used for generators.
        """
        inputs: Inputs = {}
        if self.role == Role.SEGMENTER:
            median = rng.uniform(20.0, 400.0, (batch, self.channels)).astype(np.float32)
            shape = (batch, self.channels)
            image = rng.gamma(2.0, 0.6, (*shape, *size)) * median.reshape(*shape, *([1] * len(size)))
            inputs = {"image": image.astype(np.float32), "median": median}
            if self.measured == "limits":
                limits = median[..., None] * np.array([0.1, 2.5], dtype=np.float32)
                inputs = {"image": inputs["image"], "limits": limits}
        elif self.role == Role.TRANSLATOR:
            inputs = {"labels": rng.randint(0, self.labels, (batch, *size)).astype(np.int64)}
        if self.noise:
            inputs["noise"] = rng.standard_normal((batch, self.noise)).astype(np.float32)
        return inputs


def batches(inputs: Inputs, size: int) -> list[Inputs]:
    """Inputs in parts of at most `size` items."""
    count = len(next(iter(inputs.values())))
    return [{name: array[i : i + size] for name, array in inputs.items()} for i in range(0, count, size)]
