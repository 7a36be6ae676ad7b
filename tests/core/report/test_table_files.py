"""The table as Markdown and LaTeX."""

from __future__ import annotations

import re

from strokereg.core.report.table_files import latex, markdown, write_tables
from strokereg.core.report.text import summary_sentences


def test_one_row_per_arm_with_as_many_cells(results, tmp_path):
    write_tables(results, tmp_path)
    lines = (tmp_path / "table.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + len(results.arms)
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert lines[0].startswith("Headroom")
    assert any("not clinical numbers" in line for line in lines)
    assert any("elsewhere, n = 1" in row for row in rows[:1])
    tex = (tmp_path / "table.tex").read_text()
    inner = [line for line in tex.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in inner} == {7}
    assert not re.search(r"[±−–≥]|(?<!\\)%", tex)


def test_names_cannot_break_the_table(results):
    named = results.model_copy(update={"arms": [results.arms[0].model_copy(update={"name": "a|b & 50%_{x}\\"})]})
    assert r"a\|b & 50%_{x}" in markdown(named)
    assert r"a|b \& 50\%\_\{x\}\textbackslash{}" in latex(named)


def test_one_seed_prints_no_p_value(build_results):
    lone = build_results(seeds=1)
    assert all(arm.contrast is None or arm.contrast.p is None for arm in lone.arms)
    rows = [line.split("|") for line in markdown(lone).splitlines() if line.startswith("|")][2:]
    assert {row[6].strip() for row in rows} == {"–"}
    assert "p 0" not in " ".join(summary_sentences(lone))
