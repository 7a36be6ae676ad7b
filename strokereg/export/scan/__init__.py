"""A whole scan's way in one ONNX graph: raw voxels and affine → lesion mask on the same grid, nothing left to a client.

Each file writes one stretch of that way as ONNX functions, in onnxscript, after the numpy and scipy of `core`: the same
sums in the same precision. `assemble` joins them around an exported network.
"""
