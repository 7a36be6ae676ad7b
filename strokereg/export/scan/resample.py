"""Interpolation along the axes as matrices, and axes in another order. See `core.scan.grid.Frame`, and scipy's ndimage.

The two grids differ by a permutation of axes, a scale and a shift, so an image is interpolated along one axis after the
other. A matrix holds, for each place on the new axis, the weights of the places on the old axis. All is computed in
double precision, as in scipy.
"""

from onnxscript import opset20 as op
from onnxscript import script

from strokereg.export.scan.domain import DOUBLE, INT64, OURS, column, counted, element, listed


@script(OURS, default_opset=op)
def spread(rows, count, index, weight):
    """A matrix double [rows, count] with weights at places, added up where places coincide.

    Args:
        index, weight: int64 and double [rows, m].
    """
    empty = op.ConstantOfShape(op.Concat(listed(rows), listed(count), axis=0))
    return op.ScatterElements(op.Cast(empty, to=DOUBLE), index, weight, axis=1, reduction="add")


@script(OURS, default_opset=op)
def smoothing(count, slope):
    """The smoothing before an axis gets coarser: a Gaussian [count, count] that ends at four deviations and reflects.

    Args:
        count: places of the axis, int64.
        slope: new spacing over the old one, with a sign, double.
    """
    sigma = op.Max(op.CastLike(0.0, slope), (op.Abs(slope) - 1.0) / 2.0)
    reach = op.Floor(sigma * 4.0 + 0.5)
    offset = op.Range(-reach, reach + 1.0, op.CastLike(1.0, reach))
    bell = op.Exp(-0.5 / op.Max(sigma * sigma, op.CastLike(1e-30, sigma)) * (offset * offset))
    bell = bell / op.ReduceSum(bell)
    reached = op.Mod(column(counted(count)) + op.Cast(offset, to=INT64), 2 * count)
    index = op.Min(reached, 2 * count - 1 - reached)
    return spread(count, count, index, op.Expand(bell, op.Shape(index)))


@script(OURS, default_opset=op)
def places(count, new, slope, start):
    """Positions of the new places on the old axis, as integer part and rest, double [new]; and which lie inside."""
    place = start + slope * op.CastLike(counted(new), slope)
    below = op.Floor(place)
    inside = op.And(place >= 0.0, place <= op.CastLike(count - 1, place))
    return below, place - below, inside


@script(OURS, default_opset=op)
def linear(count, new, slope, start):
    """Linear interpolation, double [new, count]; a place outside of the axis has no weights.

    Args:
        count, new: places of the old and the new axis, int64.
        slope, start: of the new places on the old axis, double.
    """
    below, part, inside = places(count, new, slope, start)
    low = op.Cast(column(below), to=INT64)
    index = op.Concat(low, low + 1, axis=1)
    weight = op.Concat(column(1.0 - part), column(part), axis=1)
    last = count - 1
    index = op.Max(op.Min(index, last), op.CastLike(0, count))
    return spread(new, count, index, op.Where(column(inside), weight, op.CastLike(0.0, weight)))


@script(OURS, default_opset=op)
def coefficients(count):
    """From values to coefficients of a cubic spline that is mirrored at its ends, double [count, count].

    The inverse of (1, 4, 1) / 6 in closed form: powers of its pole √3 - 2, over all mirror images (Unser 1993).
    """
    root = op.Sqrt(op.Cast(3.0, to=DOUBLE))
    pole, period = root - 2.0, op.Cast(2 * count - 2, to=DOUBLE)
    place = op.Cast(counted(count), to=DOUBLE)
    apart, together = op.Abs(column(place) - place), column(place) + place
    last = op.Cast(count - 1, to=DOUBLE)
    scale = root / (1.0 - op.Pow(pole, period))
    near = op.Pow(pole, apart) + op.Pow(pole, period - apart)
    mirrored = op.Pow(pole, together) + op.Pow(pole, period - together)
    full = scale * op.Where(op.And(place > 0.0, place < last), near + mirrored, near)
    return op.Where(count == 1, op.CastLike(1.0, full), full)


@script(OURS, default_opset=op)
def cubic(count, new, slope, start):
    """Interpolation by cubic splines, double [new, count]; see `linear`."""
    below, part, inside = places(count, new, slope, start)
    rest = 1.0 - part
    first = rest * rest * rest / 6.0
    second = (part * part * (part - 2.0) * 3.0 + 4.0) / 6.0
    third = (rest * rest * (rest - 2.0) * 3.0 + 4.0) / 6.0
    fourth = 1.0 - first - second - third
    weight = op.Concat(column(first), column(second), column(third), column(fourth), axis=1)
    period = op.Max(2 * count - 2, op.CastLike(1, count))
    low = op.Cast(column(below), to=INT64)
    index = op.Mod(op.Concat(low - 1, low, low + 1, low + 2, axis=1), period)
    index = op.Min(index, period - index)
    taken = spread(new, count, index, op.Where(column(inside), weight, op.CastLike(0.0, weight)))
    return op.MatMul(taken, coefficients(count))


@script(OURS, default_opset=op)
def along_axes(image, first, second, third):
    """[C, I, J, K] → double [C, I', J', K'], by one matrix an axis.

    A matrix is its own flattening. It keeps older onnxruntimes (seen in 1.19) from joining transpose and product to an
    operator that they lack in double precision.
    """
    turned = op.Flatten(op.Transpose(third, perm=[1, 0]), axis=1)
    through = op.MatMul(second, op.MatMul(op.Cast(image, to=DOUBLE), turned))
    flat = op.Flatten(op.Transpose(through, perm=[1, 0, 2, 3]), axis=1)
    shape = op.Shape(through)
    size = op.Concat(op.Shape(first, start=0, end=1), op.Gather(shape, op.Constant(value_ints=[0, 2, 3])), axis=0)
    return op.Transpose(op.Reshape(op.MatMul(first, flat), size), perm=[1, 0, 2, 3])


@script(OURS, default_opset=op)
def within(image, source, rough):
    """Cut overshoots: an image by splines keeps to the range of its source, and background stays empty.

    Args:
        image, source, rough: float [C, …], by splines, before interpolation and by linear interpolation.
    """
    places = op.Constant(value_ints=[1, 2, 3])
    kept = op.Min(op.Max(image, op.ReduceMin(source, places)), op.ReduceMax(source, places))
    return op.Where(rough == 0.0, rough, kept)


@script(OURS, default_opset=op)
def reordered(image, source):
    """The axes of [C, A, B, D] in another order, [C, A', B', D'].

    Args:
        source: which of the three axes (0, 1, 2) each new one is, int64 [3].
    """
    shape = op.Shape(image, start=1)
    b, d = op.Gather(shape, [1]), op.Gather(shape, [2])
    strides = op.Gather(op.Concat(b * d, d, op.CastLike([1], d), axis=0), source)
    size = op.Gather(shape, source)
    planes = counted(element(size, 0)) * element(strides, 0)
    rows = counted(element(size, 1)) * element(strides, 1)
    voxels = counted(element(size, 2)) * element(strides, 2)
    index = op.Unsqueeze(column(planes) + rows, op.Constant(value_ints=[2])) + voxels
    return op.Gather(op.Flatten(image, axis=1), index, axis=1)
