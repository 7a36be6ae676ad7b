"""The table of a study for papers and web pages: `table.md` and `table.tex`, with the headroom and the limits."""

from __future__ import annotations

from pathlib import Path

from strokereg.core.report import text
from strokereg.core.report.results import Arm, Results
from strokereg.core.storage.files import replacing

_HEADINGS = (
    "training",
    "cases",
    "Dice %, best [mean ± sd]",
    "lesion F1 %",
    "difference, Dice points (95 %)",
    "p",
    "share",
)
_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_SPECIAL |= {sign: f"\\{sign}" for sign in "&%$#_{}"}
_SPECIAL |= {
    "±": r"$\pm$",
    "−": "$-$",
    "–": "--",
    "≥": r"$\geq$",
    "<": "$<$",
    ">": "$>$",
    "\u00a0": "~",
    "…": r"\ldots{}",
}


def write_tables(results: Results, out: Path) -> None:
    """Write `table.md` and `table.tex` into a folder, each atomically.

    The LaTeX is a plain `tabular` with `\\hline` in a `table`, which needs no package.
    """
    for name, content in (("table.md", markdown(results)), ("table.tex", latex(results))):
        with replacing(out / name) as temporary:
            temporary.write_text(content, encoding="utf-8")


def markdown(results: Results) -> str:
    """Return the headroom, the table in GitHub Markdown, and the limits."""
    headings, rows = _rows(results)
    lines = [_row(headings), _row(["---", *("---:" for _ in headings[1:])])]
    lines += [_row([cell.replace("|", "\\|") for cell in row]) for row in rows]
    above = "\n".join(text.headroom_sentences(results))
    return f"{above}\n\n" + "\n".join(lines) + "\n\n" + "\n".join(text.limit_sentences(results)) + "\n"


def latex(results: Results) -> str:
    """Return a LaTeX `table` float; its caption holds the headroom and the limits."""
    headings, rows = _rows(results)
    body = [" & ".join(map(_escape, row)) + r" \\" for row in (headings, *rows)]
    caption = _escape(" ".join([*text.headroom_sentences(results), *text.limit_sentences(results)]))
    columns = "l" + "r" * (len(headings) - 1)
    lines = [
        r"\begin{table}",
        rf"\caption{{{caption}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
        body[0],
        r"\hline",
    ]
    return "\n".join([*lines, *body[1:], r"\hline", r"\end{tabular}", r"\end{table}"]) + "\n"


def _rows(results: Results) -> tuple[list[str], list[list[str]]]:
    external = results.study.external
    headings = [*_HEADINGS, *([f"external Dice % ({external.name}, n = {external.cases})"] if external else [])]
    return headings, [[arm.name, str(arm.cases), *_cells(arm, bool(external))] for arm in results.arms]


def _cells(arm: Arm, external: bool) -> list[str]:
    if arm.summary is None:
        return ["failed", *["–"] * (4 + external)]
    difference = p = "–"
    if arm.contrast is not None:
        difference = f"{text.signed(arm.contrast.difference)} ({text.interval(arm.contrast)})"
        p = "–" if arm.contrast.adjusted_p is None else text.p_value(arm.contrast.adjusted_p)
    cells = [text.paper_form(arm.summary.dice), f"{arm.summary.lesion_f1.mean * 100:.1f}", difference, p]
    cells.append(text.share(arm) or "–")
    elsewhere = arm.summary.external_dice
    return [*cells, *(["–" if elsewhere is None else text.mean_form(elsewhere)] if external else [])]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape(text: str) -> str:
    return "".join(_SPECIAL.get(sign, sign) for sign in text)
