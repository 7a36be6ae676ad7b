"""The built-in bundles are what their specs say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from strokereg.core.storage.cache import sha256_of
from strokereg.core.synthesis.simulated import SimulatedSource
from strokereg.export.check import check_export
from strokereg.export.files import read_bundle
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


def test_the_card_has_the_digest_of_each_file():
    for spec in OURS:
        assert sha256_of(Path(spec.file)) in Path(spec.card).read_text(encoding="utf-8")


@pytest.mark.parametrize("spec", OURS, ids=lambda spec: spec.name)
def test_an_export_check_holds(spec):
    found = check_export(Path(spec.file))
    assert found.parity.holds


@pytest.mark.slow
def test_the_recipe_runs_in_miniature(tmp_path):
    path = Path(__file__).parents[2] / "tools" / "make_bundles.py"
    spec = importlib.util.spec_from_file_location("make_bundles", path)
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    source = SimulatedSource(cases=5, shape=(38, 38, 24), spacing=6.0, window=3, steps_per_case=2)
    recipe.make(source, tmp_path / "runs", tmp_path / "home", steps=2, batch_size=2)
    assert sorted(one.stem for one in (tmp_path / "home").iterdir()) == sorted(one.name for one in OURS)
    for one in OURS:
        made, shipped = read_bundle(tmp_path / "home" / f"{one.name}.onnx"), read_bundle(one.file)
        for name in ("architecture", "role", "dims", "channels", "labels", "precision", "inputs"):
            assert getattr(made, name) == getattr(shipped, name), name
        assert made.postprocessing.threshold == shipped.postprocessing.threshold
        assert made.training.simulated is True
        assert made.gate.holds
