"""The metadata of exported files and its published schema."""

import json
from pathlib import Path

import pytest

from strokereg.core.scan.grid import Preparation
from strokereg.core.scan.postprocess import Postprocessing
from strokereg.export.metadata import Bundle, Gate, Parity, Training, parse_bundle
from strokereg.registry.errors import InputError

SCHEMA = Path(__file__).parents[2] / "docs" / "bundle.schema.json"


@pytest.fixture
def bundle() -> Bundle:
    return Bundle(
        role="segmenter",
        architecture="unet",
        distribution="strokereg",
        version="0.1.0",
        dims=2,
        size=(64, 48),
        inputs={"image": "raw", "median": "of the brain"},
        output={"probability": "of lesion"},
        channels=("dwi",),
        labels=("background", "white", "lesion"),
        preparation=Preparation(spacing=(2.0, 2.0, 2.0)),
        postprocessing=Postprocessing(threshold=0.35, smallest_ml=0.1, flips=True),
        training=Training(cohort="c", simulated=True),
        parity=Parity(largest_difference=1e-6, agreeing_voxels=1.0, cases=1, shapes=((1, 1, 16, 16),)),
        versions={"strokereg": "0.1.0"},
        licence="Apache-2.0",
    )


def test_published_schema_is_the_schema():
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == Bundle.model_json_schema()


def test_text_and_back(bundle):
    assert parse_bundle(bundle.to_json(), "x.onnx") == bundle
    assert "Not a medical device" in bundle.intended_use


@pytest.mark.parametrize("text", [None, ""])
def test_a_file_without_metadata_is_refused(text):
    with pytest.raises(InputError, match=r"x\.onnx: holds no strokereg metadata"):
        parse_bundle(text, "x.onnx")


def test_a_newer_schema_asks_for_an_update(bundle):
    text = json.dumps({**bundle.model_dump(mode="json"), "schema_version": 5, "new": 1})
    with pytest.raises(InputError, match="schema version 5, this strokereg reads up to 4; update strokereg"):
        parse_bundle(text, "x.onnx")


def test_a_file_of_schema_version_1_is_read_as_it_was_meant(bundle):
    content = bundle.model_dump(mode="json") | {
        "schema_version": 1,
        "postprocessing": {"threshold": 0.3, "smallest_ml": 0.1},
    }
    del content["size"]
    before = parse_bundle(json.dumps(content), "x.onnx")
    assert before.size == ()  # a scan goes in whole
    assert not before.postprocessing.flips


@pytest.mark.parametrize(
    ("change", "reason"), [({"dims": 5}, "dims"), ({"preparation": None}, "preparation"), ({"extra": 1}, "extra")]
)
def test_damaged_metadata_names_the_field(bundle, change, reason):
    with pytest.raises(InputError, match=rf"x.onnx: its strokereg metadata is damaged \({reason}"):
        parse_bundle(json.dumps({**bundle.model_dump(mode="json"), **change}), "x.onnx")


@pytest.mark.parametrize("text", ["{", "[1]", "7"])
def test_metadata_that_is_no_object_is_refused(text):
    with pytest.raises(InputError, match="is damaged"):
        parse_bundle(text, "x.onnx")


def test_parity_in_words():
    parity = Parity(largest_difference=1e-6, agreeing_voxels=1.0, cases=0, shapes=((1, 1, 16, 16),))
    assert str(parity) == "largest difference 1e-06, masks agree on 100.0000 % of voxels, on 1 size"
    assert str(parity.model_copy(update={"cases": 2, "shapes": parity.shapes * 3})).endswith("on 2 cases and 3 sizes")
    gate = Gate(measure="mean Dice", full=0.8, reduced=0.79, loss=0.01, allowed=0.005, cases=1, forced=True)
    assert str(gate) == "mean Dice 0.8000 → 0.7900 on 1 case, forced"
