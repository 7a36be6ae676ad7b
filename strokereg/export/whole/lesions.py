"""Lesions that are too small, dropped from a mask. See `core.decide`."""

from onnxscript import opset20 as op
from onnxscript import script

from strokereg.export.whole.domain import DOUBLE, INT64, OURS, counted, extent, flat


@script(OURS, default_opset=op)
def components(mask):
    """Number the voxels of each connected component (26 neighbours) alike: int64 [I, J, K], 0 outside.

    Each voxel takes the largest number among its neighbours, and then the number that the voxel of that number has
    taken, so numbers jump ahead and a long lesion needs few rounds.

    Args:
        mask: bool [I, J, K].
    """
    inside = op.Cast(mask, to=DOUBLE)
    own = op.Cast(op.Reshape(counted(op.Size(mask)) + 1, op.Shape(mask)), to=DOUBLE)
    numbers = own * inside
    changed = op.Constant(value_int=1) == 1
    while changed:
        batch = op.Unsqueeze(numbers, op.Constant(value_ints=[0, 1]))
        near = op.MaxPool(batch, kernel_shape=[3, 1, 1], pads=[1, 0, 0, 1, 0, 0])
        near = op.MaxPool(near, kernel_shape=[1, 3, 1], pads=[0, 1, 0, 0, 1, 0])
        near = op.MaxPool(near, kernel_shape=[1, 1, 3], pads=[0, 0, 1, 0, 0, 1])
        taken = op.Squeeze(near, op.Constant(value_ints=[0, 1])) * inside
        known = op.Concat(op.CastLike([0.0], taken), flat(taken), axis=0)
        ahead = op.Gather(known, op.Cast(taken, to=INT64))
        changed = op.ReduceMax(ahead - numbers, keepdims=0) > 0.0
        numbers = ahead
    return op.Cast(numbers, to=INT64)


@script(OURS, default_opset=op)
def large(mask, voxel_ml, smallest_ml):
    """The mask without components below a volume.

    Args:
        mask: bool [I, J, K].
        voxel_ml, smallest_ml: double.
    """
    low, high = extent(mask)
    axes = op.Constant(value_ints=[0, 1, 2])
    numbers = components(op.Slice(mask, low, high + 1, axes))
    index = flat(numbers)
    none = op.CastLike(op.ConstantOfShape(op.Shape(index) + 1), voxel_ml)
    each = op.CastLike(op.ConstantOfShape(op.Shape(index)) + 1.0, voxel_ml)
    voxels = op.ScatterElements(none, index, each, axis=0, reduction="add")
    kept = op.And(numbers > 0, op.Gather(voxels * voxel_ml, numbers) >= smallest_ml)
    padded = op.Pad(op.Cast(kept, to=INT64), op.Concat(low, op.Shape(mask) - high - 1, axis=0))
    return padded > 0
