"""The report of a study: one HTML file that needs nothing else."""

from strokereg.core.report.page import write_report
from strokereg.core.report.pictures import (
    CALLED,
    TRUTH,
    Outlined,
    Picture,
    Sheet,
    SheetRow,
    label_colours,
    outline,
    radiological,
    window,
)
from strokereg.core.report.training import History
from strokereg.core.report.volumes import Volume

__all__ = [
    "CALLED",
    "TRUTH",
    "History",
    "Outlined",
    "Picture",
    "Sheet",
    "SheetRow",
    "Volume",
    "label_colours",
    "outline",
    "radiological",
    "window",
    "write_report",
]
