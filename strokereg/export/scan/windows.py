"""The network in overlapping windows over a scan on its network grid. See `core.scan.window`."""

from onnxscript import opset20 as op
from onnxscript import script
from onnxscript.values import Op

from strokereg.export.scan.domain import DOUBLE, FLOAT, INT64, OURS, column, counted, listed

#: Functions that `assemble` fills in: the network, a call of it on one window, and the mean of such calls.
NETWORK, LOOK, SHOW = "network", "look", "show"
network, look, show = Op(OURS, NETWORK), Op(OURS, LOOK), Op(OURS, SHOW)


@script(OURS, default_opset=op)
def parts(edge, most):
    """Slices in parts of `most`: starts int64 [n], and weights float [n, edge], which are one."""
    starts = op.Range(op.CastLike(0, edge), edge, most)
    shape = op.Concat(op.Shape(starts), listed(edge), axis=0)
    return starts, op.Expand(op.Constant(value_float=1.0), shape)


@script(OURS, default_opset=op)
def overlapping(edge, most, overlap, sigma):
    """Windows along an edge: starts int64 [n], and Gaussian weights float [n, edge] that sum to one at every voxel.

    Args:
        edge, most: of the image and of a window, int64; a smaller image is one window.
        overlap, sigma: shares of a window, double.
    """
    width = op.Cast(op.Min(edge, most), to=DOUBLE)
    rest = op.Cast(edge, to=DOUBLE) - width
    gaps = op.Ceil(rest / (width * (1.0 - overlap)))
    number = op.Cast(counted(op.Cast(gaps, to=INT64) + 1), to=DOUBLE)
    starts = op.Round(number * (rest / op.Max(gaps, op.CastLike(1.0, gaps))))
    place = op.Cast(counted(edge), to=DOUBLE) - column(starts)
    apart = (place - (width - 1.0) / 2.0) / (sigma * width)
    bell = op.Exp(-0.5 * (apart * apart))
    bell = op.Where(op.And(place >= 0.0, place < width), bell, op.CastLike(0.0, bell))
    total = op.ReduceSum(bell, op.Constant(value_ints=[0]))
    return op.Cast(starts, to=INT64), op.Cast(bell / total, to=FLOAT)


@script(OURS, default_opset=op)
def at_slices(window, measured):
    """A window [C, Z, Y, X] as Z items for a network in 2D → probability [Z, Y, X]."""
    items = op.Transpose(window, perm=[1, 0, 2, 3])
    same = op.Expand(op.Constant(value_int=0), op.Shape(items, start=0, end=1))
    return op.Squeeze(network(items, op.Gather(measured, same, axis=0)), op.Constant(value_ints=[1]))


@script(OURS, default_opset=op)
def at_volume(window, measured):
    """A window [C, Z, Y, X] as the one item for a network in 3D → probability [Z, Y, X]."""
    found = network(op.Unsqueeze(window, op.Constant(value_ints=[0])), measured)
    return op.Squeeze(found, op.Constant(value_ints=[0, 1]))


@script(OURS, default_opset=op)
def from_both_sides(window, measured):
    """The mean of the probabilities of a window and of its left-right mirror image."""
    width = op.Shape(window, start=3, end=4)
    forth = counted(op.Squeeze(width))
    total = op.CastLike(0.0, window)
    for side in range(2):
        order = op.Where(side == 0, forth, width - 1 - forth)
        found = look(op.Gather(window, order, axis=3), measured)
        total = total + op.Gather(found, order, axis=2)
    return total / 2.0


@script(OURS, default_opset=op)
def blended(image, measured, z_starts, z_weights, y_starts, y_weights, x_starts, x_weights, most):
    """Mean of the probabilities of all windows over a voxel, by their weights, float [Z, Y, X].

    Args:
        image: float [C, Z, Y, X].
        measured: the scale of the volume, with a first axis of one.
        z_starts, …: of `parts` or `overlapping`.
        most: size of a window, int64 [3].
    """
    shape = op.Shape(image, start=1)
    rows, columns = op.Size(y_starts), op.Size(x_starts)
    total = op.ConstantOfShape(shape)
    for number in range(op.Size(z_starts) * rows * columns):
        z = number / (rows * columns)
        y = op.Mod(number / columns, rows)
        x = op.Mod(number, columns)
        corner = op.Concat(
            op.Gather(z_starts, listed(z)), op.Gather(y_starts, listed(y)), op.Gather(x_starts, listed(x)), axis=0
        )
        end = op.Min(corner + most, shape)
        window = op.Slice(image, corner, end, op.Constant(value_ints=[1, 2, 3]))
        planes = op.Slice(op.Gather(z_weights, z), op.Gather(corner, [0]), op.Gather(end, [0]))
        lines = op.Slice(op.Gather(y_weights, y), op.Gather(corner, [1]), op.Gather(end, [1]))
        voxels = op.Slice(op.Gather(x_weights, x), op.Gather(corner, [2]), op.Gather(end, [2]))
        weight = op.Unsqueeze(column(planes) * lines, op.Constant(value_ints=[2])) * voxels
        found = show(window, measured) * weight
        total = total + op.Pad(found, op.Concat(corner, shape - end, axis=0))
    return total
