"""The Python face: each command in a line. The command line is a thin skin over these.

Everything heavy is imported inside the functions, so that `strokereg.load` never meets torch.
"""

from strokereg.api.conformance import check
from strokereg.api.deploy import check_export, export, load, read_bundle
from strokereg.api.scaffold import new_plugin
from strokereg.api.study import compare, study_settings
from strokereg.api.training import train

__all__ = ["check", "check_export", "compare", "export", "load", "new_plugin", "read_bundle", "study_settings", "train"]
