"""The weights of an exported file, as the run folder that a training can start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from safetensors.numpy import save_file

from strokereg.core.storage.cache import cache_folder, sha256_of
from strokereg.core.storage.files import replacing
from strokereg.core.train.record import RECORD, WEIGHTS, Record
from strokereg.export.files import read_bundle
from strokereg.export.formats import Format, Precision
from strokereg.export.runtime.bundles import model_file
from strokereg.registry.errors import InputError
from strokereg.registry.problem import Problem

_NETWORK, _HALF = "network.", "_half"  # around the names of the weights; see `write.precision`


def run_of_export(model: Path | str) -> Path:
    """A run folder in the cache with the weights of an exported file in float32.

    Whether they fit a network is checked when they are loaded; see `core.train.start.read_start`.

    Args:
        model: exported file (.onnx) in fp32, fp16 or bf16, or name of a bundle.

    Raises:
        InputError: no such file or bundle, a file of another format, or one whose weights are not kept as trained.
    """
    source = model_file(model)
    bundle = read_bundle(source)
    if source.suffix != Format.ONNX.suffix or "scan" in bundle.inputs or bundle.precision == Precision.INT8:
        raise InputError(f"{source}: a training starts from an .onnx file in fp32 or fp16; give one, or a run folder")
    folder = cache_folder() / "starts" / sha256_of(source)[:16] / source.name.removesuffix(Format.ONNX.suffix)
    if (folder / RECORD).is_file():
        return folder
    weights = {
        entry.name.removeprefix(_NETWORK).removesuffix(_HALF): numpy_helper.to_array(entry).astype(np.float32)
        for entry in onnx.load(source).graph.initializer
        if entry.name.startswith(_NETWORK)
    }
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / WEIGHTS) as temporary:
        save_file(weights, temporary)
    problem = Problem(dims=bundle.dims, size=bundle.size, labels=len(bundle.labels), channels=len(bundle.channels))
    Record(
        architecture=bundle.architecture,
        role=bundle.role,  # type: ignore[arg-type]
        distribution=bundle.distribution,
        version=bundle.version,
        problem=problem,
        preparation=bundle.preparation,
        labels=bundle.labels,
        cohort={"name": bundle.training.cohort, "simulated": bundle.training.simulated},
        postprocessing=bundle.postprocessing,
        done=True,
        versions=bundle.training.versions,
    ).write(folder)
    return folder
