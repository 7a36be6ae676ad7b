"""The list of public reports: each has a test, and README.md shows it.

Write README.md again with: python tests/field_reports/test_reports.py
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
README = HERE / "README.md"
REPORTS: dict[str, list[dict[str, Any]]] = tomllib.loads((HERE / "reports.toml").read_text(encoding="utf-8"))
TITLES = {
    "images": "Images and headers",
    "folders": "BIDS, nnU-Net and their JSON files",
    "splits": "Splits and tables",
    "resuming": "Resuming",
    "export": "Export and deployment",
    "browsers": "Browsers",
}
ALL = [report for area in TITLES for report in REPORTS[area]]


def table() -> str:
    lines = [
        "# Faults from the field",
        "",
        f"{len(ALL)} faults that users of other tools reported in public. Each was made anew as a small input.",
        "Written by `python tests/field_reports/test_reports.py` from reports.toml. The last column names the test, or",
        "the input or message in it.",
    ]
    for area, title in TITLES.items():
        lines += ["", f"## {title}", "", "| report | what was met | right behaviour | test |", "|---|---|---|---|"]
        for report in REPORTS[area]:
            place, number = report["link"].split("#")
            kind = "pull" if report.get("pull") else "issues"
            link = f"[{report['link']}](https://github.com/{place}/{kind}/{number})"
            lines.append(f"| {link} | {report['met']} | {report['right']} | `{report['test']}` |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("report", ALL, ids=lambda report: report["link"])
def test_each_report_has_a_test(report):
    file, _, name = report["test"].partition("::")
    text = (HERE.parent / file).read_text(encoding="utf-8")
    assert name
    assert f"def {name}(" in text if name.startswith("test_") else name in text


def test_the_walks_name_tests_that_exist():
    rows = [line for line in (HERE / "walks.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    named = [row.rsplit("|", 2)[1].strip() for row in rows]
    tests = [name.strip("`") for name in named if name != "test"]
    assert len(tests) > 10
    for test in tests:
        file, _, name = test.partition("::")
        assert name in (HERE.parent / file).read_text(encoding="utf-8"), test


def test_the_list_is_what_there_is():
    assert README.read_text(encoding="utf-8") == table()
    assert len({report["link"] for report in ALL}) == len(ALL) >= 86
    assert set(REPORTS) == set(TITLES)


if __name__ == "__main__":
    README.write_text(table(), encoding="utf-8")
