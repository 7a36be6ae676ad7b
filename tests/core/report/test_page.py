from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.report import History, Sheet, write_report
from strokereg.core.results import Results

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Outline(HTMLParser):
    """Checks that tags close in order, and collects ids, links, texts and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def histories() -> list[History]:
    steps = range(1, 400)
    return [{"title": "pix2pix, 10 cases", "series": {"gan": [(s, 1 / s) for s in steps], "l1": [(1, 0.3), (2, 0.2)]}}]


@pytest.fixture
def sheets() -> list[Sheet]:
    image = np.zeros((30, 24), dtype=np.uint8)
    image[10:20, 8:16] = 200
    rgb = np.repeat(image[..., None], 3, axis=2)
    return [
        {
            "title": "Label map → synthetic",
            "caption": "What a translator makes of it.",
            "columns": ["label map", "pix2pix"],
            "rows": [{"label": "sub-0001", "images": [rgb, image]}, {"label": "sub-0002", "images": [rgb, None]}],
        }
    ]


@pytest.fixture
def whole(results: Results, histories: list[History], sheets: list[Sheet], tmp_path: Path) -> Path:
    return write_report(tmp_path, results, histories, sheets)


def test_every_section_is_there(whole: Path, results: Results) -> None:
    page = whole.read_text(encoding="utf-8")
    assert whole.name == "report.html"
    outline = Outline(page)
    sections = [attrs["id"] for attrs in outline.all("section")]
    assert sections == ["result", "scores", "cases", "size", "pictures", "training", "run", "limits"]
    assert {attrs["href"] for attrs in outline.all("a")} == {f"#{name}" for name in sections}
    for arm in results.arms:
        assert arm.name in page
    for words in ("Simulated cohort: these are not clinical numbers", "A gain without its interval", "Headroom"):
        assert words in page
    assert results.provenance.command in page
    assert "12 min 2 s of work in 2 parts" in page


def test_it_asks_for_nothing(whole: Path) -> None:
    page = whole.read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    for attrs in Outline(page).all("img"):
        assert str(attrs["src"]).startswith("data:image/png;base64,")


def test_it_can_be_used_without_seeing_it(whole: Path) -> None:
    outline = Outline(whole.read_text(encoding="utf-8"))
    assert all(attrs.get("alt") for attrs in outline.all("img"))
    assert all(attrs.get("scope") for attrs in outline.all("th"))
    names = [attrs["aria-labelledby"] for attrs in outline.all("svg")]
    known = {attrs.get("id") for tag in ("title", "desc") for attrs in outline.all(tag)}
    assert names
    assert all(part in known for name in names for part in str(name).split())
    scrolled = [attrs for attrs in outline.all("div") if "scroll" in str(attrs.get("class"))]
    assert scrolled
    assert all(attrs.get("tabindex") == "0" and attrs.get("aria-label") for attrs in scrolled)


def test_many_loss_curves_are_folded_away(results: Results, histories: list[History], tmp_path: Path) -> None:
    many: list[History] = [{**histories[0], "title": f"network {i}"} for i in range(12)]
    page = write_report(tmp_path, results, many).read_text(encoding="utf-8")
    assert "<summary>3 more</summary>" in page
    assert all(f"network {i}" in page for i in range(12))


def test_same_results_same_page(results: Results, tmp_path: Path) -> None:
    first, second = (write_report(tmp_path / name, results).read_bytes() for name in ("a.html", "b.html"))
    assert first == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_names_from_outside_are_escaped(results: Results, histories: list[History], tmp_path: Path) -> None:
    study = results.study.model_copy(
        update={"cohort": results.study.cohort.model_copy(update={"name": "<b>x</b>", "simulated": False})}
    )
    histories[0]["title"] = "<i>unet</i>"
    page = write_report(tmp_path, results.model_copy(update={"study": study}), histories).read_text(encoding="utf-8")
    assert "<b>x</b>" not in page
    assert "<i>unet</i>" not in page
    assert "&lt;b&gt;x" in page
    assert "not clinical numbers" not in page


@pytest.mark.parametrize(
    "shape",
    [
        {"seeds": 1, "test": 4, "external": 0, "train": 12},
        {"seeds": 1, "test": 1, "external": 0, "train": 12},
        {"seeds": 2, "test": 7, "external": 3, "gains": 0.0},
    ],
    ids=["one seed, few cases", "one case", "no headroom"],
)
def test_small_studies_render(build_results: Callable[..., Results], shape: dict[str, float], tmp_path: Path) -> None:
    page = write_report(tmp_path, build_results(**shape)).read_text(encoding="utf-8")
    outline = Outline(page)
    assert "nan" not in re.sub(r"became NaN", "", re.sub(r"<style>.*?</style>", "", page, flags=re.S)).lower()
    assert len(outline.all("svg")) >= 6
    assert "pictures" not in [attrs["id"] for attrs in outline.all("section")]


def test_one_training_is_never_called_a_gain(build_results: Callable[..., Results], tmp_path: Path) -> None:
    page = write_report(tmp_path, build_results(seeds=1)).read_text(encoding="utf-8")
    assert "This study is too small to show a gain or a loss." in page


def test_failed_arms_render(results: Results, tmp_path: Path) -> None:
    empty = {"seeds": [], "summary": None, "contrast": None, "share": None}
    arms = [arm.model_copy(update=empty) if arm.translator == "spade" else arm for arm in results.arms]
    page = write_report(tmp_path / "some.html", results.model_copy(update={"arms": arms})).read_text(encoding="utf-8")
    assert page.count("no training ended well") == 2 + 2  # in the table and as a sentence
    Outline(page)
    arms = [arm.model_copy(update=empty) for arm in results.arms]
    failed = results.model_copy(update={"arms": arms, "headroom": []})
    page = write_report(tmp_path / "all.html", failed).read_text(encoding="utf-8")
    assert [attrs["id"] for attrs in Outline(page).all("section")] == ["result", "run", "limits"]


def console(page: Path, profile: Path) -> list[str]:
    """What a headless Chromium says on its console while it loads the page."""
    assert CHROMIUM
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --enable-logging=stderr --v=0 --dump-dom"
    run = subprocess.run(
        [CHROMIUM, *flags.split(), f"--user-data-dir={profile}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "</html>" in run.stdout
    return [line for line in run.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_browser_says_nothing_and_asks_for_nothing(whole: Path, tmp_path: Path) -> None:
    """Its content policy turns every request into a console error, as the spoilt copy shows."""
    assert console(whole, tmp_path / "profile") == []
    spoilt = tmp_path / "spoilt.html"
    page = whole.read_text(encoding="utf-8")
    spoilt.write_text(page.replace("</main>", '<img alt="" src="http://localhost:1/x.png"></main>'), encoding="utf-8")
    assert "Content Security Policy" in " ".join(console(spoilt, tmp_path / "profile"))
