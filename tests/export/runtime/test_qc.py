"""Pictures for quality control: the slices with most lesion, in axial view, with an outline that can be seen."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from strokereg.core.scan.nifti import Volume
from strokereg.core.scan.pictures import CALLED, Sheet
from strokereg.core.scan.view import Convention
from strokereg.export.runtime.qc import _slices, draw_mask, draw_synthesis

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
WARNING = (138, 59, 0)


@pytest.fixture
def head():
    """A brain with a lesion on the right side."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (30, 34, 22)), indexing="ij")
    brain = x**2 + y**2 + z**2 < 0.8
    lesion = (x - 0.3) ** 2 + y**2 + z**2 < 0.05
    return np.where(brain, 100.0, 0.0).astype(np.float32), lesion


def text(**changes) -> Sheet:
    return Sheet(**{"title": "sub-01_dwi.nii.gz: 1.00 ml in 1 lesion", "rows": (), **changes})


def seen(path, colour) -> np.ndarray:
    with Image.open(path) as picture:
        return (np.asarray(picture.convert("RGB")) == colour).all(axis=-1)


def draw(path, scan, mask, affine=AFFINE, **changes) -> Path:
    return draw_mask(path, Volume(scan, affine, Path("sub-01_dwi.nii.gz")), mask, text(**changes))


def test_a_mask_is_outlined_the_same_however_the_scan_is_stored(head, tmp_path):
    scan, lesion = head
    plain = draw(tmp_path / "a.png", scan, lesion)
    turned = draw(tmp_path / "b.png", scan.transpose(2, 0, 1), lesion.transpose(2, 0, 1), AFFINE[:, [2, 0, 1, 3]])
    assert plain.read_bytes() == turned.read_bytes()
    legend = seen(draw(tmp_path / "c.png", scan, lesion & False), CALLED).sum()
    assert seen(plain, CALLED).sum() > 6 * 2 * 4 * 20 + legend  # six outlines two pixels wide, around big lesions


@pytest.mark.parametrize("convention", list(Convention))
def test_the_side_of_the_lesion_is_the_side_of_its_letter(head, tmp_path, convention, monkeypatch):
    drawn = []
    monkeypatch.setattr("strokereg.export.runtime.qc.write_sheet", lambda sheet, path: drawn.append(sheet))
    draw(tmp_path / "a.png", *head, convention=convention)
    (sheet,) = drawn
    assert sheet.title == "sub-01_dwi.nii.gz: 1.00 ml in 1 lesion"
    assert [key.name for key in sheet.legend] == ["lesion found by the model"]
    for cell in sheet.rows[1].images:
        columns = np.flatnonzero(cell.mask.any(axis=0))
        half = 0 if columns.mean() < cell.mask.shape[1] / 2 else 1
        assert sheet.convention.sides[half] == "R"
        assert cell.ground.shape[0] >= 200  # large enough to look at


def test_a_warning_is_written_where_there_is_one(head, tmp_path):
    assert seen(draw(tmp_path / "a.png", *head, warning="Trained on simulated images"), WARNING).any()
    assert not seen(draw(tmp_path / "b.png", *head), WARNING).any()


def test_a_synthesis_shows_labels_above_the_image(head, tmp_path):
    scan, lesion = head
    labels = np.where(lesion, 2, scan > 0).astype(np.float32)
    names = ("background", "brain", "lesion")
    volume = Volume(labels, np.eye(4), Path("sub-01_dseg.nii.gz"))
    with Image.open(draw_synthesis(tmp_path / "a.png", volume, names, scan, text())) as picture:
        pixels = np.asarray(picture)
    assert pixels.ndim == 3
    assert pixels.std() > 10


def test_slices_are_those_with_most_lesion_or_spread_over_the_brain():
    amount = np.zeros(20, int)
    brain = np.arange(20) >= 5
    assert len(_slices(amount, brain)) == 6
    assert min(_slices(amount, brain)) > 5
    amount[[3, 9]] = 4, 2
    assert _slices(amount, brain) == [3, 9]
