"""The report of a study: one self-contained HTML file."""

from strokereg.core.report.losses import History
from strokereg.core.report.page import write_report
from strokereg.core.report.viewer import ViewerScan

__all__ = ["History", "ViewerScan", "write_report"]
