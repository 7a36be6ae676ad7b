"""Every synthetic database is looked at."""

from __future__ import annotations


def test_a_study_has_it_beside_every_gain(small_study):
    """A mixed case is its host nearly everywhere; a random contrast shares no more than the outline with it."""
    by_model = {quality.model: quality for quality in small_study.results.quality}
    assert set(by_model) == {"random-contrast", "carvemix"}
    mixed, painted = by_model["carvemix"], by_model["random-contrast"]
    assert mixed.memorisation.detects_copies
    assert mixed.memorisation.pixels.near > 0.8
    assert painted.memorisation.features.near < 0.5 < mixed.memorisation.features.near
    assert mixed.image_quality is None
    assert 0 < painted.image_quality.ssim.value < 1
    assert painted.true_contrast.value > 1.2
    page = small_study.report.read_text()
    assert "of the synthetic images are closer to a training image" in page
    assert 'id="quality"' in page
    assert (small_study.json.parent / "table.tex").is_file()
