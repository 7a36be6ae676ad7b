from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from strokereg.core.report.results import Results, schema
from strokereg.registry.errors import InputError

SCHEMA = Path(__file__).parents[3] / "docs" / "results.schema.json"


def test_written_and_read_again(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path / "results.json")
    assert Results.read(tmp_path / "results.json") == results
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_only_timing_tells_two_equal_studies_apart(build_results: Callable[..., Results], tmp_path: Path) -> None:
    first, second = build_results(test=8, seeds=2), build_results(test=8, seeds=2)
    second.timing = {"total": 1.0}
    texts = []
    for results in (first, second):
        results.write(tmp_path / "results.json")
        content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
        assert content.pop("timing")
        texts.append(json.dumps(content))
    assert texts[0] == texts[1]


def test_results_hold_no_nan(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path / "results.json")

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"), parse_constant=refuse)
    assert content["arms"][0]["summary"]["dice"]["mean"] > 0


@pytest.mark.parametrize("content", ["{", "{}", '{"study": 3, "arms": []}'])
def test_damaged_results_are_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"results\.json: not the results of a study"):
        Results.read(path)


def test_missing_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        Results.read(tmp_path / "none.json")


def test_published_schema_is_true() -> None:
    regenerate = "python -c 'from strokereg.core.report.results import schema; print(schema(), end=\"\")'"
    assert SCHEMA.read_text(encoding="utf-8") == schema(), f"write it anew: {regenerate} > docs/results.schema.json"


def test_changes_name_each_value_that_differs(build_results: Callable[..., Results]) -> None:
    first, second = build_results(test=8, seeds=2), build_results(test=8, seeds=2)
    second.timing, second.provenance.command, second.runs[0].folder = {"total": 1.0}, "other", "segmenter-unet-1"
    assert second.changes(first) == []
    second.study.spacing, second.runs[1].losses["l1"] = (3.0, 3.0, 2.0), 0.072
    del second.synthesis["spade"]["images"]
    assert second.changes(first) == [
        "study.spacing[2]: 2.0, was 3.0",
        "runs[1].losses.l1: 0.072, was 0.071",
        "synthesis.spade.images: missing, was 200.0",
    ]
