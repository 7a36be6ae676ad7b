"""The page of the plugin API is true: its code runs, its tables name what there is, and so does its list of signatures.

After a deliberate change of the public API, write the list again: `python tests/registry/test_plugin_api_doc.py`.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

import strokereg
import strokereg.export.run
import strokereg.testing
from strokereg.core.cohort.source import Reader
from strokereg.core.roles import Mixer, Trainable
from strokereg.core.train.tracking import Tracker
from strokereg.registry import hooks
from strokereg.registry.catalogue import READERS, TRACKERS, Catalogue
from strokereg.registry.factory import build_reader, build_tracker
from strokereg.registry.hooks import SPEC_OF_HOOK
from strokereg.registry.problem import Problem
from strokereg.registry.specs import SPEC_OF_ROLE, BundleSpec, ReaderSpec, TrackerSpec

EXAMPLES = Path(__file__).parents[2] / "examples"
PAGES = Path(__file__).parents[2] / "docs" / "reference"
TEXT = (PAGES / "plugin-api.md").read_text(encoding="utf-8")
SIGNATURES = PAGES / "signatures.txt"

IMPORTS = """
import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

import strokereg
"""


def test_the_plugin_of_the_page_is_found_built_and_makes_its_move(tmp_path, monkeypatch):
    (points,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    hooks, network, *_ = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    package, info = tmp_path / "acme_sr", tmp_path / "acme_sr-1.2.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").write_text(hooks)
    (package / "model.py").write_text(IMPORTS + textwrap.dedent(network))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-sr\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        points.replace("project.entry-points.strokereg", "strokereg").replace('"', "")
    )
    monkeypatch.syspath_prepend(tmp_path)

    known = Catalogue()
    assert known.find("acme").origin == "acme-sr 1.2"
    model = known.build("acme", Problem(labels=4), {"lr": "0.1"})
    labels = torch.randint(0, 4, (2, 8, 8))
    batch = strokereg.Batch(labels=labels, image=torch.zeros(2, 1, 8, 8), mask=(labels == 3).float()[:, None])
    [(player, losses)] = model.moves(batch)
    assert model.players()[player].lr == 0.1
    assert losses["l1"].requires_grad


def load_example(name, monkeypatch, **roles):
    """The catalogue with the plugin file of that name in `examples`."""
    monkeypatch.setenv("STROKEREG_PLUGINS", str(EXAMPLES / name))
    return Catalogue(**roles)


def test_the_example_of_a_mixer_mixes(monkeypatch):
    known = load_example("acme_mixer.py", monkeypatch)
    acme = known.build("acme-mixer", Problem(labels=4), {})
    assert isinstance(acme, Mixer)
    host = strokereg.Sample(np.zeros((1, 2, 4, 4), np.float32), np.ones((2, 4, 4), np.uint8), (1, 2))
    donor = strokereg.Sample(np.ones((1, 2, 4, 4), np.float32), np.full((2, 4, 4), 3, np.uint8), (1, 2))
    mixed = acme.mix(host, donor, np.random.default_rng(0))
    assert (mixed.labels == 3).all()
    assert (mixed.image == 1).all()
    assert (host.labels == 1).all()


def test_the_example_of_a_reader_reads(tmp_path, monkeypatch):
    known = load_example("acme_reader.py", monkeypatch, roles=READERS)
    assert not known.quarantined
    root = tmp_path / "scans"
    for path in ("p1/late/b1000.nii.gz", "p1/late/infarct.nii.gz", "p2/late/b1000.nii.gz"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    acme = build_reader(known.find("acme-lab"), {"visit": "late"})
    assert isinstance(acme, Reader)
    assert acme.recognises(root)
    source = acme.read(root)
    assert [case.name for case in source.cases] == ["p1"]
    assert source.left_out == {"p2": "has no infarct.nii.gz; draw it"}
    assert not build_reader(known.find("acme-lab")).recognises(root)


def test_the_example_of_a_tracker_writes(tmp_path, monkeypatch):
    entry = load_example("acme_tracker.py", monkeypatch, roles=TRACKERS).find("acme-log")
    acme = build_tracker(entry, tmp_path / "kept")
    assert isinstance(acme, Tracker)
    acme.begin("unet", {"seed": 0})
    acme.step("unet", 1, {"unet/dice": 0.5})
    acme.end("unet", None)
    acme.close()
    lines = (tmp_path / "kept" / "unet.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"seed": 0}, {"step": 1, "unet/dice": 0.5}, {"failure": None}]


def test_the_tables_name_every_hook_and_field():
    """A name that is added is documented, and one that is documented is there."""
    fields = {
        field.name
        for spec in (*SPEC_OF_ROLE.values(), ReaderSpec, TrackerSpec, BundleSpec)
        for field in dataclasses.fields(spec)
    }
    cells = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("|")]
    named = set(re.findall(r"`(\w+)`", "\n".join(cells)))
    assert set(SPEC_OF_HOOK) | fields == named
    assert set(SPEC_OF_HOOK) == {name for name in vars(hooks) if name.startswith("strokereg_")}


#: Public names that are listed without arguments.
NO_ARGUMENTS = {"__version__", "hookimpl", "InputError", "CHECKS", "Broken"}


def documented():
    """Section → name → function or class: what a plugin writes, the package, and the conformance kit."""
    methods = [(Trainable, "players"), (Trainable, "moves"), (Mixer, "mix"), (Reader, "recognises"), (Reader, "read")]
    methods += [(Tracker, name) for name in ("begin", "step", "end", "close")]
    ours = {name: getattr(strokereg, name) for name in strokereg.__all__} | {"export": strokereg.export.run.export}
    kit = {name: getattr(strokereg.testing, name) for name in strokereg.testing.__all__}
    return {
        "methods that a plugin writes": {name: getattr(role, name) for role, name in methods},
        "strokereg": ours,
        "strokereg.testing": kit,
    }


def signature(name, thing):
    """`create(name, *, role=…, **options)`."""
    if name in NO_ARGUMENTS:
        return name
    words, starred = [], False
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            words.append("*")
        starred |= parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        mark = {parameter.VAR_POSITIONAL: "*", parameter.VAR_KEYWORD: "**"}.get(parameter.kind, "")
        words.append(f"{mark}{parameter.name}{'' if parameter.default is parameter.empty else '=…'}")
    return f"{name}({', '.join(words)})"


def signatures():
    """The list as it should be; `=…` stands for a default."""
    sections = [
        "\n".join([f"# {section}", *(signature(name, thing) for name, thing in names.items())])
        for section, names in documented().items()
    ]
    return "\n\n".join(sections) + "\n"


def test_the_list_of_signatures_is_what_there_is():
    assert SIGNATURES.read_text(encoding="utf-8") == signatures(), (
        f"if you mean the change, run: python tests/registry/{Path(__file__).name}"
    )


def test_hooks_take_no_arguments():
    assert "Hooks take no arguments." in TEXT
    assert [name for name in SPEC_OF_HOOK if inspect.signature(getattr(hooks, name)).parameters] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| `strokereg_mixers` |", "| `strokereg_blenders` |"),
        ("| `torchscript`, `onnx` |", "| `torchscript` |"),
    ],
)
def test_a_wrong_page_is_found(old, new, monkeypatch):
    assert TEXT.count(old) == 1
    monkeypatch.setattr(sys.modules[__name__], "TEXT", TEXT.replace(old, new))
    with pytest.raises(AssertionError):
        compare_page_and_code()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Player(parameters, lr=…, ", "Player(parameters, "),
        ("\nmoves(batch)\n", "\nmoves(batch, step)\n"),
        ("dims=…, options=…, edge=…, expected_failures=…)", "dims=…, options=…, edge=…)"),
        ("Suite(subject, expected=…)\n", ""),
        ("\nInputError\n", "\n"),
        ("\nadd_plugin(*paths)\n", "\nadd_plugin(*paths)\nuncheck(name)\n"),
    ],
)
def test_a_wrong_list_of_signatures_is_found(old, new, tmp_path, monkeypatch):
    listed = SIGNATURES.read_text(encoding="utf-8")
    assert listed.count(old) == 1
    wrong = tmp_path / "signatures.txt"
    wrong.write_text(listed.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "SIGNATURES", wrong)
    with pytest.raises(AssertionError):
        compare_page_and_code()


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        (hooks, "strokereg_blenders", lambda: None),
        (hooks, "strokereg_mixers", lambda config: None),
        (strokereg, "__all__", [*strokereg.__all__, "Catalogue"]),
        (strokereg, "find", lambda name, role=None, version="": None),
        (strokereg, "require_multiple", lambda shape, multiple: None),
        (strokereg.testing, "__all__", strokereg.testing.__all__[:-1]),
    ],
)
def test_an_undocumented_change_is_found(where, name, value, monkeypatch):
    monkeypatch.setattr(where, name, value, raising=False)
    monkeypatch.setattr(strokereg, "Catalogue", Catalogue, raising=False)
    with pytest.raises(AssertionError):
        compare_page_and_code()


def compare_page_and_code():
    test_the_tables_name_every_hook_and_field()
    test_the_list_of_signatures_is_what_there_is()
    test_hooks_take_no_arguments()


if __name__ == "__main__":
    SIGNATURES.write_text(signatures(), encoding="utf-8")
