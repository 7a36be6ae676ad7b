"""The report of a study: one self-contained HTML file."""

from strokereg.core.report.losses import History
from strokereg.core.report.page import write_report
from strokereg.core.report.viewer import ViewerScan
from strokereg.core.scan.pictures import (
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

__all__ = [
    "CALLED",
    "TRUTH",
    "History",
    "Outlined",
    "Picture",
    "Sheet",
    "SheetRow",
    "ViewerScan",
    "label_colours",
    "outline",
    "radiological",
    "window",
    "write_report",
]
