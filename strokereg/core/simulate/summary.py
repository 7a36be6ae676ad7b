"""A simulated cohort in a few numbers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np


def summarise(cohort: Path) -> dict[str, Any]:
    """Read `participants.tsv` of a simulated cohort.

    Returns:
        cases; median lesion volume in ml; medians of the lesion's mean DWI and ADC over the rest of the brain's;
        mean Dice of the two readers; path.
    """
    with (cohort / "participants.tsv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name]) for row in rows])

    return {
        "cases": len(rows),
        "median_lesion_ml": round(float(np.median(column("lesion_ml"))), 3),
        "median_dwi_ratio": round(float(np.median(column("dwi_ratio"))), 3),
        "median_adc_ratio": round(float(np.median(column("adc_ratio"))), 3),
        "mean_reader_dice": round(float(column("reader_dice").mean()), 3),
        "path": str(cohort),
    }
