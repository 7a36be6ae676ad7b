"""Measure the intensities of a scan: quantiles, median, limits. See `core.scan.grid` and `core.scan.scaling`."""

from onnxscript import opset20 as op
from onnxscript import script

from strokereg.export.scan.domain import DOUBLE, INT64, OURS, flat, listed


@script(OURS, default_opset=op)
def ranked(values, rank):
    """The value of a rank, counted from the smallest, and the next larger one (the same where there is none).

    Args:
        values: [n].
        rank: int64, from 0.
    """
    count = op.Size(values) - rank
    largest, _ = op.TopK(values, listed(count), largest=1, sorted=1)
    return op.Gather(largest, count - 1), op.Gather(largest, op.Max(count - 2, op.CastLike(0, count)))


@script(OURS, default_opset=op)
def quantile(values, share):
    """As numpy interpolates: the place in double precision, the value in that of the values.

    Args:
        values: [n], float or double.
        share: 0 … 1, double.
    """
    place = op.CastLike(op.Size(values) - 1, share) * share
    below = op.Floor(place)
    part = place - below
    low, high = ranked(values, op.Cast(below, to=INT64))
    from_low = low + (high - low) * op.CastLike(part, low)
    return op.Where(part >= 0.5, high - (high - low) * op.CastLike(1.0 - part, low), from_low)


@script(OURS, default_opset=op)
def median(values):
    """The middle value of [n], or the mean of the two middle ones."""
    count = op.Size(values)
    low, high = ranked(values, (count - 1) / 2)
    return op.Where(op.Mod(count, op.CastLike(2, count)) == 1, low, (low + high) / 2.0)


@script(OURS, default_opset=op)
def above(image, level):
    """The voxels above a level, [n]."""
    return op.Compress(flat(image), flat(image > level))


@script(OURS, default_opset=op)
def zscore_limits(values, deviations, spread):
    """Brain voxels float [n] → intensities that become -1 and 1, float [2].

    Args:
        deviations: double [2], from the median.
        spread: double, of a median distance to a standard deviation.
    """
    middle = op.Cast(median(values), to=DOUBLE)
    distance = median(op.Abs(op.Cast(values, to=DOUBLE) - middle))
    return op.CastLike(middle + spread * distance * deviations, values)


@script(OURS, default_opset=op)
def percentile_limits(values, low, high):
    """Brain voxels float [n] → intensities that become -1 and 1, float [2].

    Args:
        low, high: double, shares of the voxels.
    """
    brain = op.Cast(values, to=DOUBLE)
    return op.CastLike(op.Concat(listed(quantile(brain, low)), listed(quantile(brain, high)), axis=0), values)
