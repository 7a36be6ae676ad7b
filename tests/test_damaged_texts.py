"""Damaged tables, JSON, study files and metadata: reading them works or gives one sentence, never another error."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from strokereg.core.cohort.checks.check import check_data
from strokereg.core.cohort.folder import check_settings, read_makers
from strokereg.core.cohort.labels import LabelTable
from strokereg.core.cohort.open import read_folder
from strokereg.core.cohort.split import Split
from strokereg.core.report.results import Results
from strokereg.core.scan.bvalues import read_bvalues, strongest_volume
from strokereg.core.scan.contrasts import read_sidecar, recognise
from strokereg.core.study.file import describe_study, read_study
from strokereg.core.train.record import Record
from strokereg.export.files import read_bundle
from strokereg.export.metadata import parse_bundle
from strokereg.export.runtime.external_data import check_external_data
from strokereg.export.runtime.onnx_header import read_header
from strokereg.registry.errors import StrokeregError

# The deadline tells a hang from a busy machine.
EXAMPLES = 120
BOUNDED = settings(
    max_examples=EXAMPLES, deadline=timedelta(seconds=30), derandomize=True, suppress_health_check=list(HealthCheck)
)

# What stands in for a part of a text.
PIECES = st.one_of(
    st.sampled_from(
        ['"', "\t", "\n", "\r", ",", "{", "}", "[", "[]", "{}", "\0", "\ufeff", "null", "NaN", "1e999", "-1"]
    ),
    st.sampled_from(["[" * 3_000, "9" * 5_000, '{"a":' * 3_000]),
    st.text(max_size=6),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.just("/etc"), st.just("")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)


@st.composite
def damaged(draw: Any, text: str) -> bytes:
    """A text with one to three pieces replaced or cut away, or in another encoding."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        stop = start + draw(st.sampled_from([0, 1, 5, 40, 10**9]))
        text = text[:start] + draw(PIECES) + text[stop:]
    return text.encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-16", "latin-1"])), "replace")


@st.composite
def changed(draw: Any, content: Any) -> Any:
    """JSON with one value, at any depth, of another kind, or left out."""
    content = json.loads(json.dumps(content))
    place = content
    while isinstance(place, (dict, list)) and place:
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        inside = place[key]
        if not isinstance(inside, (dict, list)) or not inside or draw(st.booleans()):
            if draw(st.integers(0, 4)) == 0:
                del place[key]
            else:
                place[key] = draw(VALUES)
            break
        place = inside
    return draw(VALUES) if draw(st.integers(0, 19)) == 0 else content


def one_sentence(read: Callable[[Path], object], path: Path) -> None:
    sentence = ""
    try:
        read(path)
    except StrokeregError as error:
        sentence = str(error)
    assert "\n" not in sentence
    assert not sentence or len(sentence) > 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("damaged")


TABLE = "index\tname\n0\tbackground\n1\tcsf\n2\twhite\n3\tlesion\n"
SPLIT = "participant_id\tsplit\nsub-01\ttrain\nsub-02\tval\nsub-03\ttest\n"
DESCRIPTION = {
    "Name": "x",
    "BIDSVersion": "1.9.0",
    "GeneratedBy": [{"Name": "strokereg data simulate", "Settings": {}}],
}
DATASET = {"channel_names": {"0": "DWI", "1": "ADC"}, "labels": {"background": 0, "lesion": 1}, "numTraining": 1}


@BOUNDED
@given(st.one_of(damaged(TABLE), damaged(SPLIT)))
def test_tables(folder, content):
    path = folder / "table.tsv"
    path.write_bytes(content)
    one_sentence(LabelTable.read, path)
    one_sentence(Split.read, path)


@BOUNDED
@given(st.one_of(damaged(json.dumps(DESCRIPTION)), changed(DESCRIPTION).map(lambda c: json.dumps(c).encode())))
def test_descriptions(folder, content):
    path = folder / "dataset_description.json"
    path.write_bytes(content)
    one_sentence(lambda path: read_makers(path.parent), path)
    one_sentence(lambda path: check_settings(path, DESCRIPTION, "give another --out"), path)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory, phantom) -> Path:
    """A folder in the layout of nnU-Net."""
    root = tmp_path_factory.mktemp("foreign")
    (root / "imagesTr").mkdir()
    (root / "labelsTr").mkdir()
    scan = (phantom / "sub-01" / "dwi" / "sub-01_dwi.nii.gz").read_bytes()
    for name in ("imagesTr/a_0000", "imagesTr/a_0001", "labelsTr/a"):
        (root / f"{name}.nii.gz").write_bytes(scan)
    return root


@BOUNDED
@given(st.one_of(damaged(json.dumps(DATASET)), changed(DATASET).map(lambda c: json.dumps(c).encode())))
def test_lists_of_channels(foreign, content):
    (foreign / "dataset.json").write_bytes(content)
    one_sentence(read_folder, foreign)


@BOUNDED
@given(damaged("0 1000 1000 1000\n"), damaged('{"Type": "Lesion", "SeriesDescription": "trace"}'))
def test_texts_beside_images(folder, bvalues, sidecar):
    (folder / "scan.bval").write_bytes(bvalues)
    (folder / "scan.json").write_bytes(sidecar)
    image = folder / "scan.nii.gz"
    assert strongest_volume(image) is None or strongest_volume(image) < len(read_bvalues(image))
    assert isinstance(read_sidecar(image), dict)
    found, said_by = recognise(image)
    assert (found is None) == (said_by == "")
    assert said_by in ("", "sidecar")


@BOUNDED
@given(st.one_of(damaged('{"RepetitionTime": 3.1}'), VALUES.map(lambda c: json.dumps(c).encode())))
def test_sidecars_of_images(phantom, content):
    path = phantom / "sub-01" / "dwi" / "sub-01_dwi.json"
    path.write_bytes(content)
    try:
        one_sentence(check_data, phantom)
    finally:
        path.unlink()


STUDY = describe_study(("pix2pix",), preset="smoke")


@BOUNDED
@given(damaged(STUDY))
def test_study_files(folder, content):
    path = folder / "study.toml"
    path.write_bytes(content)
    one_sentence(read_study, path)


@BOUNDED
@given(st.data())
def test_study_files_with_a_value_of_another_kind(folder, data):
    lines = STUDY.splitlines()
    number = data.draw(st.sampled_from([i for i, line in enumerate(lines) if " = " in line]))
    key = lines[number].split(" = ")[0]
    value = data.draw(
        st.sampled_from(["true", "-1", "nan", "inf", '"x"', "[]", "[[1]]", "{}", "{a=1}", "1979-05-27", '""'])
    )
    lines[number] = f"{key} = {value}"
    path = folder / "study.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    one_sentence(read_study, path)


@pytest.fixture(scope="module")
def metadata(exported) -> dict[str, Any]:
    return json.loads(read_bundle(exported["onnx"]).to_json())


@BOUNDED
@given(st.data())
def test_metadata_of_exported_files(metadata, data):
    text = json.dumps(data.draw(changed(metadata))) if data.draw(st.booleans()) else None
    text = text or data.draw(damaged(json.dumps(metadata))).decode("utf-8", "replace")
    one_sentence(lambda path: parse_bundle(text, path), Path("unet.onnx"))


@BOUNDED
@given(where=st.floats(0, 1), what=st.binary(max_size=8), tail=st.booleans(), keep=st.booleans())
def test_bytes_of_exported_files(exported, folder, where, what, tail, keep):
    raw = exported["onnx"].read_bytes()
    # The metadata lie at the end, and most of the rest are weights.
    start = int(where * len(raw)) if not tail else len(raw) - int(where * 4000)
    path = folder / "unet.onnx"
    path.write_bytes(raw[:start] + what + (raw[start + len(what) :] if keep else b""))
    one_sentence(read_header, path)
    one_sentence(read_bundle, path)
    one_sentence(check_external_data, path)


@pytest.fixture(scope="module")
def record(unet_run) -> dict[str, Any]:
    return json.loads((unet_run / "run.json").read_text(encoding="utf-8"))


@BOUNDED
@given(st.data())
def test_records_of_runs_and_results(folder, record, data):
    text = json.dumps(data.draw(changed(record))).encode() if data.draw(st.booleans()) else None
    path = folder / "run.json"
    path.write_bytes(text or data.draw(damaged(json.dumps(record))))
    one_sentence(lambda path: Record.read(path.parent), path)
    one_sentence(Results.read, path)


def test_a_thousand_files_are_tried():
    tests = [name for name, value in globals().items() if getattr(value, "is_hypothesis_test", False)]
    assert len(tests) * EXAMPLES >= 1_000
