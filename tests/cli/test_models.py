"""`strokereg models`, run as a user runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import strokereg

PLUGINS = Path(__file__).parents[1] / "fixtures" / "plugins"


def models(*words: str, plugins: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(PLUGINS / name) for name in plugins)
    return subprocess.run(
        [sys.executable, "-m", "strokereg", "models", *words],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_built_ins_are_listed_as_plain_lines():
    outcome = models("strokereg:*")
    rows = [line.split("\t") for line in outcome.stdout.splitlines()]
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert {"mask-gan", "pix2pix", "spade", "unet"} <= {row[0] for row in rows}
    assert ["unet", "segmenter", "2D, 3D"] in [row[:3] for row in rows]
    assert ["carvemix", "mixer", "2D, 3D"] in [row[:3] for row in rows]
    assert ["random-contrast", "translator", "2D, 3D"] in [row[:3] for row in rows]
    assert {row[4] for row in rows} == {f"strokereg {strokereg.__version__}"}


def test_json_says_everything_of_a_spec():
    [row] = json.loads(models("spade", "--json").stdout)
    assert list(row)[:4] == ["name", "role", "dims", "summary"]
    assert (row["name"], row["role"], row["stochastic"], row["paired"]) == ("spade", "translator", True, True)
    assert (row["distribution"], row["version"]) == ("strokereg", strokereg.__version__)


def test_role_and_pattern_narrow_the_list():
    listed = [row["name"] for row in json.loads(models("--role", "translator", "--json", plugins=("good",)).stdout)]
    assert listed == sorted(listed)
    assert {"acme", "pix2pix", "spade"} <= set(listed)
    assert "unet" not in listed
    outcome = models("spaed*")
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("Error: no model matches 'spaed*'; installed are: mask-gan, ")


def test_a_broken_plugin_is_one_line_on_stderr():
    outcome = models(plugins=("misspelt", "good"))
    assert outcome.returncode == 0
    assert "acme\ttranslator\t2D\tone convolution, L1 only\tacme-good 1.2\n" in outcome.stdout
    assert outcome.stderr == "1 plugin is broken: see 'strokereg models --broken'.\n"


def test_broken_lists_fault_and_fix():
    outcome = models("--broken", plugins=("misspelt", "broken_import", "clashing"))
    rows = {tuple(line.split("\t")[:2]): line.split("\t")[2:] for line in outcome.stdout.splitlines()}
    assert outcome.returncode == 0
    assert "did you mean strokereg_segmenters" in rows["misspelt", "acme-misspelt 0.1"][0]
    fix = "install what provides 'a_package_that_nobody_has', or reinstall the plugin"
    assert rows["broken-import", "acme-broken 0.3"][1] == fix
    ours = f"strokereg {strokereg.__version__}"
    assert rows["pix2pix", "acme-clash 2.0"] == [
        f"shares its name with {ours}",
        "write acme-clash:pix2pix, or uninstall one",
    ]
    assert rows["pix2pix", ours][0] == "shares its name with acme-clash 2.0"
    told = json.loads(models("--broken", "--json", plugins=("misspelt",)).stdout)
    assert [set(row) for row in told] == [{"plugin", "distribution", "version", "reason", "fix"}]


BROKEN = (
    "arguments", "broken_import", "fails_at_import", "hookless", "misspelt", "not_a_spec", "raising_hook",
    "returns_spec", "twice", "unmarked", "wrong_api", "wrong_field", "wrong_role",
)  # fmt: skip


def test_many_broken_distributions_at_once():
    """Thirteen faults and a clash: every good plugin is listed, and every bad one with its reason and the fix."""
    alone = models().stdout.splitlines()
    outcome = models(plugins=(*BROKEN, "good"))
    assert outcome.returncode == 0
    good = "acme\ttranslator\t2D\tone convolution, L1 only\tacme-good 1.2"
    assert sorted(outcome.stdout.splitlines()) == sorted([*alone, good])
    assert outcome.stderr == f"{len(BROKEN)} plugins are broken: see 'strokereg models --broken'.\n"
    rows = [line.split("\t") for line in models("--broken", plugins=(*BROKEN, "good", "clashing")).stdout.splitlines()]
    faults = {plugin: (reason, fix) for plugin, _, reason, fix in rows}
    assert set(faults) == {name.replace("_", "-") for name in BROKEN} | {"pix2pix"}
    assert len({reason for reason, _ in faults.values()}) == len(faults)  # each its own
    assert all(reason and fix for reason, fix in faults.values())


@pytest.mark.slow
def test_what_cannot_be_built_is_found_by_building_it():
    assert models("--broken", plugins=("bad_factories", "good")).stderr == "Nothing is broken.\n"  # seen by its hooks
    rows = json.loads(models("--broken", "--build", "--json", plugins=("bad_factories", "good")).stdout)
    assert {row["distribution"] for row in rows} == {"acme-factories"}
    seen = {row["plugin"]: row["reason"] for row in rows}
    assert "is not installed" in seen["no-package"]
    assert seen["no-default"] == "no-default: option lr has no default"
    assert seen["no-translator"].startswith("does not do what a translator does (")
    assert "without the method read(root)" in seen["no-reader"]
    assert set(seen) == {
        "no-module", "no-class", "no-package", "no-import", "no-network", "no-moves", "no-table", "no-default",
        "no-memory", "no-translator", "no-reader", "no-mixer",
    }  # fmt: skip
    assert all(row["fix"] for row in rows)


def test_it_is_reported_that_nothing_is_broken():
    outcome = models("--broken")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "Nothing is broken.\n")


def test_a_shared_name_is_counted_and_both_stay_usable():
    outcome = models("*:pix2pix", plugins=("clashing", "misspelt", "broken_import"))
    assert [line.split("\t")[0] for line in outcome.stdout.splitlines()] == ["acme-clash:pix2pix", "strokereg:pix2pix"]
    assert outcome.stderr == "2 plugins are broken and 1 name is claimed twice: see 'strokereg models --broken'.\n"


def test_broken_takes_no_pattern():
    outcome = models("--broken", "unet")
    assert outcome.returncode == 2
    assert "leave PATTERN and --role out" in outcome.stderr


@pytest.mark.parametrize("plugin", ["raising_hook", "clashing"])
def test_strict_fails_on_any_fault(plugin):
    outcome = models("--strict", plugins=(plugin,))
    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("Error: ")
    assert len(outcome.stderr.splitlines()) == 1
    assert models("--strict", plugins=("good",)).returncode == 0


def test_plugins_can_be_left_out():
    outcome = models("--strict", plugins=("raising_hook", "clashing"), STROKEREG_DISABLE_PLUGINS="*")
    assert outcome.returncode == 0
    assert "acme" not in outcome.stdout


ARCHITECTURES = Path(__file__).parents[2] / "docs" / "reference" / "architectures.md"


def test_the_page_of_architectures_lists_what_is_registered():
    rows = [line.split("|") for line in ARCHITECTURES.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    listed = {role.strip(): re.findall(r"`([\w-]+)`", names) for _, role, _, names, _ in rows[1:]}
    registered: dict[str, list[str]] = {}
    for row in json.loads(models("strokereg:*", "--json").stdout):
        registered.setdefault(row["role"], []).append(row["name"])
    assert listed == registered
    plain = [row["name"] for row in json.loads(models("strokereg:*", "--json").stdout) if row["dims"] == [2]]
    assert re.findall(r"`([\w-]+)` \(2D only\)", ARCHITECTURES.read_text(encoding="utf-8")) == plain


def test_every_built_in_network_claims_every_export():
    """As the page of architectures says; the conformance checks test each claim."""
    table = models("strokereg:*", "--markdown", "--exports").stdout.splitlines()
    assert {tuple(row.split(" | ")[3:]) for row in table[2:]} == {("yes", "yes", "yes |")}
    assert models("--exports").returncode == 2


def test_markdown_is_for_the_list_only():
    assert models("--markdown", "--json").returncode == 2
    assert models("spade", "--markdown").stdout.splitlines()[2].startswith("| `spade` | translator | 2D, 3D |")
