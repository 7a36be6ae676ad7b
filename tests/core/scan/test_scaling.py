"""Intensities before a network: by the brain's own voxels, whatever lies around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from strokereg.core.cohort.case import read_case
from strokereg.core.cohort.open import read_folder
from strokereg.core.scan.grid import Preparation, foreground
from strokereg.core.scan.nifti import Volume
from strokereg.core.scan.scaling import measure, normalise, signal
from strokereg.core.train.prepared import prepare_image
from strokereg.registry.errors import InputError

SCALINGS = ("median", "zscore", "percentile")


@pytest.fixture(scope="module")
def scan(real_data) -> Volume:
    return read_case(read_folder(real_data / "isles22").cases[0]).reference


def test_the_default_preparation_keeps_its_serialised_form():
    """It is part of the keys under which prepared cases and finished runs are found."""
    assert list(Preparation().model_dump()) == ["channels", "spacing", "size", "multiple", "ceiling"]
    told = Preparation(scaling="zscore", interpolation="cubic").model_dump(mode="json")
    assert (told["interpolation"], told["scaling"], told["deviations"]) == ("cubic", "zscore", [-4.0, 8.0])
    assert "percentiles" not in told
    assert Preparation.model_validate(told) == Preparation(scaling="zscore", interpolation="cubic")


@pytest.mark.parametrize("scaling", SCALINGS)
def test_nothing_but_the_brain_counts(scan, scaling):
    how = Preparation(scaling=scaling)
    padded = Volume(np.pad(scan.data, 40), scan.affine, scan.path)
    np.testing.assert_array_equal(measure(padded, how), measure(scan, how))
    louder = Volume(scan.data * 7, scan.affine, scan.path)
    np.testing.assert_allclose(measure(louder, how), 7 * measure(scan, how), rtol=1e-5)
    seen = normalise(scan.data, measure(scan, how), how)
    assert (seen.min(), seen.dtype) == (-1.0, np.float32)
    assert (seen[scan.data <= 0] == -1.0).all()
    np.testing.assert_allclose(normalise(louder.data, measure(louder, how), how), seen, atol=1e-5)


def test_each_scaling_does_what_it_says(scan):
    brain = scan.data[foreground(scan.data)].astype(np.float64)
    median = np.median(brain)
    by_median = Preparation()
    seen = normalise(np.array([median, 4 * median, 9 * median]), measure(scan, by_median), by_median)
    np.testing.assert_allclose(seen, [-0.5, 1, 1])
    spread = 1.4826 * np.median(np.abs(brain - median))
    by_z = Preparation(scaling="zscore")
    seen = normalise(median + spread * np.array([0.0, 2, 8, 20]), measure(scan, by_z), by_z)
    np.testing.assert_allclose(seen, [-1 / 3, 0, 1, 1], atol=1e-5)
    by_rank = Preparation(scaling="percentile", percentiles=(5, 95))
    seen = normalise(np.percentile(brain, [1, 5, 95, 99]), measure(scan, by_rank), by_rank)
    np.testing.assert_allclose(seen, [-1, -1, 1, 1], atol=1e-5)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_synthetic_image_is_converted_to_intensities(scan, scaling):
    how = Preparation(scaling=scaling)
    brain = foreground(scan.data)
    synthetic = signal(normalise(scan.data, measure(scan, how), how), brain, how)
    assert np.median(synthetic[brain]) == pytest.approx(100, abs=0.5)
    assert (synthetic[scan.data <= 0] == 0).all()


def test_cubic_keeps_more_of_the_image_and_adds_nothing_around_it(real_data):
    case = read_case(read_folder(real_data / "isles22").cases[0])
    linear, frame = prepare_image(case, Preparation(spacing=(1.5,) * 3))
    cubic, _ = prepare_image(case, Preparation(spacing=(1.5,) * 3, interpolation="cubic"))
    assert cubic.shape == linear.shape
    assert (cubic[0][frame.image(case.reference.data) == 0] == -1).all()
    assert not np.array_equal(cubic, linear)
    inside = foreground(case.reference.data)
    truth = case.reference.data[inside]

    def lost(interpolation):
        return np.abs(frame.back(frame.image(case.reference.data, interpolation))[inside] - truth).mean()

    assert lost("cubic") < 0.8 * lost("linear")
    same = Preparation(spacing=(2.0,) * 3, interpolation="cubic")
    np.testing.assert_allclose(
        prepare_image(case, same)[0], prepare_image(case, Preparation(spacing=(2.0,) * 3))[0], atol=1e-4
    )


def test_a_brain_of_one_intensity_has_no_spread():
    flat = Volume(np.pad(np.full((6, 6, 6), 100.0, np.float32), 2), np.eye(4), Path("flat.nii"))
    assert measure(flat, Preparation()) == 100
    for scaling in ("zscore", "percentile"):
        with pytest.raises(InputError, match=rf"flat.nii: its brain has one intensity .* by {scaling}; choose"):
            measure(flat, Preparation(scaling=scaling))


@pytest.mark.parametrize("wrong", [{"deviations": (3, -3)}, {"percentiles": (50, 50)}, {"percentiles": (1, 101)}])
def test_limits_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Preparation(**wrong)
