"""The built-in bundles are what their specs say."""

from __future__ import annotations

from pathlib import Path

import pytest

from strokereg.export.metadata import KEY, parse_bundle
from strokereg.export.runtime.onnx_header import read_header
from strokereg.registry.catalogue import bundles
from strokereg.registry.installed import canonical

OURS = [entry.spec for entry in bundles().entries if canonical(entry.distribution) == "strokereg"]
MOST_BYTES = 5_000_000  # the wheel stays below 15 MB


@pytest.mark.parametrize("spec", OURS, ids=lambda spec: spec.name)
def test_a_bundle_is_small_and_trained_on_simulated_scans(spec):
    path = Path(spec.file)
    assert path.stat().st_size < MOST_BYTES
    bundle = parse_bundle(read_header(path).metadata[KEY], path)
    assert bundle.channels == spec.contrasts
    assert bundle.role == spec.task
    assert bundle.training.simulated is True
    assert bundle.parity.holds or bundle.gate.holds
    assert bundle.gate is None or not bundle.gate.forced


def test_the_card_names_every_bundle():
    assert "sim-dwi-adc" in {spec.name for spec in OURS}
    for spec in OURS:
        assert f"`{spec.name}`" in Path(spec.card).read_text(encoding="utf-8")
