"""The report of a study: one HTML file that needs nothing else."""

from strokereg.core.report.page import write_report
from strokereg.core.report.pictures import CALLED, TRUTH, Sheet, SheetRow, label_colours, outline, radiological, window
from strokereg.core.report.training import History

__all__ = [
    "CALLED",
    "TRUTH",
    "History",
    "Sheet",
    "SheetRow",
    "label_colours",
    "outline",
    "radiological",
    "window",
    "write_report",
]
