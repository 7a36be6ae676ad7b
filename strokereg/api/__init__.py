"""The Python face: each command in a line. The command line is a thin skin over these.

Everything heavy is imported inside the functions, so that `strokereg.load` never meets torch.
"""

from strokereg.api.cohorts import label, prepare
from strokereg.api.deploy import check_export, export, load, read_bundle
from strokereg.api.study import compare, study_settings
from strokereg.api.training import train

__all__ = ["check_export", "compare", "export", "label", "load", "prepare", "read_bundle", "study_settings", "train"]
