"""Inputs drawn from a seed, and what a file answers to them beside what the trained network answered. No torch here.

A file carries a few hundred of the network's own answers, so that it can be checked where neither its run nor its
cohort is at hand: on the machine, and by the provider, that will use it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from strokereg.export.metadata import TOLERANCE, Bundle, Parity, Probe
from strokereg.export.verify.drawn import drawn_scans, feeds
from strokereg.registry.errors import InputError, RunFailed

Inputs = dict[str, np.ndarray]  # graph input name → array, batch first

SEED = 20
_VALUES = 256


def draw_inputs(
    role: str,
    channels: int,
    labels: int,
    noise: int | None,
    batch: int,
    size: tuple[int, ...],
    rng: np.random.RandomState,
    measured: str = "median",
) -> Inputs:
    """Random inputs of the right ranges for a graph of any role; same seed, same inputs, on every numpy.

    Args:
        labels: number of labels.
        noise: width of the noise vector, or None.
        size: [Z,] Y, X; not used for generators.
        measured: what scales a segmenter's image, `median` or `limits`.
    """
    inputs: Inputs = {}
    if role == "segmenter":
        median = rng.uniform(20.0, 400.0, (batch, channels)).astype(np.float32)
        image = rng.gamma(2.0, 0.6, (batch, channels, *size)) * median.reshape(batch, channels, *([1] * len(size)))
        inputs = {"image": image.astype(np.float32), "median": median}
        if measured == "limits":  # drawn as ever, and then said in the other way
            inputs = {"image": inputs["image"], "limits": median[..., None] * np.array([0.1, 2.5], dtype=np.float32)}
    elif role == "translator":
        inputs = {"labels": rng.randint(0, labels, (batch, *size)).astype(np.int64)}
    if noise:
        inputs["noise"] = rng.standard_normal((batch, noise)).astype(np.float32)
    return inputs


def pick(output: np.ndarray) -> np.ndarray:
    """The values of an output that a probe keeps, evenly spaced."""
    flat = output.ravel()
    return flat[np.linspace(0, flat.size - 1, min(_VALUES, flat.size)).astype(int)]


def probe_inputs(bundle: Bundle) -> Inputs:
    """The inputs of a file's probe."""
    assert bundle.probe is not None
    if bundle.is_scan_graph:
        return feeds(drawn_scans(bundle, bundle.probe.seed)[0])
    probe, rng = bundle.probe, np.random.RandomState(bundle.probe.seed)
    return draw_inputs(
        bundle.role,
        len(bundle.channels),
        len(bundle.labels),
        bundle.noise,
        probe.batch,
        probe.size,
        rng,
        bundle.preparation.measured,
    )


def answer(run: Callable[[Inputs], np.ndarray], bundle: Bundle) -> Parity:
    """How far a file is, here and now, from the stored answers of the trained network."""
    probe = bundle.probe
    assert probe is not None
    inputs = probe_inputs(bundle)
    got, expected = pick(run(inputs)), np.array(probe.values, dtype=np.float32)
    agreeing = None
    if bundle.role != "translator":
        threshold = bundle.postprocessing.threshold if bundle.postprocessing else 0.5
        agreeing = float(((got >= threshold) == (expected >= threshold)).mean())
    shape = next(iter(inputs.values())).shape
    difference = float(np.abs(got - expected).max())
    return Parity(largest_difference=difference, agreeing_voxels=agreeing, cases=0, shapes=(shape,))


def check_answers(run: Callable[[Inputs], np.ndarray], bundle: Bundle, where: object) -> Parity:
    """`answer`, refused where a file is too far off.

    Raises:
        InputError: the file is older than such answers.
        RunFailed: with the numbers.
    """
    if bundle.probe is None:
        raise InputError(f"{where}: carries no answers of its network; give its run too: export RUN --check {where}")
    parity = answer(run, bundle)
    # A lower precision is not the network anywhere; it may be off by half as much again as where it was made.
    most = TOLERANCE if bundle.precision == "fp32" else 1.5 * bundle.probe.difference + TOLERANCE
    if not parity.largest_difference <= most:
        raise RunFailed(f"{where}: does not answer as its trained network did: {parity}; allowed is {most:.2g}")
    return parity


def make_probe(
    inputs: Inputs, size: tuple[int, ...], expected: np.ndarray, run: Callable[[Inputs], np.ndarray]
) -> Probe:
    """The probe of a file: `inputs` drawn with `SEED`, and what the network gave for them."""
    values = pick(expected)
    return Probe(
        seed=SEED,
        batch=len(next(iter(inputs.values()))),
        size=size,
        values=tuple(round(float(value), 7) for value in values),
        difference=float(np.abs(pick(run(inputs)) - values).max()),
    )
