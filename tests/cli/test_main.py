"""The skeleton of the command line: laziness, exit codes, and what an error looks like."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import types

import click
import pytest

import strokereg
from strokereg.cli import main as module
from strokereg.cli.main import COMMANDS, cli, main
from strokereg.cli.values import goes_on
from strokereg.registry.errors import InputError, RunFailed

HEAVY = ("torch", "torchvision", "timm", "monai", "nibabel", "scipy", "onnxruntime", "onnx", "nilearn")

BLOCKER = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocker())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["--version"], ["models"], ["models", "--json"], ["models", "--help"]]
)
@pytest.mark.parametrize("blocked", [False, True])
def test_the_way_to_a_first_answer_imports_nothing_heavy(words, blocked):
    code = (BLOCKER if blocked else "import sys\n") + (
        "import strokereg\nfrom strokereg.cli.main import main\n"
        f"code = main({words!r})\n"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    outcome = run(code)
    expected = 2 if not words else 0  # click shows the help and counts a missing command as wrong usage
    assert outcome.stderr.splitlines()[-1] == f"{expected} []"
    assert "strokereg" in outcome.stdout + outcome.stderr


def test_help_imports_no_command():
    outcome = run("import sys\nfrom strokereg.cli.main import main\nmain(['--help'])\nprint(*sys.modules)")
    loaded = outcome.stdout.split()
    assert [name for name in loaded if name.startswith("strokereg.cli.")] == ["strokereg.cli.main"]
    assert all(name in outcome.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_has_help(name, capsys):
    assert isinstance(cli.get_command(click.Context(cli), name), click.Command)
    assert main([name, "--help"]) == 0
    assert f"Usage: strokereg {name}" in capsys.readouterr().out


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"strokereg {strokereg.__version__}\n"


def test_wrong_usage_exits_2_with_a_hint(capsys):
    assert main(["modles"]) == 2
    assert "No such command 'modles' (did you mean models?)" in capsys.readouterr().err
    assert main(["models", "--rolle", "x"]) == 2
    assert "--role" in capsys.readouterr().err
    assert main(["models", "--role", "painter"]) == 2


@pytest.fixture
def command(monkeypatch):
    """`command(function)` puts a command named `probe` into the table."""
    monkeypatch.delenv(module.DEBUG, raising=False)

    def add(function):
        probe = types.ModuleType("probe_command")
        probe.probe = click.command()(function)
        monkeypatch.setitem(sys.modules, "probe_command", probe)
        monkeypatch.setitem(COMMANDS, "probe", ("probe_command:probe", "Probe."))

    return add


@pytest.mark.parametrize(("error", "code"), [(InputError, 2), (RunFailed, 1)])
def test_an_error_is_one_line_with_its_exit_code(error, code, command, capsys, monkeypatch):
    def fail():
        raise error("scan.nii.gz: is empty; give another")

    command(fail)
    assert main(["probe"]) == code
    assert capsys.readouterr().err == "Error: scan.nii.gz: is empty; give another\n"
    monkeypatch.setenv(module.DEBUG, "0")
    assert main(["probe"]) == code
    assert "Traceback" not in capsys.readouterr().err
    assert main(["--debug", "probe"]) == code
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.endswith("Error: scan.nii.gz: is empty; give another\n")


def test_ctrl_c_is_one_line_and_130(command, capsys):
    def stop():
        raise KeyboardInterrupt

    command(stop)
    assert main(["probe"]) == 130
    assert capsys.readouterr().err.strip() == "Interrupted."


def test_ctrl_c_says_where_the_same_command_goes_on(command, capsys):
    @goes_on
    def stop():
        raise KeyboardInterrupt

    command(stop)
    assert main(["probe"]) == 130
    assert capsys.readouterr().err.strip() == "Interrupted. The same command goes on from where it stopped."


@pytest.mark.parametrize(
    ("words", "suggested"),
    [
        (["train", "unet", "--data", "cohort", "--lr", "1e-3"], "is given as --set lr=…."),
        (["compare", "--lr", "1e-3"], "is given as --set pix2pix.lr=…."),
        (["train", "unet", "--data", "cohort", "--n-filters", "3"], "is given as --set n_filters=…."),
    ],
)
def test_an_option_of_a_model_is_given_with_set(words, suggested, capsys):
    assert main(words) == 2
    assert suggested in capsys.readouterr().err


def test_an_option_that_is_misspelt_is_no_option_of_a_model(capsys):
    assert main(["train", "unet", "--data", "cohort", "--sedd", "1"]) == 2
    printed = capsys.readouterr().err
    assert "--seed" in printed
    assert "--set sedd" not in printed


def test_a_refused_question_exits_1(command, capsys):
    def ask():
        raise click.Abort

    command(ask)
    assert main(["probe"]) == 1
    assert capsys.readouterr().err.strip() == "Stopped."


def test_an_exit_code_of_a_command_is_kept(command):
    def leave():
        click.get_current_context().exit(1)

    command(leave)
    assert main(["probe"]) == 1


def test_a_missing_package_is_one_line(command, capsys):
    def need():
        import a_package_that_nobody_has  # noqa: F401

    command(need)
    assert main(["probe"]) == 1
    assert capsys.readouterr().err.startswith("Error: this command needs the module 'a_package_that_nobody_has'")


def test_a_bug_keeps_its_traceback(command):
    def bug():
        raise ZeroDivisionError

    command(bug)
    with pytest.raises(ZeroDivisionError):
        main(["probe"])


def test_a_closed_pipe_is_quiet():
    process = subprocess.Popen(
        [sys.executable, "-m", "strokereg", "models", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 1
    process.stderr.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_cannot_be_written_is_one_sentence(number, monkeypatch, capsys):
    def fails(*args):
        raise OSError(number, os.strerror(number), "/data/my file")

    monkeypatch.setattr(module.cli, "main", lambda **settings: fails())
    assert main(["models"]) == 2
    expected = f"Error: /data/my file: {os.strerror(number)}; make room, or choose a folder that you may write to\n"
    assert capsys.readouterr().err == expected


def test_other_faults_of_the_system_are_raised(monkeypatch):
    def fails(**settings):
        raise OSError(errno.EBADF, "bad")

    monkeypatch.setattr(module.cli, "main", fails)
    with pytest.raises(OSError, match="bad"):
        main(["models"])


def test_an_interrupted_process_ends_at_once_and_others_as_usual(monkeypatch):
    """Without the end of the interpreter, in which interrupted native libraries can crash."""
    ended = []

    def leave(code):
        ended.append(code)
        raise SystemExit(code)

    monkeypatch.setattr("os._exit", leave)
    for code in (130, 2):
        monkeypatch.setattr(module, "main", lambda code=code: code)
        with pytest.raises(SystemExit) as end:
            module.run()
        assert end.value.code == code
    assert ended == [130]
