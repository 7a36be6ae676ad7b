"""Weights of a run: read into a network only where every name and shape fits. No pickle, so no code is run."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn

from strokereg.core.storage.files import own_file
from strokereg.core.train.record import WEIGHTS
from strokereg.registry.errors import InputError


def load_weights(model: nn.Module, run: Path | str) -> None:
    """Fill `model` with the weights of a run folder.

    Raises:
        InputError: missing or damaged weights, weights that lie elsewhere, or weights of a network of another form.
    """
    path = own_file(Path(run), WEIGHTS)
    if not path.is_file():
        raise InputError(f"{path}: no such file; train the run again")
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    try:
        with safe_open(path, framework="pt") as file:
            # By its head, before anything is read: what is too large is not loaded in order to be refused.
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            for name in sorted(wanted.keys() | shapes.keys()):
                if wanted.get(name) != shapes.get(name):
                    fault = f"{name} is {shapes.get(name, 'missing')} in the file"
                    raise InputError(
                        f"{path}: does not fit the network ({fault} and {wanted.get(name, 'missing')} in the network); "
                        "install the version that trained it"
                    )
            found = {name: file.get_tensor(name) for name in shapes}
    except (SafetensorError, OSError, RuntimeError) as error:  # the last where a file is too large to be mapped
        raise InputError(f"{path}: damaged weights ({error}); train the run again") from error
    model.load_state_dict(found)
