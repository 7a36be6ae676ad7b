"""Check a file by the trained network's answers to random inputs, which it carries. No torch here.

A file holds a few hundred output values of the network. With them it can be checked without its run or cohort: on the
machine, and by the engine, that will use it.
"""

from __future__ import annotations

import numpy as np

from strokereg.export.inputs import InputForm, Inputs, RunGraph
from strokereg.export.metadata import TOLERANCE, Bundle, Parity, Probe
from strokereg.export.verify.random_scans import feeds, random_scans
from strokereg.registry.errors import InputError, RunFailed
from strokereg.registry.specs import Role

SEED = 20
_VALUES = 256


def pick(output: np.ndarray) -> np.ndarray:
    """The values of an output that a probe keeps, evenly spaced."""
    flat = output.ravel()
    return flat[np.linspace(0, flat.size - 1, min(_VALUES, flat.size)).astype(int)]


def probe_inputs(bundle: Bundle) -> Inputs:
    """The inputs of a file's probe."""
    assert bundle.probe is not None
    if bundle.is_scan_graph:
        return feeds(random_scans(bundle, bundle.probe.seed)[0])
    probe = bundle.probe
    return InputForm.of(bundle).draw(probe.batch, probe.size, np.random.RandomState(probe.seed))


def make_probe(inputs: Inputs, size: tuple[int, ...], expected: np.ndarray, run: RunGraph) -> Probe:
    """The probe of a file.

    Args:
        inputs: drawn with `SEED`.
        size: their spatial size; empty for generators.
        expected: the network's output for them.
        run: runs the file.
    """
    values = pick(expected)
    return Probe(
        seed=SEED,
        batch=len(next(iter(inputs.values()))),
        size=size,
        values=tuple(round(float(value), 7) for value in values),
        difference=float(np.abs(pick(run(inputs)) - values).max()),
    )


def check_answers(run: RunGraph, bundle: Bundle, where: object) -> Parity:
    """Compare what a file computes here and now with the stored answers of the trained network.

    Args:
        run: runs the file.
        where: the file, for messages.

    Raises:
        InputError: the file carries no answers, as those of schema version 1 and 2.
        RunFailed: the difference is too large (with the numbers).
    """
    probe = bundle.probe
    if probe is None:
        raise InputError(f"{where}: carries no answers of its network; give its run too: export RUN --check {where}")
    inputs = probe_inputs(bundle)
    got, expected = pick(run(inputs)), np.array(probe.values, dtype=np.float32)
    agreeing = None
    if bundle.role != Role.TRANSLATOR:
        threshold = bundle.postprocessing.threshold if bundle.postprocessing else 0.5
        agreeing = float(((got >= threshold) == (expected >= threshold)).mean())
    parity = Parity(
        largest_difference=float(np.abs(got - expected).max()),
        agreeing_voxels=agreeing,
        cases=0,
        shapes=(next(iter(inputs.values())).shape,),
    )
    # A lower precision never equals the network; it may differ by half as much again as at export.
    most = TOLERANCE if bundle.precision == "fp32" else 1.5 * probe.difference + TOLERANCE
    if not parity.largest_difference <= most:
        raise RunFailed(f"{where}: does not answer as its trained network did: {parity}; allowed is {most:.2g}")
    return parity
