import numpy as np
import pytest

from strokereg.core.cohort.labels import TISSUES
from strokereg.core.scan.grid import foreground
from strokereg.core.simulate.anatomy import CSF, PARENCHYMA, VENTRICLE, load_anatomy
from strokereg.core.simulate.lesions import load_lesion
from strokereg.core.simulate.subject import simulate_subject


@pytest.fixture(scope="module")
def subjects():
    """Eight subjects on a 3 mm grid, their lesions of 1 to 60 ml."""
    volumes = (1.0, 2.0, 4.0, 8.0, 12.0, 20.0, 35.0, 60.0)
    return [
        simulate_subject(np.random.default_rng([9, i]), load_anatomy(None), volume, (75, 75, 49), 3.0)
        for i, volume in enumerate(volumes)
    ]


def test_parts_fit_together(subjects):
    for subject in subjects:
        assert np.array_equal(subject.dseg == TISSUES.lesion, subject.lesion)
        outside = subject.dseg == 0
        assert not subject.dwi[outside].any()
        assert not subject.adc[outside].any()
        assert (subject.dwi[~outside] > 0).all()
        assert (subject.adc[~outside] > 0).all()
        assert not (subject.second_reader & (outside | np.isin(subject.dseg, (CSF, VENTRICLE)))).any()
        assert subject.dwi.dtype == np.int16


def test_lesion_contrast_is_that_of_real_scans(subjects):
    """Medians as in real cases; single lesions are up to two weeks old."""
    facts = [subject.facts() for subject in subjects]
    assert 1.5 < np.median([f["dwi_ratio"] for f in facts]) < 2.0
    assert 0.42 < np.median([f["adc_ratio"] for f in facts]) < 0.68
    assert all(0.95 < f["dwi_ratio"] < 3.5 for f in facts)
    assert all(f["adc_ratio"] < 1.0 for f in facts)


def test_readers_differ_as_readers_do(subjects):
    dice = [subject.facts()["reader_dice"] for subject in subjects]
    assert 0.65 < np.mean(dice) < 0.92
    assert max(dice) < 1


def test_brain_histogram_is_that_of_a_trace_image(subjects):
    """Percentiles over the median; the real case of ISLES'22 has 0.28, 0.83, 1.16, 1.47, 1.82."""
    found = []
    for subject in subjects:
        brain = subject.dwi[subject.dseg > 0]
        found.append(np.percentile(brain, (5, 25, 75, 95, 99)) / np.median(brain))
    low, quarter, three, high, top = np.median(found, axis=0)
    assert 0.2 < low < 0.6
    assert 0.7 < quarter < 0.92
    assert 1.08 < three < 1.28
    assert 1.25 < high < 1.7
    assert 1.5 < top < 2.4


def test_fluid_is_dark_and_diffuses_freely(subjects):
    for subject in subjects:
        ventricle = subject.dseg == VENTRICLE
        tissue = np.isin(subject.dseg, PARENCHYMA)
        assert np.median(subject.dwi[ventricle]) < 0.6 * np.median(subject.dwi[tissue])
        assert np.median(subject.adc[ventricle]) > 1.5
        assert 0.6 < np.median(subject.adc[tissue]) < 1.0


@pytest.mark.slow
def test_histogram_beside_the_real_case(real_data):
    """Simulated from a real head and a real lesion, the image's histogram lies near the real scan's."""
    import nibabel as nib

    real = np.asarray(nib.load(next((real_data / "isles22").glob("rawdata/*/*/*_dwi.nii.gz"))).dataobj)
    anatomy = load_anatomy(sorted((real_data / "synthseg" / "label_maps").glob("*.nii.gz"))[1])
    lesions = sorted((real_data / "soop" / "lesions_mni").glob("*.nii.gz"))[:3]
    shares = (5, 25, 50, 75, 95, 99)
    simulated = []
    for i, path in enumerate(lesions):
        dwi = simulate_subject(np.random.default_rng(i), anatomy, load_lesion(path)).dwi
        simulated.append(np.percentile(dwi[dwi > 0], shares) / np.median(dwi[dwi > 0]))
    truth = real[foreground(real)]
    truth = np.percentile(truth, shares) / np.median(truth)
    assert np.abs(np.median(simulated, axis=0) - truth).max() < 0.35


def test_a_scan_with_its_skull_shows_the_same_brain_and_what_lies_around_it():
    plain, skull = (
        simulate_subject(np.random.default_rng([9, 3]), load_anatomy(None), 8.0, (75, 75, 49), 3.0, skull=skull)
        for skull in (False, True)
    )
    assert np.array_equal(plain.dseg, skull.dseg)
    brain = plain.dseg > 0
    assert skull.dwi[~brain].any()
    assert np.percentile(skull.dwi[~brain], 90) < 0.6 * np.median(skull.dwi[brain])
