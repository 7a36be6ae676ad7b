"""A trained run → one file that a clinical engineer can use without its training code.

`bundle.export_model` writes, `runtime.load` reads. Only `graph`, `parity`, `bundle` and the writers import torch.
"""
