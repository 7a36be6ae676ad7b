"""Checks of `forward` in eval mode: shapes, ranges, and what the output may depend on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from strokereg.registry.errors import InputError
from strokereg.registry.specs import Role
from strokereg.testing.check import Broken, Unfit, describe, require, rule
from strokereg.testing.learning import trained
from strokereg.testing.subject import Subject

_WILD = 10.0
_CLOSE = 1e-5  # other batch sizes sum in another order


@rule(
    "forward returns finite float32 of the right shape: [N, 1, *S] logits, or an image [N, C, *S] in [-1, 1]",
    "end a translator with tanh, keep the spatial size, and return float32",
)
@torch.no_grad()
def shapes_and_ranges(subject: Subject) -> None:
    model, batch = subject.fresh, subject.batch(3)
    out = model(*subject.inputs(model, batch))
    _fits(subject, out, tuple(batch.image.shape))
    require(out.std() > 0, "every voxel of the output has the same value")
    if subject.role is Role.TRANSLATOR:
        # First weights are small, and so are the outputs; training makes them larger.
        wild = subject.build().eval()
        for parameter in wild.parameters():
            parameter.mul_(_WILD)
        most = float(wild(*subject.inputs(wild, batch)).nan_to_num(0.0).abs().max())
        require(most <= 1.0, f"with weights {_WILD:g} times as large, intensities reach {most:.3g}")


@rule(
    "it can be built for two contrasts (problem.channels = 2), such as DWI and ADC",
    "size the first or the last layer by problem.channels",
    (Role.TRANSLATOR, Role.SEGMENTER),
    needs=("shapes-and-ranges",),
)
@torch.no_grad()
def two_channels(subject: Subject) -> None:
    model, batch = subject.build(problem=subject.problem(channels=2)).eval(), subject.batch()
    given = subject.inputs(model, batch)
    if subject.role is Role.SEGMENTER:
        given = (batch.image.repeat(1, 2, *(1,) * subject.dims),)
    channels = 2 if subject.role is Role.TRANSLATOR else 1
    _fits(subject, model(*given), (2, channels, *batch.image.shape[2:]))


def _fits(subject: Subject, out: Tensor, shape: tuple[int, ...]) -> None:
    require(isinstance(out, Tensor), f"forward returns a {type(out).__name__} instead of one tensor")
    require(tuple(out.shape) == shape, f"the shape is {tuple(out.shape)} instead of {shape}")
    require(out.dtype == torch.float32, f"the type is {out.dtype} instead of float32")
    require(out.isfinite().all(), "the output has NaN or infinite values")
    if subject.role is Role.TRANSLATOR:
        require(out.abs().max() <= 1.0, f"intensities range from {float(out.min()):.3g} to {float(out.max()):.3g}")


@rule(
    "in eval mode the same inputs give the same outputs; all randomness comes from z",
    "switch dropout off in eval mode, and derive noise from z instead of drawing it in forward",
    needs=("shapes-and-ranges",),
)
@torch.no_grad()
def eval_repeats(subject: Subject) -> None:
    model = subject.fresh
    given = subject.inputs(model, subject.batch())
    first, again = model(*given), model(*given)
    require(torch.equal(first, again), f"two calls differ by up to {_distance(first, again):.3g}")


@rule(
    "another z gives another output",
    "use z, or set stochastic=False in the spec",
    (Role.GENERATOR, Role.TRANSLATOR),
    needs=("eval-repeats",),
)
@torch.no_grad()
def noise_counts(subject: Subject) -> None:
    if not subject.stochastic:
        raise Unfit("it takes no noise")
    model, batch = trained(subject), subject.batch(4)
    *given, z = subject.inputs(model, batch)
    given = [value[:1].expand(4, *value.shape[1:]) for value in given]
    out = model(*given, z)
    require((out != out[:1]).any(), "four different z give the same output")


@rule(
    "in eval mode a row of a batch does not depend on the other rows",
    "do not use statistics of the batch in eval mode; use instance or group norm",
    needs=("eval-repeats",),
)
@torch.no_grad()
def rows_are_independent(subject: Subject) -> None:
    model, batch = subject.fresh, subject.batch(3)
    given = subject.inputs(model, batch)
    together = model(*given)
    for row in range(3):
        alone = model(*(value[row : row + 1] for value in given))[0]
        off = _distance(alone, together[row])
        require(off <= _CLOSE * (1 + together.abs().max()), f"row {row} alone differs by {off:.3g} from row {row} of 3")


@rule(
    "a size that the network cannot take raises an InputError of one line; for any other the output has the same size",
    "call strokereg.require_multiple(shape, multiple, name) at the start of forward",
    (Role.TRANSLATOR, Role.SEGMENTER),
    needs=("shapes-and-ranges",),
)
@torch.no_grad()
def odd_sizes(subject: Subject) -> None:
    model, batch = subject.build().eval(), subject.batch()
    given = [value[..., :-1] if value.ndim > subject.dims else value for value in subject.inputs(model, batch)]
    size = tuple(given[0].shape[-subject.dims :])
    try:
        out = model(*given)
    except InputError as error:
        require("\n" not in str(error), f"the error for the size {size} has several lines")
        return
    except Exception as error:
        raise Broken(f"the size {size} raises {describe(error)}") from error
    require(tuple(out.shape[2:]) == size, f"the size {size} becomes {tuple(out.shape[2:])}")


def _distance(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def same(a: nn.Module, b: nn.Module) -> str:
    """The name of the first weight or buffer in which two networks differ, or an empty string."""
    first, second = a.state_dict(), b.state_dict()
    if first.keys() != second.keys():
        return sorted(first.keys() ^ second.keys())[0]
    return next((name for name, value in first.items() if not torch.equal(value, second[name])), "")
