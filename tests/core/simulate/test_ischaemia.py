import numpy as np
import pytest

from strokereg.core.simulate.ischaemia import Ischaemia, draw_ischaemia
from strokereg.core.simulate.physics import Sequence


@pytest.fixture(scope="module")
def drawn():
    return [draw_ischaemia(np.random.default_rng(seed), Sequence()) for seed in range(400)]


def median(drawn, name, first, last):
    return np.median([getattr(lesion, name) for lesion in drawn if first <= lesion.hours < last])


def test_diffusion_falls_then_returns_to_normal_while_t2_rises(drawn):
    assert median(drawn, "adc", 12, 96) < 0.65
    assert median(drawn, "adc", 12, 96) < median(drawn, "adc", 120, 200) < median(drawn, "adc", 270, 337)
    assert median(drawn, "adc", 270, 337) > 0.95
    assert median(drawn, "t2", 3, 6) < 1.1 < 1.25 < median(drawn, "t2", 96, 337)


def test_some_bright_lesions_have_a_normal_adc(drawn):
    normal = [lesion for lesion in drawn if 0.9 < lesion.adc < 1.2]
    assert 0.02 < len(normal) / len(drawn) < 0.25
    assert all(lesion.contrast(Sequence()) >= 1.2 for lesion in normal)


def test_every_lesion_is_visible_on_its_sequence():
    short = Sequence(echo_ms=60.0, b=800.0, tesla=1.5)
    contrasts = [draw_ischaemia(np.random.default_rng(seed), short).contrast(short) for seed in range(100)]
    assert min(contrasts) >= 1.2
    assert np.median(contrasts) < 2.0


def test_contrast_is_that_of_the_physics():
    lesion = Ischaemia(24.0, adc=0.5, t2=1.0, water=1.0)
    assert lesion.contrast(Sequence(b=1000.0)) == pytest.approx(np.exp(0.36))
