"""Weights of a run: read into a network only where every name and shape fits. No pickle, so no code is run."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from strokereg.core.errors import InputError
from strokereg.core.record import WEIGHTS, own_file


def load_weights(model: nn.Module, run: Path | str) -> None:
    """Fill `model` with the weights of a run folder.

    Raises:
        InputError: missing or damaged weights, weights that lie elsewhere, or weights of a network of another form.
    """
    path = own_file(Path(run), WEIGHTS)
    if not path.is_file():
        raise InputError(f"{path}: no such file; train the run again")
    try:
        found = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged weights ({error}); train the run again") from error
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    for name in sorted(wanted.keys() | shapes.keys()):
        if wanted.get(name) != shapes.get(name):
            fault = (
                f"{name} is {shapes.get(name, 'missing')} in the file and {wanted.get(name, 'missing')} in the network"
            )
            raise InputError(f"{path}: does not fit the network ({fault}); install the version that trained it")
    model.load_state_dict(found)
