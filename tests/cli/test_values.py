"""Option types: what they accept, and one sentence for what they do not."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from strokereg.cli.values import Cases, Names, NamesOrFile, Numbers, Pairs, Parts, Seeds, Shares, Start


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Names(), "pix2pix, spade,", ("pix2pix", "spade")),
        (NamesOrFile(), "sub-1, sub-2", ("sub-1", "sub-2")),
        (Cases(), "10,50,all", (10, 50, 0)),
        (Seeds(), "3", (0, 1, 2)),
        (Seeds(), "0,7", (0, 7)),
        (Numbers(), "64,64", (64, 64)),
        (Parts(), "110,10,40", (110, 10, 40)),
        (Shares(), "0.25,0.5", (0.25, 0.5)),
        (Pairs(), " name = a=b ", ("name", "a=b")),
    ],
)
def test_values(kind, text, value):
    assert kind.convert(text, None, None) == value
    assert kind.convert(value, None, None) == value  # a default is converted already


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Names(), " , ", "name at least one"),
        (Cases(), "10,many", "give whole numbers of at least 1, or all"),
        (Cases(), "0", "whole numbers of at least 1"),
        (Seeds(), "0", "give the number of seeds"),
        (Seeds(), "1,x", "give the number of seeds"),
        (Numbers(), "64x64", "give whole numbers"),
        (Parts(), "110,10", "give three whole numbers"),
        (Parts(), "110,0,40", "give three whole numbers"),
        (Shares(), "half", "give numbers between 0 and 1"),
        (Pairs(), "lr", "write it as key=value"),
        (Pairs(), "=1", "write it as key=value"),
    ],
)
def test_wrong_values_are_one_sentence(kind, text, said):
    with pytest.raises(click.BadParameter, match=said):
        kind.convert(text, None, None)


def test_names_come_from_a_file_too(tmp_path):
    path = tmp_path / "faulty.txt"
    path.write_text("sub-1\n\n sub-2 \n")
    assert NamesOrFile().convert(str(path), None, None) == ("sub-1", "sub-2")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(click.UsageError, match="cannot be read as text"):
        NamesOrFile().convert(str(path), None, None)


def test_a_training_starts_from_a_run_folder_or_from_what_is_made_into_one(tmp_path, monkeypatch):
    monkeypatch.setattr("strokereg.export.weights.run_of_export", lambda model: tmp_path / f"run of {model}")
    assert Start().convert(str(tmp_path), None, None) == tmp_path
    assert Start().convert("runs/gone", None, None) == Path("runs/gone")  # its own error names --from
    assert Start().convert("sim-dwi-adc", None, None) == tmp_path / "run of sim-dwi-adc"
    assert Start().convert("models/unet.onnx", None, None) == tmp_path / "run of models/unet.onnx"
