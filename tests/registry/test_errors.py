"""Errors: exit codes, parts, hints and short descriptions."""

from __future__ import annotations

import pickle
import shlex
from pathlib import Path

import pytest

from strokereg.registry import errors
from strokereg.registry.errors import (
    FileFault,
    InputError,
    OutputFailed,
    RunFailed,
    command,
    counted,
    describe_error,
    did_you_mean,
)


def test_the_class_decides_the_exit_code():
    assert [error.exit_code for error in (InputError, FileFault, OutputFailed, RunFailed)] == [2, 2, 2, 1]


def test_a_fault_of_a_file_keeps_its_parts_through_pickle():
    fault = pickle.loads(pickle.dumps(FileFault("a/b.nii", "is empty", "give another")))
    assert str(fault) == "a/b.nii: is empty; give another"
    assert (fault.path, fault.fault, fault.fix) == (Path("a/b.nii"), "is empty", "give another")


def test_near_misses_are_suggested():
    assert did_you_mean("spaed", ["spade", "unet"]) == " (did you mean spade?)"
    assert did_you_mean("xyz", ["spade", "unet"]) == ""


@pytest.mark.parametrize(
    ("error", "said"), [(ValueError("first\nsecond"), "ValueError: first"), (MemoryError(), "MemoryError")]
)
def test_an_error_in_a_few_words(error, said):
    assert describe_error(error) == said


def test_commands_to_type_are_quoted_for_the_shell(monkeypatch):
    words = ("strokereg", "data", "split", "my scans/Köln $1")
    assert command(*words) == "strokereg data split 'my scans/Köln $1'"
    assert shlex.split(command(*words)) == list(words)
    assert command("strokereg", "data", "check", "plain/folder") == "strokereg data check plain/folder"
    with monkeypatch.context() as windows:
        windows.setattr(errors.os, "name", "nt")
        typed = command(*words)
    assert typed == 'strokereg data split "my scans/Köln $1"'


def test_counts_are_grammatical():
    assert [counted(number, "case") for number in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]
