"""The Python face: each command in a line. The command line is a thin skin over these.

Everything heavy is imported inside the functions, so that `strokereg.load` never meets torch.
"""

from strokereg.api.conformance import check
from strokereg.api.data import check_data, draw_data, import_data, label, prepare
from strokereg.api.deploy import check_export, export, load, paint, read_bundle, segment
from strokereg.api.scaffold import new_plugin
from strokereg.api.sources import read_folder, read_source
from strokereg.api.study import compare, describe, estimate, read_study, study_settings
from strokereg.api.synthesis import synthesize
from strokereg.api.timing import bench
from strokereg.api.training import train

__all__ = [
    "bench",
    "check",
    "check_data",
    "check_export",
    "compare",
    "describe",
    "draw_data",
    "estimate",
    "export",
    "import_data",
    "label",
    "load",
    "new_plugin",
    "paint",
    "prepare",
    "read_bundle",
    "read_folder",
    "read_source",
    "read_study",
    "segment",
    "study_settings",
    "synthesize",
    "train",
]
