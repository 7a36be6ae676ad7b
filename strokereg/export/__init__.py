"""Export trained runs to files that run without their training code.

`run.export` writes a file, `runtime.segmenter.load` opens it. The runtime never imports torch.
"""
