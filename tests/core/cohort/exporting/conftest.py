"""One mixed export a format: two training cases of the simulated cohort, and the three of another."""

from __future__ import annotations

from pathlib import Path

import pytest

from strokereg.core.cohort.exporting import ExportFormat
from strokereg.core.cohort.exporting.choose import ExportSettings
from strokereg.core.cohort.exporting.run import Exported, export_data


@pytest.fixture(scope="session")
def mixed(small_cohort, phantom, tmp_path_factory) -> dict[ExportFormat, Exported]:
    """Format → what was exported."""
    root = tmp_path_factory.mktemp("exports")
    places: dict[ExportFormat, Path] = {form: root / f"Dataset101_{form}" for form in ExportFormat}
    return {
        form: export_data(small_cohort, out, ExportSettings(form, cases=2), [phantom]) for form, out in places.items()
    }


@pytest.fixture
def added(phantom) -> list[str]:
    """Names of the cases of the other cohort in the exports."""
    return [f"sub-{phantom.name}{number:02}" for number in (1, 2, 3)]
