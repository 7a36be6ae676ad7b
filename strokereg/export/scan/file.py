"""Write a whole-scan graph, and compare it with strokereg's own runtime. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from strokereg.core.cohort.case import CaseFiles
from strokereg.core.scan.nifti import Volume
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.export.metadata import Bundle, Parity, Probe
from strokereg.export.runtime.scans import read_scans
from strokereg.export.runtime.segmenter import Segmenter
from strokereg.export.scan.assemble import assemble
from strokereg.export.verify.probe import pick
from strokereg.export.verify.random_scans import SEED, feeds, random_scans

INPUTS = {
    "scan": "voxels of a skull-stripped scan, scaled as its file says, float32 [C, I, J, K]; one grid for all channels",
    "affine": "voxel → mm (RAS+) of that grid, float64 [4, 4]",
}
UNLIKE = "the whole-scan graph differs from 'strokereg segment'"
OUTPUT = {
    "probability": "lesion probability in [0, 1] on the scan's grid, float32 [I, J, K]",
    "mask": "1 where lesion, on the same grid, uint8 [I, J, K]",
}


def write(network: Path, bundle: Bundle, path: Path) -> None:
    """Write a whole-scan graph around an exported network, without metadata."""
    path.write_bytes(assemble(onnx.load(network), bundle).SerializeToString())


def describe(bundle: Bundle, parity: Parity, segmenter: Segmenter) -> Bundle:
    """The metadata of a written file.

    Args:
        bundle: of the network's file.
        segmenter: the runtime around it, whose answers the file carries.
    """
    scans = random_scans(bundle)[0]
    answers = segmenter.probability(scans, bundle.postprocessing is not None and bundle.postprocessing.flips)
    probe = Probe(
        seed=SEED,
        batch=1,
        size=answers.shape,
        values=tuple(round(float(value), 7) for value in pick(answers)),
        difference=parity.largest_difference,
    )
    made_with = {**bundle.versions, "onnxscript": version("onnxscript")}
    changes = {"inputs": INPUTS, "output": OUTPUT, "parity": parity, "probe": probe, "versions": made_with}
    return bundle.model_copy(update=changes)


def scans_of(cases: Iterable[CaseFiles], bundle: Bundle) -> list[list[Volume]]:
    """The scans of cases, one volume a channel."""
    return [read_scans([case.images[channel] for channel in bundle.channels], bundle.channels) for case in cases]


def compare(path: Path, segmenter: Segmenter, scans: Sequence[list[Volume]]) -> Parity:
    """Compare a whole-scan graph with the runtime, on scans and on random ones.

    Args:
        path: of the graph.
        segmenter: the runtime around the same network.
        scans: cases, one volume a channel each.

    Returns:
        Parity of the probabilities and masks on the scans' own grids.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rule = segmenter.bundle.postprocessing or Postprocessing()
    largest, same, voxels, shapes = 0.0, 0, 0, []
    for volumes in (*scans, *random_scans(segmenter.bundle)):
        expected, given = segmenter.find(volumes, rule), feeds(volumes)
        probability, mask = session.run(["probability", "mask"], given)
        largest = float(np.maximum(largest, np.abs(probability - expected.probability).max()))  # keeps NaN
        same += int((mask.astype(bool) == expected.mask).sum())
        voxels += mask.size
        shapes.append(given["scan"].shape)
    return Parity(
        largest_difference=largest,
        agreeing_voxels=same / voxels,
        cases=len(scans),
        shapes=tuple(dict.fromkeys(shapes)),
    )
