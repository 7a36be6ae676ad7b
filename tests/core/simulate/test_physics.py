import numpy as np
import pytest

from strokereg.core.simulate.anatomy import CORTEX, CSF, WHITE
from strokereg.core.simulate.physics import TISSUE, diffusion_map, signal


def test_signal_is_the_stejskal_tanner_formula():
    assert signal(1.0, 90.0, 1.0, echo_ms=90.0, b=1000.0) == pytest.approx(np.exp(-2.0))


def test_halved_adc_brightens_by_its_exponential():
    healthy, with_lesion = (signal(0.7, 76.0, adc, 90.0, 1000.0) for adc in (0.72, 0.36))
    assert with_lesion / healthy == pytest.approx(np.exp(0.36))


def test_diffusion_map_undoes_the_weighting():
    adc = np.array([0.4, 0.8, 2.9])
    plain, weighted = (signal(0.8, 90.0, adc, 90.0, b) for b in (0.0, 1000.0))
    assert diffusion_map(plain, weighted, 1000.0) == pytest.approx(adc)


def test_diffusion_map_of_noise_stays_in_range():
    found = diffusion_map(np.array([0.0, 1.0, 1e-9]), np.array([1.0, 0.0, 0.0]), 1000.0)
    assert found.min() >= 0
    assert found.max() <= 4


def test_trace_dwi_contrasts():
    """Fluid is dark, cortex a little brighter than white matter: what makes a picture a trace DWI."""
    fluid, cortex, white = (signal(t.density, t.t2, t.adc, 90.0, 1000.0) for t in map(TISSUE.get, (CSF, CORTEX, WHITE)))
    assert fluid < 0.5 * white
    assert 1.1 < cortex / white < 1.45
