"""`strokereg data`: every command has an example, and they work together."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from strokereg.cli.main import main
from strokereg.core.scan.pictures import TRUTH


@pytest.mark.parametrize("command", ["simulate", "split", "import", "readers", "check", "label", "prepare"])
def test_help_has_an_example(capsys, command):
    assert main(["data", command, "--help"]) == 0
    assert "Example: strokereg data" in capsys.readouterr().out


def test_import_check_and_split_of_the_real_case(real_data, tmp_path, capsys):
    out = tmp_path / "isles"
    assert main(["data", "import", str(real_data / "isles22"), "--out", str(out), "--link", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["reader"], done["imported"]) == ("isles22", ["sub-strokecase0009_ses-0001"])
    assert main(["data", "check", str(out), "--sheet", str(tmp_path / "sheet.png"), "--json"]) == 0
    printed = capsys.readouterr()
    checked = json.loads(printed.out)
    assert (checked["cases"], checked["errors"], checked["empty_masks"]) == (1, 0, [])
    assert {finding["rule"] for finding in checked["findings"]} == {"missing_parts"}
    assert "sheet.png" in printed.err
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 16)}
    assert TRUTH in colours  # the outline
    assert main(["data", "split", str(out)]) == 2
    assert "at least 3 subjects" in capsys.readouterr().err
