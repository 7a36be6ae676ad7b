from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from strokereg.core.report.results import Results
from strokereg.core.report.terminal_table import build_table, print_table, write_csv
from strokereg.core.report.text import RULE


def printed(results: Results, width: int = 120) -> str:
    stream = io.StringIO()
    print_table(results, Console(file=stream, width=width))
    return stream.getvalue()


def test_headroom_comes_first_and_limits_last(results: Results) -> None:
    lines = printed(results, 400).strip().splitlines()
    assert lines[0].startswith("Headroom, clinical only, all 36 cases compared with 10: +")
    assert "Simulated cohort: these are not clinical numbers" in lines[-4]
    assert lines[-3].startswith("External: 1 real case of elsewhere")
    assert lines[-1] == RULE


def test_one_row_per_arm_as_the_paper_prints_it(results: Results) -> None:
    text = printed(results)
    assert "best [mean ± sd]" in text
    for arm in results.arms:
        assert arm.summary is not None
        dice = arm.summary.dice
        assert dice.sd is not None
        cell = f"{dice.best * 100:.1f} [{dice.mean * 100:.1f} ± {dice.sd * 100:.1f}]"
        assert any(line.startswith(arm.name) and cell in line for line in text.splitlines())


def test_one_seed_without_external(build_results: Callable[..., Results]) -> None:
    text = printed(build_results(seeds=1, external=0))
    assert text.count("±") == 1  # in the header alone
    assert "external" not in text.lower()
    assert "; adjusted p" not in text
    assert "interval over cases only" in text


def test_nothing_is_cut_at_80_columns(results: Results) -> None:
    arms = [arm.model_copy(update={"name": "random-contrast, clinical + synthetic"}) for arm in results.arms]
    stream = io.StringIO()
    table = build_table(results.model_copy(update={"arms": arms}), narrow=True)
    Console(file=stream, width=80).print(table)
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if "…" in line]
    assert any("best [mean ± sd]" in line for line in lines)
    assert sum(line.startswith("random-contr") for line in lines) == len(arms)


def test_failed_arm_and_markup_in_names(results: Results) -> None:
    arms = [arm.model_copy(update={"seeds": [], "summary": None, "contrast": None}) for arm in results.arms[:1]]
    arms[0].name = "clinical [bold]"
    text = printed(results.model_copy(update={"arms": arms}))
    assert "clinical [bold]" in text
    assert "failed" in text


def test_csv_has_a_row_per_arm_seed_and_case(results: Results, tmp_path: Path) -> None:
    write_csv(results, tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 6 * 5 * (40 + 1)
    row = next(r for r in rows if r["arm"] == "spade + clinical" and r["seed"] == "3" and r["case"] == "sub-0007")
    scored = results.arms[5].seeds[3].cases["sub-0007"]
    assert float(row["dice"]) == float(f"{scored.dice:.6g}")
    assert row["clinical_cases"] == "10"
    assert row["stratum"] == ("< 5 ml" if scored.volume_ml < 5 else "≥ 5 ml")
    assert [p.name for p in tmp_path.iterdir()] == ["results.csv"]


def test_undefined_distance_is_an_empty_cell(build_results: Callable[..., Results], tmp_path: Path) -> None:
    results = build_results(test=6, seeds=1)
    seed = results.arms[0].seeds[0]
    name = next(iter(seed.cases))
    seed.cases[name] = seed.cases[name].model_copy(update={"hd95_mm": None})
    write_csv(results, tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as handle:
        assert next(csv.DictReader(handle))["hd95_mm"] == ""
