"""Each planted fault fails exactly its own check, and a sound architecture passes all."""

from __future__ import annotations

import pytest

from strokereg.testing import CHECKS, Subject, Suite

# class → the one check that it fails. Those in TRAINING have the forward of Sound, which is exported to ONNX once.
TRAINING = {
    "NoMoves": "builds",
    "NoDefault": "builds-with-defaults",
    "Orphan": "one-player-a-parameter",
    "WrongName": "moves-name-players",
    "LossOfEachVoxel": "losses-are-finite-scalars",
    "Meddler": "moves-change-their-player-only",
    "OwnDice": "one-seed-one-network",
    "Forgetful": "resumes-exactly",
    "WrongSign": "one-batch-is-learnt",
    "NotInBfloat": "bf16",
    "OneContrast": "two-channels",
    "DeafToNoise": "noise-counts",
    "StrayConstant": "stays-on-its-device",
    "NumpyOfTheLoss": "stays-on-its-device",
    "OwnGenerator": "stays-on-its-device",
    "NumberOfTheHost": "stays-on-its-device",
    "DoubleLoss": "stays-on-its-device",
    "OnTheCpu": "stays-on-its-device",
}
FORWARD = {
    "Sound": None,
    "NeedsFour": None,
    "TooLoud": "shapes-and-ranges",
    "LiveDropout": "eval-repeats",
    "BatchMean": "rows-are-independent",
    "EvenOnly": "odd-sizes",
    "HiddenScale": "weights-round-trip",
    "Mirrored": "label-edits-show",
    "Branching": "onnx-as-claimed",
}
MIXERS = {
    "SoundMixer": None,
    "WideMixer": "mixes-on-the-hosts-grid",
    "SameShapeMixer": "takes-other-shapes",
    "WritingMixer": "leaves-its-cases-alone",
    "LoadedDice": "the-generator-decides",
}


def failed(checks, *without):
    outcomes = [checks.outcome(check) for check in checks.checks if check.name not in without]
    return {outcome.check: outcome.message for outcome in outcomes if outcome.status == "failed"}


@pytest.mark.parametrize(("name", "check"), [*TRAINING.items(), *FORWARD.items()])
def test_a_fault_trips_its_own_check_only(suite, name, check):
    tried = suite(name, stochastic=name == "DeafToNoise", options={"width": 8} if name == "NoDefault" else None)
    trips = failed(tried, *(["onnx-as-claimed"] if name in TRAINING else []))
    assert set(trips) == ({check} if check else set()), trips
    for message in trips.values():
        assert message.startswith(f"acme, 2D: {check}. Rule: {CHECKS[check].rule}. Observed: ")
        assert message.endswith(f"Fix: {CHECKS[check].fix}.")


@pytest.mark.parametrize(("name", "check"), MIXERS.items())
def test_a_fault_of_a_mixer(suite, name, check):
    assert set(failed(suite(name, "mixer"))) == ({check} if check else set())


def test_a_range_is_kept_by_whatever_weights(suite):
    """The first ones are small, so an image without a bound looks right before it is trained."""
    message = suite("Unbounded").outcome(CHECKS["shapes-and-ranges"]).message
    assert "Observed: with weights 10 times as large, intensities reach" in message


def test_a_segmenter_of_two_classes(suite):
    [(check, message)] = failed(suite("TwoClasses", "segmenter")).items()
    assert check == "shapes-and-ranges"
    assert "the shape is (3, 2, 16, 16) instead of (3, 1, 16, 16)" in message


def test_a_claim_not_to_export_is_tried(suite):
    tried = suite("Sound", torchscript=False)
    assert failed(tried, "onnx-as-claimed")["torchscript-as-claimed"].count("torchscript=False, but the export passes")
    tried = suite("Branching", onnx=False)
    assert failed(tried) == {}


def test_the_device_check_reports_what_waits(suite):
    check = CHECKS["stays-on-its-device"]
    assert suite("Sound").outcome(check).message == "a training step never waits for the device"
    waiting = suite("Waiting").outcome(check).message
    assert waiting == "a training step waits 3 times for the device: item 2, copies from the CPU 1"


def test_the_device_check_refuses_a_network_without_a_device(suite):
    outcome = suite("NoTensors").outcome(CHECKS["stays-on-its-device"])
    assert "the network has no parameter and no buffer" in outcome.message


def test_the_device_check_is_skipped_where_torch_cannot_pretend(suite, monkeypatch):
    monkeypatch.setattr("strokereg.testing.device_checks._reason", lambda: "torch 9 cannot pretend a GPU")
    outcome = suite("StrayConstant").outcome(CHECKS["stays-on-its-device"])
    assert (outcome.status, outcome.message) == ("skipped", "torch 9 cannot pretend a GPU")


def test_the_device_check_is_skipped_where_a_size_depends_on_values(suite):
    outcome = suite("CountsValues").outcome(CHECKS["stays-on-its-device"])
    assert outcome.status == "skipped"
    assert "the size of its output depends on values" in outcome.message


def test_every_check_has_a_fault(catalogue_of_heavy_hooks):
    tripped = {*TRAINING.values(), *FORWARD.values(), *MIXERS.values(), "torchscript-as-claimed"} - {None}
    entry = catalogue_of_heavy_hooks.find("acme-heavy")
    trips = failed(Suite(Subject(entry, 2)), *(name for name in CHECKS if name != "spec-is-lazy"))
    assert "loading the hooks of acme-heavy imports torch" in trips["spec-is-lazy"]
    assert tripped | {"spec-is-lazy"} == set(CHECKS)


@pytest.fixture
def catalogue_of_heavy_hooks(faults, monkeypatch):
    from strokereg.registry.catalogue import Catalogue

    monkeypatch.syspath_prepend(faults / "plugins" / "heavy_hooks")
    return Catalogue()
