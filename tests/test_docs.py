"""The documentation is true to the code: links lead to their pages, commands and options exist, examples run."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from strokereg.cli.main import cli
from strokereg.core.study.settings import PRESETS, StudySettings
from strokereg.registry.catalogue import READERS, Catalogue

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
RESULTS = sorted(DOCS.glob("results/*/table.md"))  # written by studies
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(page for page in sorted(DOCS.rglob("*.md")) if page not in RESULTS),
    *sorted(ROOT.glob("examples/*/README.md")),
]
ELSEWHERE = re.compile(
    r"""<(?:script|img|iframe)[^>]*src="https?:|<link[^>]*(?:stylesheet|preconnect)[^>]*href="https?:"""
)
CODE = re.compile(r"```(?P<kind>\w*)\n(?P<text>.*?)```", re.DOTALL)
LINK = re.compile(r"!?\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")


def _load_hooks():
    """`docs/hooks.py`, as mkdocs loads it."""
    spec = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hooks = _load_hooks()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    return CODE.sub("", text_of(page))


def title(page: Path) -> str:
    return text_of(page).partition("\n")[0].removeprefix("# ")


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as both GitHub and mkdocs name them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Text, file and anchor of every link of a page to something in the repository."""
    for link in LINK.finditer(prose(page)):
        path, _, anchor = link["target"].partition("#")
        if "://" not in link["target"]:
            yield link["text"], (page.parent / path).resolve() if path else page, anchor


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page):
    for _, target, anchor in links(page):
        assert target.exists(), target
        assert not anchor or anchor in anchors(target), f"{named(target)} has no heading #{anchor}"


@pytest.mark.parametrize("page", [ROOT / "README.md", DOCS / "index.md"], ids=named)
def test_a_link_to_a_page_has_the_title_of_that_page(page):
    """A list of pages once sent "Writing a plugin" to the contract of plugins."""
    found = [(text, target) for text, target, anchor in links(page) if DOCS in target.parents and not anchor]
    assert found
    assert {text: title(target) for text, target in found if target.suffix == ".md" and text != title(target)} == {}


def test_index_and_navigation_list_every_page_in_one_order():
    nav = yaml.load(text_of(ROOT / "mkdocs.yml"), yaml.BaseLoader)["nav"]
    home, *sections = nav
    assert home == "index.md"
    listed = {name: pages for section in sections for name, pages in section.items()}
    assert all(isinstance(page, str) for pages in listed.values() for page in pages), "titles come from the pages"
    parts = re.split(r"^## (.*)\n", text_of(DOCS / "index.md"), flags=re.MULTILINE)[1:]
    index = {
        name: [match["target"] for match in LINK.finditer(part)]
        for name, part in zip(parts[::2], parts[1::2], strict=True)
    }
    assert index == listed
    pages = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page not in RESULTS}
    assert pages == {"index.md", *(page for pages in listed.values() for page in pages)}


@pytest.mark.parametrize("page", [page for page in PAGES if DOCS in page.parents], ids=named)
def test_a_page_begins_with_what_the_reader_will_have(page):
    heading, blank, first = text_of(page).splitlines()[:3]
    assert heading.startswith("# ")
    assert (blank, first[:1].isalpha()) == ("", True)


def test_the_documentation_stays_short():
    assert len(text_of(ROOT / "README.md").split()) <= 700
    counted = [page for page in PAGES if page.name != "CHANGELOG.md" and "examples" not in page.parts]
    assert sum(len(text_of(page).split()) for page in counted) <= 14_000


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_scripts_that_start_processes_have_a_main_guard(page):
    for block in re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL):
        if re.search(r"strokereg\.(compare|simulate_cohort)\(", block):
            assert 'if __name__ == "__main__":' in block


def test_the_code_names_pages_that_exist():
    files = [path for room in ("strokereg", "tests", "benchmarks", "examples") for path in (ROOT / room).rglob("*.py")]
    names = {name for path in files for name in re.findall(r"\bdocs/[\w/.-]+\.(?:md|json|txt)\b", text_of(path))}
    assert names
    assert {name for name in names if not (ROOT / name).exists()} == set()


def commands(page: Path) -> Iterator[list[str]]:
    """The words after `strokereg` of every command in the code blocks of a page."""
    for block in CODE.finditer(text_of(page)):
        if block["kind"] not in ("sh", "bash", "console"):
            continue
        for line in block["text"].replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if "strokereg" in words and not words[0].startswith(("pip", "…")):
                after = words[words.index("strokereg") + 1 :]
                yield after[: after.index(">")] if ">" in after else after


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_and_their_options_exist(page):
    for words in commands(page):
        command, path, rest = cli, [], list(words)
        while rest[:1] in (["--plugin"], ["--debug"]):
            rest = rest[2:] if rest[0] == "--plugin" else rest[1:]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            path.append(rest.pop(0))
            command = command.get_command(click.Context(command), path[-1])
        assert command is not None, f"strokereg {' '.join(words)}"
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        given = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert given <= known, f"strokereg {' '.join(words)}"


def test_the_page_of_commands_lists_them_all():
    rows = "\n".join(line for line in text_of(DOCS / "reference" / "commands.md").splitlines() if line.startswith("|"))
    assert sorted(re.findall(r"`([a-z][a-z -]+)`", rows)) == sorted(" ".join(path) for path, _ in hooks.commands())


def rows_of(page: Path, heading: str) -> list[list[str]]:
    """Cells of the rows of the table whose first heading is this."""
    table = text_of(page).partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def test_the_results_are_those_that_the_study_wrote():
    page = DOCS / "results" / "soop.md"
    differences = dict[tuple[str, str], str]()
    for training, cases, _, _, difference, *_ in rows_of(DOCS / "results" / "soop" / "table.md", "training"):
        differences[training.removesuffix(", clinical + synthetic"), cases] = difference
    for arm, *shown in rows_of(page, "arm"):
        assert shown == [differences[arm, cases] for cases in ("10", "50", "110")]


def test_the_presets_are_those_of_the_code():
    for name, grid, cases, seeds, steps in rows_of(DOCS / "how-to" / "run-a-study.md", "preset"):
        preset = StudySettings(models=(), **PRESETS[re.findall(r"`(\w+)`", name)[0]])
        assert grid.startswith(f"{preset.spacing[0]:g} mm")
        assert cases == " and ".join(map(str, preset.cases))
        assert seeds == str(len(preset.seeds))
        budgets = [f"{preset.budgets[role].steps:,}" for role in ("generator", "translator", "segmenter")]
        assert steps == (", ".join(budgets) if len(set(budgets)) > 1 else f"{budgets[0]} each")


def test_the_page_of_cohorts_names_every_reader_and_check():
    page = DOCS / "reference" / "cohorts.md"
    readers = Catalogue(roles=READERS).available("strokereg:*")
    assert {name.rpartition(":")[2] for name in readers} == set(re.findall(r"\*\*([a-z0-9-]+)\*\*", text_of(page)))
    core = ROOT / "strokereg" / "core"
    code = "".join(map(text_of, [*core.glob("cohort/checks/*.py"), *core.glob("cohort/importing/*.py")]))
    code += text_of(core / "scan" / "content.py") + text_of(core / "scan" / "placement.py")
    checks = [row[0].strip("`") for row in rows_of(page, "check") if row[0]]  # the first row says what is read
    assert len(checks) == 19
    assert [name for name in checks if not re.search(rf"\b{name}\b", code)] == []


def test_the_model_in_the_readme_can_be_built_and_trained(tmp_path):
    (model,) = re.findall(r"<!-- file: mynet.py -->\n```python\n(.*?)```", text_of(ROOT / "README.md"), re.DOTALL)
    (tmp_path / "mynet.py").write_text(model)
    code = (
        "import strokereg, torch\nstrokereg.add_plugin('mynet.py')\nnet = strokereg.create('mynet', labels=4)\n"
        "labels = torch.randint(0, 4, (2, 8, 8))\n"
        "batch = strokereg.Batch(labels, torch.zeros(2, 1, 8, 8), (labels == 3).float()[:, None])\n"
        "((player, losses),) = net.moves(batch)\nassert player in net.players() and losses['l1'].requires_grad\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    # Not --quiet: that hides warnings from --strict too.
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}  # of the theme, about a later mkdocs
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    built = {page.relative_to(tmp_path).as_posix(): text_of(page) for page in tmp_path.rglob("*.html")}
    assert {page.relative_to(DOCS).with_suffix(".html").as_posix() for page in DOCS.rglob("*.md")} <= set(built)
    assert not [name for name, page in built.items() if ELSEWHERE.search(page)]
    assert not [name for name, page in built.items() if "&lt;!-- make" in page or "<!-- make" in page]
    assert "strokereg_translators" in built["reference/python.html"]
    assert "--step-limit" in built["reference/commands.html"]
    assert "Ronneberger" in built["reference/architectures.html"]
