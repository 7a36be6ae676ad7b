"""Export cohorts in the formats of other tools: choose and check the cases, then write them."""

from enum import StrEnum


class ExportFormat(StrEnum):
    """What `strokereg data export` writes."""

    NNUNET = "nnunet"
    BIDS = "bids"
    MONAI = "monai"
