"""MR artefacts of scanner and patient, made with MONAI and TorchIO; all are off by default.

TorchIO's random transforms draw from torch's global generator, and even calling a deterministic one draws a number.
Batches are drawn in threads, so the training would depend on their timing. Parameters are therefore drawn here, from a
separate random stream for every sample and artefact, and applied with TorchIO's `apply_transform`. MONAI's transforms
get a random state of their own.

A sample is a volume [C, Z, Y, X] of signals in [0, 1]; a slice has Z = 1. Lines of k-space are acquired along Y, as in
an axial scan with phase encoding from front to back. Lengths are in voxels, because a batch does not know its spacing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from strokereg.registry.errors import InputError
from strokereg.registry.options import Options

_MARGIN = 6  # voxels; about the reach of a movement in a patch of 64, and more than that of the coarsest grid


class Artefacts(Options):
    """Share of samples that get each artefact; 0 switches it off.

    Args:
        anisotropy: thick slices or a coarse read-out: one axis at 1.5 to 4 times its voxel size.
        bias_field: smooth shading by a polynomial of the third degree, as of a coil.
        motion: two movements of the head during the acquisition, up to 5 degrees and 3 voxels.
        ghosting: two to four ghosts along the phase encoding; two are the Nyquist ghost of echo-planar imaging.
        rician_noise: noise of a magnitude image, standard deviation up to 0.04 of the [0, 1] range.
    """

    anisotropy: float = Field(default=0.0, ge=0, le=1)
    bias_field: float = Field(default=0.0, ge=0, le=1)
    motion: float = Field(default=0.0, ge=0, le=1)
    ghosting: float = Field(default=0.0, ge=0, le=1)
    rician_noise: float = Field(default=0.0, ge=0, le=1)


@dataclass(frozen=True)
class Kind:
    """One artefact: the library that it needs, and `(signal [C, Z, Y, X], rng) -> signal` of the same shape."""

    library: str
    change: Callable[[Tensor, np.random.Generator], Tensor]


def any_artefacts(how: Artefacts) -> bool:
    """Whether any artefact is on."""
    return any(getattr(how, name) for name in KINDS)


def add_artefacts(image: Tensor, how: Artefacts, seed: int) -> Tensor:
    """Add artefacts to some samples of a batch on the CPU.

    Background stays background, because scans are skull-stripped after the acquisition.

    Args:
        image: float32 [N, C, Y, X] or [N, C, Z, Y, X] in [-1, 1], -1 where there is no signal.
        seed: of all random numbers.

    Returns:
        Image of the same shape and range.
    """
    shares = np.array([getattr(how, name) for name in KINDS])
    if not shares.any():
        return image
    chosen = np.random.default_rng(seed).random((len(image), len(KINDS))) < shares
    signal = (image + 1.0) / 2.0
    volumes = signal[:, :, None] if image.ndim == 4 else signal
    changed = volumes.clone()
    for sample, number in zip(*np.nonzero(chosen), strict=True):
        kind = list(KINDS.values())[number]
        changed[sample] = kind.change(changed[sample], np.random.default_rng([seed, sample, number]))
    changed = changed.reshape(image.shape).clamp(0.0, 1.0) * 2.0 - 1.0
    touched = torch.from_numpy(chosen.any(1)).reshape(-1, *(1,) * (image.ndim - 1))
    return torch.where(touched, torch.where(signal > 0.01, changed, -1.0), image)


def require_libraries(how: Artefacts, owner: str) -> None:
    """Import the libraries for the artefacts that are on: before the training, and not in one of its threads.

    Args:
        owner: the option that the error names.

    Raises:
        InputError: a library is missing.
    """
    for name, kind in KINDS.items():
        if getattr(how, name):
            try:
                import_module(kind.library)
            except ImportError as error:
                raise InputError(
                    f"{owner}: {name} needs the package {kind.library}, which cannot be imported ({error}); "
                    f"run pip install 'strokereg[artefacts]'"
                ) from error


def _anisotropy(signal: Tensor, rng: np.random.Generator) -> Tensor:
    """TorchIO's RandomAnisotropy: downsampling along one axis and back (Billot et al. 2020, MICCAI).

    The signal is first smoothed along that axis, since a thick slice averages its content; the width follows Cardoso et
    al. (2015). All contrasts of a sample share the grid.
    """
    import torchio

    axes = [axis for axis in range(3) if signal.shape[axis + 1] > 1]
    axis, factor = int(rng.choice(axes)), float(rng.uniform(1.5, 4.0))
    width = float(np.sqrt((factor**2 - 1.0) / (8.0 * np.log(2.0))))
    wide = _widen(signal)
    changed = _torchio(
        wide,
        torchio.Blur(_along(axis, width, 0.0)),
        torchio.Resample(_along(axis, factor, 1.0), image_interpolation="nearest"),
        torchio.Resample((tuple(wide.shape[1:]), np.eye(4)), image_interpolation="linear"),
    )
    return _narrow(changed, signal)


def _bias_field(signal: Tensor, rng: np.random.Generator) -> Tensor:
    """MONAI's RandBiasField: exp of Legendre polynomials (Van Leemput et al. 1999; Sudre et al. 2017).

    All contrasts of a sample share one field, since one coil receives them. An ADC map, being a ratio, would have none,
    but a batch does not know which channel that is. A slice is passed as a volume, because MONAI's field in 2D has no
    term of a higher degree in X than in Y.
    """
    from monai.transforms import RandBiasField

    return _monai(signal, RandBiasField(degree=3, coeff_range=(-0.2, 0.2), prob=1.0), rng)


def _motion(signal: Tensor, rng: np.random.Generator) -> Tensor:
    """TorchIO's Motion: k-space is composed of several positions of the head (Shaw et al. 2019, PMLR 102).

    The centre of k-space shows the head in its first position, so labels still fit. All contrasts of a sample get the
    same movements. Times are spread as in RandomMotion. A slice rotates and shifts in its plane.
    """
    import torchio

    count = 2
    degrees, shifts = rng.uniform(-5.0, 5.0, (count, 3)), rng.uniform(-3.0, 3.0, (count, 3))
    if signal.shape[1] == 1:
        degrees[:, 1:], shifts[:, 0] = 0.0, 0.0
    gap = 1.0 / (count + 1)
    times = gap * (np.arange(1, count + 1) + rng.uniform(-0.3, 0.3, count))
    # TorchIO acquires the lines along the last axis.
    turned = _widen(signal).transpose(-1, -2)
    moved = _torchio(turned, torchio.Motion(degrees, shifts, times, "linear"))
    return _narrow(moved.transpose(-1, -2), signal)


def _ghosting(signal: Tensor, rng: np.random.Generator) -> Tensor:
    """TorchIO's Ghosting: every n-th line of k-space is weaker, except the middle one.

    With n = 2 it is the Nyquist ghost of echo-planar scans, half a field of view away; the field of view is that of the
    sample. All contrasts of a sample get the same ghost.
    """
    import torchio

    change = torchio.Ghosting(int(rng.integers(2, 5)), axis=1, intensity=float(rng.uniform(0.3, 0.8)), restore=None)
    return _torchio(signal, change)


def _rician_noise(signal: Tensor, rng: np.random.Generator) -> Tensor:
    """MONAI's RandRicianNoise: magnitude of a signal with complex Gaussian noise (Gudbjartsson and Patz 1995).

    Contrasts have independent noise of the same strength.
    """
    from monai.transforms import RandRicianNoise

    return _monai(signal, RandRicianNoise(std=0.04, sample_std=True, prob=1.0), rng)


def _along(axis: int, value: float, others: float) -> tuple[float, float, float]:
    z, y, x = (value if a == axis else others for a in range(3))
    return z, y, x


def _widen(signal: Tensor) -> Tensor:
    """Pad by repeating the border: the brain continues beyond a patch, where TorchIO would assume background."""
    ends = [(0, 0), *((_MARGIN, _MARGIN) if size > 1 else (0, 0) for size in signal.shape[1:])]
    return torch.from_numpy(np.pad(signal.numpy(), ends, mode="edge"))


def _narrow(wide: Tensor, signal: Tensor) -> Tensor:
    inner = (slice(_MARGIN, -_MARGIN) if size > 1 else slice(None) for size in signal.shape[1:])
    return wide[(slice(None), *inner)]


def _torchio(signal: Tensor, *changes: Any) -> Tensor:
    import torchio

    subject = torchio.Subject(image=torchio.ScalarImage(tensor=signal.contiguous(), affine=np.eye(4)))
    for change in changes:
        subject = change.apply_transform(subject)  # a call would draw from torch's global generator
    return subject.get_first_image().data


def _monai(signal: Tensor, change: Any, rng: np.random.Generator) -> Tensor:
    change.set_random_state(seed=int(rng.integers(2**32)))
    return torch.from_numpy(np.asarray(change(signal.clone()), np.float32))


#: Option → artefact, in the order of a real acquisition: grid, coil, lines of k-space, noise.
KINDS = {
    "anisotropy": Kind("torchio", _anisotropy),
    "bias_field": Kind("monai", _bias_field),
    "motion": Kind("torchio", _motion),
    "ghosting": Kind("torchio", _ghosting),
    "rician_noise": Kind("monai", _rician_noise),
}
