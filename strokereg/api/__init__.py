"""The Python face: each command in a line. The command line is a thin skin over these.

Everything heavy is imported inside the functions, so that `strokereg.load` never meets torch.
"""

from strokereg.api.cohorts import label, prepare
from strokereg.api.conformance import check
from strokereg.api.data import check_data, draw_data, import_data, read_folder, read_source
from strokereg.api.deploy import check_export, export, load, read_bundle, segment, synthesize
from strokereg.api.scaffold import new_plugin
from strokereg.api.study import compare, study_settings
from strokereg.api.timing import bench
from strokereg.api.training import train

__all__ = [
    "bench",
    "check",
    "check_data",
    "check_export",
    "compare",
    "draw_data",
    "export",
    "import_data",
    "label",
    "load",
    "new_plugin",
    "prepare",
    "read_bundle",
    "read_folder",
    "read_source",
    "segment",
    "study_settings",
    "synthesize",
    "train",
]
