from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from strokereg.core.report import History, ViewerScan, write_report
from strokereg.core.report.results import Results
from strokereg.core.report.text import verdict
from strokereg.core.scan.pictures import CALLED, Key, Outlined, Sheet, SheetRow
from strokereg.core.scan.view import Convention

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


@pytest.fixture(scope="module")
def sheets() -> list[Sheet]:
    image = np.zeros((30, 24), dtype=np.uint8)
    image[10:20, 8:16] = 200
    rgb = np.repeat(image[..., None], 3, axis=2)
    mask = np.zeros((10, 8), dtype=bool)
    mask[4:6, 3:5] = True
    return [
        Sheet(
            title="Label map → synthetic",
            caption="What a translator makes of it.",
            columns=["label map", "pix2pix"],
            rows=[
                SheetRow("sub-0001", [rgb, Outlined(image, mask, CALLED)]),
                SheetRow("sub-0002", [rgb, None]),
                SheetRow("sub-0003", [rgb, "not translated"]),
            ],
            legend=[Key("white matter", (226, 220, 205), True), Key("prediction", CALLED)],
        )
    ]


@pytest.fixture(scope="module")
def volumes() -> list[ViewerScan]:
    """Two little scans with lesions in known places."""
    z, y, x = np.indices((9, 20, 16))
    image = 100.0 * ((z - 4) ** 2 / 16 + (y - 10) ** 2 / 81 + (x - 8) ** 2 / 49 < 1)
    truth = (abs(z - 3) <= 1) & (abs(y - 8) <= 2) & (abs(x - 6) <= 1)
    called = {"clinical only (10)": np.roll(truth, 1, axis=1), "pix2pix (10)": truth}
    return [
        ViewerScan(title, part, image, 120.0, (2.0, 2.0, 4.0), truth, called)
        for title, part in (("sub-0001", "test case"), ("sub-é'\"<q>", "external case"))
    ]


@pytest.fixture(scope="module")
def large(
    large_results: Results, sheets: list[Sheet], volumes: list[ViewerScan], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A large study with all its pictures."""
    return write_report(tmp_path_factory.mktemp("large"), large_results, pictures=sheets, volumes=volumes)


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
    for words in (
        "Simulated cohort: these are not clinical numbers",
        "A gain is reported only if its 95 % interval is above 0",
        "Headroom",
    ):
        assert words in page
    assert results.provenance.command in page
    assert "12 min 2 s of computing in 2 tasks" in page


def test_it_asks_for_nothing(whole: Path) -> None:
    page = whole.read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "<img" not in page
    assert all(address.startswith("data:image/png;base64,") for address in re.findall(r"url\(([^#].*?)\)", page))


def test_it_can_be_used_without_seeing_it(whole: Path) -> None:
    outline = Outline(whole.read_text(encoding="utf-8"))
    planes = [attrs for attrs in outline.all("svg") if attrs.get("aria-label")]
    labels = ["sub-0001, label map", "sub-0001, pix2pix", "sub-0002, label map", "sub-0003, label map"]
    assert [attrs["aria-label"] for attrs in planes] == labels
    assert all(attrs.get("scope") for attrs in outline.all("th"))
    names = [attrs["aria-labelledby"] for attrs in outline.all("svg") if not attrs.get("aria-label")]
    known = {attrs.get("id") for tag in ("title", "desc") for attrs in outline.all(tag)}
    assert names
    assert all(part in known for name in names for part in str(name).split())
    scrolled = [attrs for attrs in outline.all("div") if "scroll" in str(attrs.get("class"))]
    assert scrolled
    assert all(attrs.get("tabindex") == "0" and attrs.get("aria-label") for attrs in scrolled)


def test_a_large_study_is_read_by_number_of_cases(large: Path, large_results: Results) -> None:
    page = large.read_text(encoding="utf-8")
    outline = Outline(page)
    sections = [attrs["id"] for attrs in outline.all("section")]
    assert sections == ["result", "curves", "scores", "cases", "size", "pictures", "volumes", "run", "limits"]
    heads = [attrs for attrs in outline.all("th") if attrs.get("scope") == "rowgroup" and attrs.get("colspan")]
    assert len(heads) == 3
    folded = [attrs for attrs in outline.all("details") if attrs.get("class") == "part"]
    assert [("open" in attrs) for attrs in folded] == [True, False, False] * 3  # words, cases, sizes
    assert page.count(" better</text>") == 30
    assert page.count(">clinical training cases</text>") == 10  # a panel for each arm of the low-data curves
    gains = sum(verdict(arm.contrast) == "gain" for arm in large_results.arms if arm.contrast)
    assert gains > 3
    assert f"a gain is shown for {gains} of 30 arms" in page
    names = [attrs["id"] for tag in ("title", "desc") for attrs in outline.all(tag) if attrs.get("id")]
    assert len(names) == len(set(names))


def test_volumes_bring_one_script_and_nothing_else_may_run(
    results: Results, volumes: list[ViewerScan], tmp_path: Path
) -> None:
    page = write_report(tmp_path, results, volumes=volumes).read_text(encoding="utf-8")
    outline = Outline(page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(str(meta["content"]) for meta in outline.all("meta") if meta.get("http-equiv"))
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"
    assert "://" not in script
    viewers = [attrs for attrs in outline.all("figure") if attrs.get("class") == "viewer"]
    said = [json.loads(str(attrs["data-scan"])) for attrs in viewers]
    assert [scan["title"] for scan in said] == ["sub-0001", "sub-é'\"<q>"]
    assert all(list(scan["called"]) == ["clinical only (10)", "pix2pix (10)"] for scan in said)
    assert "<q>" not in page


@pytest.mark.parametrize("convention", list(Convention))
def test_pictures_have_letters_a_legend_and_one_ground(
    results: Results, sheets: list[Sheet], volumes: list[ViewerScan], tmp_path: Path, convention: Convention
) -> None:
    ground = np.zeros((30, 24), dtype=np.uint8)
    ground[4:26, 4:20] = 90
    masks = [np.zeros((10, 8), dtype=bool) for _ in range(3)]
    for i, mask in enumerate(masks):
        mask[2 : 4 + i, 3:5] = True
    rows = [SheetRow("sub-0001", [ground, *(Outlined(ground, mask, CALLED) for mask in masks)])]
    shown = [replace(sheets[0], rows=rows, columns=["image", "a", "b", "c"], convention=convention)]
    scans = [replace(volume, convention=convention) for volume in volumes]
    page = write_report(tmp_path, results, pictures=shown, volumes=scans).read_text(encoding="utf-8")
    assert page.count(".ground0 { background-image: url(data:image/png;base64,") == 1
    left, right = convention.sides
    assert page.count(f'<div class="plane ground0" data-left="{left}" data-right="{right}">') == 4
    assert page.count('<path class="outline" stroke="#56b4e9"') == 3
    assert '<i class="swatch filled" style="--k: #e2dccd"></i>white matter' in page
    assert '<i class="swatch" style="--k: #56b4e9"></i>prediction' in page
    assert convention.sentence in html.unescape(page)
    assert all(other.sentence not in html.unescape(page) for other in Convention if other is not convention)
    assert f"&#34;sides&#34;: [&#34;{left}&#34;, &#34;{right}&#34;]" in page


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


def test_a_study_of_clinical_cases_only_says_so(build_results: Callable[..., Results], tmp_path: Path) -> None:
    results = build_results()
    study = results.study.model_copy(update={"models": []})
    arms = [arm for arm in results.arms if arm.training == "clinical"]
    page = write_report(tmp_path, results.model_copy(update={"study": study, "arms": arms})).read_text(encoding="utf-8")
    assert "Clinical only: no synthetic images were compared." in page
    assert "elsewhere" in page


def test_one_training_is_never_called_a_gain(build_results: Callable[..., Results], tmp_path: Path) -> None:
    page = write_report(tmp_path, build_results(seeds=1)).read_text(encoding="utf-8")
    assert "This study is too small to show a gain or a loss." in page
    result = page[page.index('<section id="result">') : page.index("</section>")]
    assert "p &lt;" not in result
    assert "; adjusted p" not in result
    assert re.findall(r"<td>(0\.\d{2,3}|1\.00|&lt; 0\.001)</td>", result) == []  # the column of p-values is empty


def test_another_augmentation_is_reported(results: Results, tmp_path: Path) -> None:
    assert "Augmentation" not in write_report(tmp_path / "usual.html", results).read_text(encoding="utf-8")
    study = results.study.model_copy(update={"augment": {"segmenter": {"motion": 0.1, "noise": 0.0}}})
    page = write_report(tmp_path / "other.html", results.model_copy(update={"study": study}))
    assert "Augmentation, segmenter</dt><dd>defaults, except motion 0.1, noise 0</dd>" in page.read_text(
        encoding="utf-8"
    )


def test_failed_arms_render(results: Results, tmp_path: Path) -> None:
    empty = {"seeds": [], "summary": None, "contrast": None, "share": None}
    arms = [arm.model_copy(update=empty) if arm.translator == "spade" else arm for arm in results.arms]
    page = write_report(tmp_path / "some.html", results.model_copy(update={"arms": arms})).read_text(encoding="utf-8")
    assert page.count("all trainings failed") == 2 + 2  # in the table and as a sentence
    Outline(page)
    arms = [arm.model_copy(update=empty) for arm in results.arms]
    failed = results.model_copy(update={"arms": arms, "headroom": []})
    page = write_report(tmp_path / "all.html", failed).read_text(encoding="utf-8")
    assert [attrs["id"] for attrs in Outline(page).all("section")] == ["result", "run", "limits"]


@pytest.mark.browser
def test_the_viewer_draws_the_slices_and_says_the_volume_of_the_scan(
    page, results: Results, volumes: list[ViewerScan], tmp_path: Path
) -> None:
    """In a real browser: it starts at the slice with most lesion, and the volume is not that of the slice."""
    path = write_report(tmp_path, results, volumes=volumes)
    page.read(path)
    status = "[...document.querySelectorAll('[data-part=status]')].map((one) => one.textContent)"
    page.wait_for(f"{status}.every(Boolean)")
    voxels = 3 * 5 * 3 * 2 * 2 * 4 / 1000
    assert page.run(status) == [f"slice 3 of 9 · true lesion {voxels:.2f} ml · prediction {voxels:.2f} ml"] * 2
    slider = "document.querySelector('[data-part=slice]')"
    page.run(f"{slider}.value = 9; {slider}.dispatchEvent(new Event('input'))")
    page.wait_for(f"{status}[0].startsWith('slice 9 of 9')")
    assert page.run(status)[0].endswith(f"true lesion {voxels:.2f} ml · prediction {voxels:.2f} ml")
    assert page.run("[...document.querySelectorAll('.viewer')].every((viewer) => !viewer.hidden)")
    assert page.run("[...document.querySelector('[data-part=arm]').options].map((one) => one.text)") == [
        "clinical only (10)",
        "pix2pix (10)",
    ]
    assert page.console == []


RECT = "const rect = (one) => document.querySelector(one).getBoundingClientRect();"


@pytest.mark.browser
def test_on_a_phone_nothing_is_out_of_sight(page, large: Path) -> None:
    """At 390 pixels the page does not scroll sideways, and each arm is a card with its difference."""
    with page.emulate(390, 844):
        page.read(large)
        assert page.run("document.documentElement.scrollWidth") == 390
        drawn = "#result td, #curves svg, #scores svg, #pictures figure, #volumes canvas"
        rights = f"[...document.querySelectorAll('{drawn}')].map((one) => one.getBoundingClientRect().right)"
        right = page.run(f"Math.max(...{rights})")
        assert right <= 390
        shown = page.run("document.querySelector('[data-name=\"Compared with clinical only\"]').checkVisibility()")
        assert shown
    with page.emulate(1280, 900):
        widths = page.run("[...new Set([...document.querySelectorAll('.plane')].map((one) => one.offsetWidth))]")
        assert len(widths) == 1  # all pictures of a page have one size


@pytest.mark.browser
def test_on_paper_there_are_no_hints_for_a_screen_and_headings_stay_with_their_charts(page, large: Path) -> None:
    hints = "[...document.querySelectorAll('nav, .screen, .controls')].filter((one) => one.checkVisibility()).length"
    with page.emulate():
        page.read(large)
        assert page.run(hints) > 0
        assert "arrow keys" in page.run("document.body.innerText")
    with page.emulate(media="print", scheme="dark"):
        assert page.run(hints) == 0
        assert "arrow keys" not in page.run("document.body.innerText")
        breaks = "[...document.querySelectorAll({!r})].map((one) => getComputedStyle(one).{})"
        assert set(page.run(breaks.format("h2, h3, h4, summary", "breakAfter"))) == {"avoid"}
        assert set(page.run(breaks.format("h3 + .charts, h4 + .tiles", "breakBefore"))) == {"avoid"}
        assert set(page.run(breaks.format(".charts figure, .tiles figure", "breakInside"))) == {"avoid"}
        assert set(page.run(breaks.format("section", "display"))) == {"block"}
        assert page.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.run("getComputedStyle(document.body).color") == "rgb(28, 32, 36)"  # dark ink, also in dark mode


@pytest.mark.browser
def test_outlines_are_two_pixels_wide_at_any_size(page, results: Results, sheets: list[Sheet], tmp_path: Path) -> None:
    page.read(write_report(tmp_path, results, pictures=sheets))
    page.run("document.querySelector('.plane').scrollIntoView({behavior: 'instant'})")
    page.picture(tmp_path / "page.png")
    plane = page.run(f"(() => {{{RECT} const {{x, y, width, height}} = rect('figure:nth-child(2) .plane');"
                     "return [x, y, width, height].map(Math.round)})()")  # fmt: skip
    left, top, width, height = plane
    with Image.open(tmp_path / "page.png") as picture:
        tile = np.asarray(picture.convert("RGB")).astype(int)[top : top + height, left : left + width]
    blue = (abs(tile - np.array(CALLED)) < 40).all(axis=-1)
    across = blue[height // 2]  # a line through the lesion cuts its outline twice
    assert 2 <= across.sum() <= 6
    assert blue.sum() > 100


@pytest.mark.browser
def test_browser_says_nothing_and_asks_for_nothing(
    page, whole: Path, results: Results, volumes: list[ViewerScan], tmp_path: Path
) -> None:
    """Its content policy turns every request and every other script into a console error, as the spoilt copies show."""
    page.read(whole)
    assert page.console == []
    spoilt = tmp_path / "spoilt.html"
    text = whole.read_text(encoding="utf-8")
    spoilt.write_text(text.replace("</main>", '<img alt="" src="http://localhost:1/x.png"></main>'), encoding="utf-8")
    page.read(spoilt)
    assert "Content Security Policy" in " ".join(page.console)
    text = write_report(tmp_path / "seen.html", results, volumes=volumes).read_text(encoding="utf-8")
    spoilt.write_text(text.replace("</main>", "<script>document.title = 'taken'</script></main>"), encoding="utf-8")
    page.read(spoilt)
    assert "Content Security Policy" in " ".join(page.console)
    assert page.run("document.title") != "taken"
