"""The domain of the functions, and the helpers that they share."""

# Tensors have no annotations: onnxscript takes a parameter without one as a tensor of any type.
from onnxscript import opset20 as op
from onnxscript import script
from onnxscript.values import Opset

DOMAIN = "strokereg"
OURS = Opset(DOMAIN, 1)

# Numbers of onnx.TensorProto, which onnxscript needs as plain names.
INT32, INT64, FLOAT, DOUBLE, UINT8 = 6, 7, 1, 11, 2


@script(OURS, default_opset=op)
def counted(count):
    """0 … count - 1, int64 [count]."""
    return op.Range(op.CastLike(0, count), count, op.CastLike(1, count))


@script(OURS, default_opset=op)
def column(vector):
    """[n] → [n, 1]."""
    return op.Unsqueeze(vector, op.Constant(value_ints=[1]))


@script(OURS, default_opset=op)
def listed(number):
    """A number → a vector of one."""
    return op.Reshape(number, op.Constant(value_ints=[1]))


@script(OURS, default_opset=op)
def flat(array):
    """All elements in a vector."""
    return op.Reshape(array, op.Constant(value_ints=[-1]))


@script(OURS, default_opset=op)
def element(vector, index):
    """One number out of a vector, as a number without axes."""
    return op.Gather(vector, op.Squeeze(op.CastLike(index, op.Size(vector))))


@script(OURS, default_opset=op)
def extent(inside):
    """First and last place along each axis with anything inside, int64 [3] each; if empty, of the complete axis.

    Args:
        inside: bool [I, J, K].
    """
    marked = op.Cast(inside, to=UINT8)
    i = op.Cast(op.ReduceMax(marked, op.Constant(value_ints=[1, 2]), keepdims=0), to=INT32)
    j = op.Cast(op.ReduceMax(marked, op.Constant(value_ints=[0, 2]), keepdims=0), to=INT32)
    k = op.Cast(op.ReduceMax(marked, op.Constant(value_ints=[0, 1]), keepdims=0), to=INT32)
    low = op.Concat(op.ArgMax(i), op.ArgMax(j), op.ArgMax(k), axis=0)
    last_i, last_j = op.ArgMax(i, select_last_index=1), op.ArgMax(j, select_last_index=1)
    high = op.Concat(last_i, last_j, op.ArgMax(k, select_last_index=1), axis=0)
    return low, high
