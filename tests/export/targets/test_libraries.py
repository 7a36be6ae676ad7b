"""The libraries of the web page come from npm, and only as they were tested."""

import json
import re

import pytest

from strokereg.cli.main import main
from strokereg.core.scan.contrasts import CONTRASTS
from strokereg.export.targets.libraries import libraries
from strokereg.export.targets.web import PAGE
from strokereg.registry.errors import InputError

FAILS = "echo 'npm error no network' >&2; exit 1"
PACKS_ANOTHER = 'for word; do place="$word"; done; mkdir package; echo evil > package/x; tar czf "$place/a.tgz" package'


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "--format web: needs npm once, for the two libraries of the page, and it is not on PATH"),
        (FAILS, r"could not fetch onnxruntime-web@1\.30\.0 \(no network\)"),
        (PACKS_ANOTHER, "from npm does not hold the file that was tested"),
    ],
)
def test_without_npm_or_with_another_file_than_was_tested(unet_run, tmp_path, monkeypatch, capsys, script, message):
    monkeypatch.setenv("STROKEREG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path) if script is None else f"{tmp_path}:/usr/bin:/bin")
    if script is not None:
        (tmp_path / "npm").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "npm").chmod(0o755)
    with pytest.raises(InputError, match=message):
        libraries()
    assert main(["export", str(unet_run), "--format", "web", "--out", str(tmp_path / "out")]) == 2
    assert "Error: --format web: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert list((tmp_path / "cache").glob("web/*")) == []


def test_the_page_knows_the_contrasts_of_the_package():
    (listed,) = re.findall(r"^const CONTRASTS = (\[.*\]);$", (PAGE / "channels.js").read_text("utf-8"), re.MULTILINE)
    assert tuple(json.loads(listed)) == CONTRASTS
