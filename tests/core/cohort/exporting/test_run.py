"""An export is complete or does not exist."""

from __future__ import annotations

import pytest

from strokereg.core.cohort.exporting import ExportFormat, monai
from strokereg.core.cohort.exporting.choose import ExportSettings
from strokereg.core.cohort.exporting.run import export_data
from strokereg.registry.errors import InputError


def test_cut_short_nothing_is_there_and_nothing_is_overwritten(phantom, tmp_path, monkeypatch):
    out, settings, seen = tmp_path / "out", ExportSettings(ExportFormat.MONAI), []

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(monai, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export_data(phantom, out, settings)
    assert list(tmp_path.iterdir()) == []
    out.mkdir()
    done = export_data(phantom, out, settings, on_case=lambda *counts: seen.append(counts))
    assert (seen[0], seen[-1]) == ((0, 3), (3, 3))
    assert done.counts == {"train": 3, "val": 0, "test": 0}
    assert list(tmp_path.iterdir()) == [out]
    with pytest.raises(InputError, match="exists already and is not overwritten; give a new folder"):
        export_data(phantom, out, settings)


@pytest.mark.parametrize(
    ("form", "place", "fault"),
    [
        (ExportFormat.MONAI, "{cohort}/out", "lies in the cohort .*, which is never changed"),
        (ExportFormat.NNUNET, "{tmp}/out", "nnU-Net needs a folder named"),
        (ExportFormat.BIDS, "{cohort}/README.txt/out", "lies in the cohort"),
        (ExportFormat.BIDS, "{tmp}/file/out", "no folder can be made there"),
    ],
)
def test_a_wrong_place_is_refused(phantom, tmp_path, form, place, fault):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=fault):
        export_data(phantom, place.format(cohort=phantom, tmp=tmp_path), ExportSettings(form))
