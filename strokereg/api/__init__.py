"""The Python face: each command in a line. The command line is a thin skin over these.

Everything heavy is imported inside the functions, so that `strokereg.load` never meets torch.
"""

from strokereg.api.deploy import check_export, export, load, read_bundle, segment, synthesize
from strokereg.api.study import compare, study_settings
from strokereg.api.timing import bench
from strokereg.api.training import train

__all__ = [
    "bench",
    "check_export",
    "compare",
    "export",
    "load",
    "read_bundle",
    "segment",
    "study_settings",
    "synthesize",
    "train",
]
