from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from strokereg.core.report import (
    CALLED,
    History,
    Outlined,
    Sheet,
    ViewerScan,
    write_report,
)
from strokereg.core.report.results import Results
from strokereg.core.report.text import verdict

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


def test_a_large_study_is_read_by_number_of_cases(large_results: Results, tmp_path: Path) -> None:
    page = write_report(tmp_path, large_results).read_text(encoding="utf-8")
    outline = Outline(page)
    sections = [attrs["id"] for attrs in outline.all("section")]
    assert sections == ["result", "curves", "scores", "cases", "size", "run", "limits"]
    heads = [attrs for attrs in outline.all("th") if attrs.get("scope") == "rowgroup" and attrs.get("colspan")]
    assert len(heads) == 3
    folded = [attrs for attrs in outline.all("details") if attrs.get("class") == "part"]
    assert [("open" in attrs) for attrs in folded] == [True, False, False] * 3  # words, cases, sizes
    assert page.count(" better</text>") == 30
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


def test_pictures_share_their_ground(results: Results, sheets: list[Sheet], tmp_path: Path) -> None:
    ground = np.zeros((30, 24), dtype=np.uint8)
    ground[4:26, 4:20] = 90
    masks = [np.zeros((30, 24), dtype=bool) for _ in range(3)]
    for i, mask in enumerate(masks):
        mask[8 : 12 + i, 8:14] = True
    sheets[0]["rows"] = [{"label": "sub-0001", "images": [ground, *(Outlined(ground, m, CALLED) for m in masks)]}]
    page = write_report(tmp_path, results, pictures=sheets).read_text(encoding="utf-8")
    assert page.count("img.ground0 { background-image: url(data:image/png;base64,") == 1
    assert page.count('<img class="ground0" src="data:image/png;base64,') == 3


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


def load(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The page as a headless Chromium makes it, and what it says on its console meanwhile."""
    assert CHROMIUM
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += (
        " --disable-component-update --disable-sync --enable-logging=stderr --v=0 --dump-dom --virtual-time-budget=5000"
    )
    run = subprocess.run(
        [CHROMIUM, *flags.split(), f"--user-data-dir={profile}", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "</html>" in run.stdout
    return run.stdout, [line for line in run.stderr.splitlines() if "CONSOLE" in line]


browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH")


@pytest.mark.browser
@browser
def test_the_viewer_draws_and_counts(results: Results, volumes: list[ViewerScan], tmp_path: Path) -> None:
    """In a real browser: it starts at the slice with most lesion, and says the volumes that are really there."""
    page = write_report(tmp_path, results, volumes=volumes)
    dom, said = load(page, tmp_path / "profile")
    assert said == []
    shown = re.findall(r'data-part="status"[^>]*>([^<]*)<', dom)
    voxels = 5 * 3 * 2 * 2 * 4 / 1000
    # Of 9 slices, what is black at both ends is cut but for a margin of two: none here.
    assert shown == [f"slice 3 of 9 · true lesion {voxels:.2f} ml · prediction {voxels:.2f} ml"] * 2
    viewers = [attrs for attrs in Outline(dom).all("figure") if attrs.get("class") == "viewer"]
    assert all("hidden" not in attrs for attrs in viewers)
    assert dom.count('<option value="pix2pix (10)">') == 0  # options carry their text alone
    assert dom.count(">pix2pix (10)</option>") == 2


@pytest.mark.browser
@browser
def test_browser_says_nothing_and_asks_for_nothing(
    whole: Path, results: Results, volumes: list[ViewerScan], tmp_path: Path
) -> None:
    """Its content policy turns every request and every other script into a console error, as the spoilt copies show."""
    assert load(whole, tmp_path / "profile")[1] == []
    spoilt = tmp_path / "spoilt.html"
    page = whole.read_text(encoding="utf-8")
    spoilt.write_text(page.replace("</main>", '<img alt="" src="http://localhost:1/x.png"></main>'), encoding="utf-8")
    assert "Content Security Policy" in " ".join(load(spoilt, tmp_path / "profile")[1])
    page = write_report(tmp_path / "seen.html", results, volumes=volumes).read_text(encoding="utf-8")
    spoilt.write_text(page.replace("</main>", "<script>document.title = 'taken'</script></main>"), encoding="utf-8")
    dom, said = load(spoilt, tmp_path / "profile")
    assert "Content Security Policy" in " ".join(said)
    assert "taken</title>" not in dom
