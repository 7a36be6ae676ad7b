"""The whole-scan graph: one ONNX file from raw voxels and affine to the lesion mask on the same grid.

Each file writes one step as ONNX functions, in onnxscript, with the same computations in the same precision as the
numpy and scipy of `core`. `assemble` joins them around an exported network.
"""
