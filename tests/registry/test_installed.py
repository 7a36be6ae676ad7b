"""Loading: each way in which a plugin can be wrong puts that plugin, and no other, into quarantine."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from strokereg.registry.errors import RunFailed
from strokereg.registry.installed import DISABLE, TRACE, load_installed

PLUGINS = Path(__file__).parents[1] / "fixtures" / "plugins"

# folder → (distribution, version, words that the reason must hold, words that the fix must hold)
FAULTS = {
    "broken_import": ("acme-broken", "0.3", "cannot be imported", "install what provides 'a_package_that_nobody_has'"),
    "misspelt": ("acme-misspelt", "0.1", "did you mean strokereg_segmenters", "report this"),
    "unmarked": ("acme-unmarked", "0.1", "'strokereg_segmenters' without the mark @strokereg.hookimpl", "report this"),
    "wrong_api": ("acme-future", "9.0", "written for plugin api 99", "that fits this strokereg"),
    "raising_hook": ("acme-raising", "0.1", "RuntimeError: the licence server is down", "uninstall"),
    "not_a_spec": ("acme-dict", "0.1", "yields a dict from strokereg_generators", "report this"),
    "wrong_role": ("acme-role", "0.1", "takes only TranslatorSpec", "report this"),
    "returns_spec": ("acme-single", "0.1", "a hook yields specs", "report this"),
    "arguments": ("acme-arguments", "0.1", "hooks take none", "report this"),
    "hookless": ("acme-hookless", "0.1", "implements none of the hooks", "report this"),
    "fails_at_import": ("acme-native", "2.1", "OSError: libacme.so.3: cannot open", "uninstall"),
    "wrong_field": ("acme-field", "0.1", "gives a wrong spec: ", "that fits this strokereg"),
    "twice": ("acme-twice", "0.1", "claims the name 'duplicate' twice", "report this"),
}


@pytest.mark.parametrize("folder", FAULTS)
def test_a_faulty_plugin_is_quarantined_and_the_others_go_on(folder, catalogue_with):
    known = catalogue_with(folder, "good")
    distribution, version, reason, fix = FAULTS[folder]
    [fault] = known.quarantined
    assert (fault.distribution, fault.version, fault.plugin) == (distribution, version, folder.replace("_", "-"))
    assert reason in fault.reason
    assert fix in fault.fix
    assert {"acme", "pix2pix", "unet"} <= set(known.available())
    assert not [entry for entry in known.entries if entry.distribution == distribution]  # not even its good half
    with pytest.raises(RunFailed, match=f"plugin {fault.plugin!r} of {distribution} {version}"):
        known.check()


def test_all_faults_at_once(catalogue_with):
    known = catalogue_with(*FAULTS, "good")
    assert {fault.distribution for fault in known.quarantined} == {row[0] for row in FAULTS.values()}
    assert {"acme", "pix2pix", "spade"} <= set(known.available(role="translator"))
    with pytest.raises(RunFailed, match=rf"and {len(FAULTS) - 1} more"):
        known.check()


def test_loading_can_be_traced(catalogue_with, monkeypatch, capsys):
    monkeypatch.setenv(TRACE, "1")
    monkeypatch.setenv(DISABLE, "acme-clash")
    catalogue_with("good", "misspelt", "clashing")
    lines = capsys.readouterr().err.splitlines()
    said = {line.split(" of ")[1].split()[0]: line for line in lines if line.startswith("strokereg: plugin ")}
    assert "translator pix2pix" in said["strokereg"]
    assert "translator acme" in said["acme-good"]
    assert "quarantined" in said["acme-misspelt"]
    assert DISABLE in said["acme-clash"]


def test_every_fixture_is_tested():
    folders = {path.name for path in PLUGINS.iterdir() if path.is_dir()}
    assert folders == set(FAULTS) | {"good", "clashing", "bad_factories", "heavy_hooks"}


def test_a_plugin_that_exits_while_imported_is_quarantined(tmp_path, monkeypatch):
    (tmp_path / "acme_exits.py").write_text("import sys\nsys.exit('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    outcome = load_installed([metadata.EntryPoint("exits", "acme_exits", "strokereg")])
    assert outcome.entries == ()
    assert outcome.quarantined[0].reason == "cannot be imported (SystemExit: no licence)"
    assert outcome.quarantined[0].distribution == "unknown"


@pytest.mark.parametrize(
    ("disabled", "left"),
    [
        ("acme_good", {"strokereg", "acme-clash"}),
        ("acme-good, ACME.Clash", {"strokereg"}),
        ("*", {"strokereg"}),
        ("*,strokereg", set()),
        ("", {"strokereg", "acme-good", "acme-clash"}),
    ],
)
def test_distributions_can_be_disabled(disabled, left, catalogue_with, monkeypatch):
    monkeypatch.setenv(DISABLE, disabled)
    assert {entry.distribution for entry in catalogue_with("good", "clashing").entries} == left


def test_built_ins_come_through_the_entry_point():
    points = [point for point in metadata.entry_points(group="strokereg") if point.dist.name == "strokereg"]
    outcome = load_installed(points)
    assert {entry.spec.name for entry in outcome.entries} >= {"mask-gan", "pix2pix", "spade", "unet"}
    assert not outcome.quarantined
    assert load_installed([]).entries == ()  # and through no other door


@pytest.mark.slow
def test_a_distribution_installed_by_pip_is_listed(tmp_path):
    pytest.importorskip("setuptools", reason="setuptools, which builds the fixture offline, is not installed")
    source, target = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for path in (PLUGINS / "good").glob("*.*"):
        if path.is_file():
            (source / path.name).write_bytes(path.read_bytes())
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(target), str(source)], check=True, timeout=120)
    environment = {**os.environ, "PYTHONPATH": str(target)}
    listed = subprocess.run(
        [sys.executable, "-m", "strokereg", "models", "acme-good:*"],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert listed.stdout == "acme\ttranslator\t2D\tone convolution, L1 only\tacme-good 1.2\n"
    assert listed.stderr == ""
