"""Drop lesions that are too small from a mask. See `core.scan.postprocess`."""

from onnxscript import opset20 as op
from onnxscript import script

from strokereg.export.scan.domain import FLOAT, INT32, INT64, OURS, counted, extent, flat


@script(OURS, default_opset=op)
def components(own, places, shape):
    """Number the voxels of each connected component (26 neighbours) alike, float [n + 1]; the first stands for none.

    Each voxel takes the largest number among its neighbours, then the number which the voxel of that number has taken.
    So a long lesion needs few rounds. Numbers are float32, for which pooling is fast; they are exact to 2²⁴ voxels.

    Args:
        own: number of each voxel of the grid, int64 [I · J · K]: 1 … n in the mask, 0 outside.
        places: of the voxels in the mask, int64 [n].
        shape: of the grid, int64 [3].
    """
    numbers = op.Cast(counted(op.Size(places) + 1), to=FLOAT)
    volume = op.Concat(op.Constant(value_ints=[1, 1]), shape, axis=0)
    changed = op.Size(places) > 0
    while changed:
        grid = op.Reshape(op.Gather(numbers, own), volume)
        near = op.MaxPool(grid, kernel_shape=[3, 3, 3], pads=[1, 1, 1, 1, 1, 1])
        taken = op.Concat(op.Constant(value_floats=[0.0]), op.Gather(flat(near), places), axis=0)
        spread = op.Gather(taken, op.Cast(taken, to=INT64))
        spread = op.Gather(spread, op.Cast(spread, to=INT64))
        changed = op.ReduceMax(spread - numbers, keepdims=0) > 0.0
        numbers = spread
    return numbers


@script(OURS, default_opset=op)
def large(mask, voxel_ml, smallest_ml):
    """The mask without components below a volume.

    Args:
        mask: bool [I, J, K].
        voxel_ml, smallest_ml: double.
    """
    low, high = extent(mask)
    box = op.Slice(mask, low, high + 1, op.Constant(value_ints=[0, 1, 2]))
    inside = op.Cast(flat(box), to=INT32)
    own = op.Cast(op.CumSum(inside, op.Constant(value_int=0)) * inside, to=INT64)
    places = flat(op.NonZero(inside))
    numbers = op.Cast(components(own, places, op.Shape(box)), to=INT64)
    none = op.CastLike(op.ConstantOfShape(op.Shape(numbers)), voxel_ml)
    voxels = op.ScatterElements(none, numbers, none + 1.0, axis=0, reduction="add")
    kept = op.And(numbers > 0, op.Gather(voxels * voxel_ml, numbers) >= smallest_ml)
    found = op.Reshape(op.Gather(op.Cast(kept, to=INT32), own), op.Shape(box))
    return op.Pad(found, op.Concat(low, op.Shape(mask) - high - 1, axis=0)) > 0
