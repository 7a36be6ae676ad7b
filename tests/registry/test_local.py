"""Plugin files of one project: found, recorded by their hash, and refused in one sentence."""

from __future__ import annotations

import json
import os
import sys

import pytest

import strokereg
from strokereg.cli.main import main
from strokereg.registry.catalogue import Catalogue
from strokereg.registry.catalogue import forget as forget_plugins
from strokereg.registry.errors import InputError
from strokereg.registry.local import FILES, add_files
from strokereg.registry.problem import Problem

MODEL = """
import torch
import torch.nn.functional as F
from torch import nn
import strokereg

class MyModel(nn.Module):
    def __init__(self, problem, options):
        super().__init__()
        self.count = problem.labels
        self.net = nn.Conv2d(problem.labels, problem.channels, 3, padding=1)

    def forward(self, labels):
        return torch.tanh(self.net(F.one_hot(labels, self.count).movedim(-1, 1).float()))

    def players(self):
        return {"translator": strokereg.Player(list(self.parameters()), lr=1e-3)}

    def moves(self, batch):
        yield "translator", {"l1": F.l1_loss(self(batch.labels).float(), batch.image)}
"""
SPEC = "\nspec = strokereg.TranslatorSpec(name='mymodel', factory='mymodel:MyModel', summary='one convolution')\n"
HOOK = """
@strokereg.hookimpl
def strokereg_translators():
    yield strokereg.TranslatorSpec(name='hooked', factory=f'{__name__}:MyModel', summary='by a hook')
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """`file(text, name)` writes a plugin file; nothing that is loaded outlives the test."""
    monkeypatch.setenv(FILES, "")
    before = set(sys.modules)

    def write(text, name="mymodel.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    yield write
    forget(before)


def forget(before=()):
    for name in set(sys.modules) - set(before):
        if name.startswith("strokereg_local_"):
            del sys.modules[name]
    forget_plugins()


def versions(path):
    forget()
    os.environ[FILES] = ""
    add_files([path])
    return {entry.spec.name: entry.version for entry in Catalogue().entries if not entry.installed}


def test_a_class_and_a_spec_are_enough(file):
    path = file(MODEL + SPEC)
    add_files([path, path])  # twice is once
    known = Catalogue()
    entry = known.find("mymodel", "translator")
    assert (entry.distribution, entry.version[:7], entry.installed) == ("mymodel.py", "sha256:", False)
    assert type(known.build("mymodel", Problem())).__name__ == "MyModel"
    assert "mymodel" not in sys.modules  # so it can shadow no package of that name


def test_hooks_and_folders_work_as_well(file):
    add_files([file(MODEL + HOOK, "hooks.py")])
    file(MODEL, "folder/network.py")
    folder = file("import strokereg" + SPEC.replace("mymodel:MyModel", "folder.network:MyModel"), "folder/__init__.py")
    add_files([folder.parent])
    known = Catalogue()
    assert {entry.spec.name for entry in known.entries if not entry.installed} == {"hooked", "mymodel"}
    known.build("hooked", Problem())
    known.build("mymodel", Problem())


def test_another_text_is_another_version(file):
    first = versions(file(MODEL + SPEC))
    assert versions(file(MODEL + SPEC)) == first
    assert versions(file(MODEL + SPEC + "# another\n")) != first
    folder = file("import strokereg" + SPEC.replace("mymodel:", "folder.network:"), "folder/__init__.py").parent
    file(MODEL, "folder/network.py")
    whole = versions(folder)
    file(MODEL + "# another\n", "folder/network.py")
    assert versions(folder) != whole


def test_what_cannot_be_loaded_is_one_sentence(file, tmp_path):
    file("x = 1\n", "beside.py")
    for text, words in [
        ("import nowhere_to_be_found\n", "install what provides 'nowhere_to_be_found'"),
        ("import beside\n", "put both files into a folder"),
        ("def f(:\n", r"cannot be imported \(SyntaxError"),
        ("import sys\nsys.exit('no licence')\n", r"SystemExit: no licence"),
        (MODEL, "holds no spec"),
        ("def strokereg_translators(): ...\n", "without the mark @strokereg.hookimpl"),
    ]:
        path = file(text)
        with pytest.raises(InputError, match=words) as refused:
            versions(path)
        assert str(refused.value).startswith(str(path))
        assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=r"--plugin .*absent\.py: neither a Python file"):
        add_files([tmp_path / "absent.py"])


def test_a_file_that_changes_while_a_command_runs_is_refused(file):
    path = file(MODEL + SPEC)
    add_files([path])
    file(MODEL + SPEC + "# another\n")
    with pytest.raises(InputError, match="has changed since the command began"):
        Catalogue()


def test_two_files_of_one_name_are_refused(file):
    paths = [file(MODEL + SPEC), file(MODEL + SPEC, "other/mymodel.py")]
    add_files(paths)
    with pytest.raises(InputError, match="another plugin file has the same name"):
        Catalogue()


def test_from_python(file):
    strokereg.add_plugin(file(MODEL + SPEC))
    assert strokereg.available("my*") == ["mymodel"]
    strokereg.create("mymodel", labels=4)


def test_a_run_knows_the_file_that_trained_it(file, small_cohort, tmp_path, capsys):
    path = file(MODEL + SPEC)
    train = ["train", "mymodel", "--data", str(small_cohort), "--out", str(tmp_path / "run")]
    train += ["--steps", "2", "--batch-size", "2", "--spacing", "8", "--cases", "3"]
    assert main(["--plugin", str(path), *train, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["distribution"], record["version"]) == ("mymodel.py", versions(path)["mymodel"])
    os.environ[FILES] = ""
    assert main(["models", "my*"]) == 2  # forgotten when the command is over
    assert main(["export", str(tmp_path / "run")]) == 2
    assert "name it: strokereg --plugin mymodel.py export" in " ".join(capsys.readouterr().err.split())
    file(MODEL + SPEC + "# another\n")
    forget()
    for words, said in [(train, "holds another run"), (["export", str(tmp_path / "run")], "bring the old file back")]:
        assert main(["--plugin", str(path), *words]) == 2
        assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_workers_of_a_study_load_it_too(file, small_cohort, tmp_path, capsys):
    words = ["compare", "--models", "mymodel", "--data", str(small_cohort), "--out", str(tmp_path / "study")]
    words += ["--preset", "smoke", "--workers", "1", "--steps", "segmenter=4", "--spacing", "8", "--json"]
    assert main(["--plugin", str(file(MODEL + SPEC)), *words]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["failures"] == []
    assert results["provenance"]["versions"]["mymodel.py"].startswith("sha256:")
