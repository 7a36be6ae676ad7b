"""The network grid of a scan, in the scan's own axes. See `core.scan.grid.frame_of`."""

from onnxscript import opset20 as op
from onnxscript import script

from strokereg.export.scan.domain import DOUBLE, INT64, OURS, column, extent


@script(OURS, default_opset=op)
def adjugate(matrix):
    """3×3 → its cofactors, so that matrix · cofactorsᵀ = determinant."""
    first, second = op.Constant(value_ints=[1, 2, 0]), op.Constant(value_ints=[2, 0, 1])
    near, far = op.Gather(matrix, first, axis=0), op.Gather(matrix, second, axis=0)
    straight = op.Gather(near, first, axis=1) * op.Gather(far, second, axis=1)
    return straight - op.Gather(far, first, axis=1) * op.Gather(near, second, axis=1)


@script(OURS, default_opset=op)
def determinant(matrix):
    """Of 3×3."""
    return op.ReduceSum(matrix * adjugate(matrix), keepdims=0) / 3.0


@script(OURS, default_opset=op)
def orientation(matrix, spacing):
    """Which canonical axis each scan axis runs along, int64 [3], and its direction, double [3]: as nibabel finds it.

    The rotation in the affine is its polar factor, here by Newton's iteration (Higham 1986). Axes are taken from the
    clearest to the least clear one, each canonical axis once.

    Args:
        matrix: double [3, 3], of the affine.
        spacing: double [3], lengths of its columns.
    """
    turn = matrix / spacing
    for _ in range(16):
        turn = (turn + adjugate(turn) / determinant(turn)) / 2.0
    left = op.Abs(turn)
    clearest = op.ReduceMax(left, op.Constant(value_ints=[0]), keepdims=0)
    _, order = op.TopK(clearest, op.Constant(value_ints=[3]))
    numbers = op.Constant(value_ints=[0, 1, 2])
    axes = op.Constant(value_ints=[0, 0, 0])
    for turn_number in range(3):
        here = op.Gather(order, turn_number)
        best = op.ArgMax(op.Gather(left, here, axis=1), axis=0, keepdims=0)
        axes = op.Where(numbers == here, best, axes)
        left = left * op.CastLike(column(op.Not(numbers == best)), left)
    signs = op.Sign(op.GatherElements(turn, op.Unsqueeze(axes, op.Constant(value_ints=[0])), axis=0))
    return axes, op.Squeeze(signs, op.Constant(value_ints=[0]))


@script(OURS, default_opset=op)
def frame(brain, axes, signs, spacing, wanted, least, multiple):
    """Slope and first voxel of the network grid along each scan axis, double [3] each, and its size, int64 [3].

    Args:
        brain: bool [I, J, K].
        axes, signs: of `orientation`.
        spacing: of the scan, double [3].
        wanted, least, multiple: spacing, smallest size and multiples of the grid along R, A, S, double [3].
    """
    low, high = extent(brain)
    first, last = op.Cast(low, to=DOUBLE), op.Cast(high, to=DOUBLE)
    step = op.Round(op.Gather(wanted, axes) / spacing * 100000.0) / 100000.0
    steps = op.Gather(multiple, axes)
    size = op.Ceil(op.Max(op.Gather(least, axes), (last - first + 1.0) / step) / steps) * steps
    slope = signs * step
    start = op.Round((first + last) / 2.0 - slope * (size - 1.0) / 2.0)
    return slope, start, op.Cast(size, to=INT64)
