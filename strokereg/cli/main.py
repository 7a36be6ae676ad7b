"""The command `strokereg`: a table of subcommands, each imported only when it runs."""

from __future__ import annotations

import errno
import importlib
import os
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from strokereg.registry.errors import StrokeregError, did_you_mean

DEBUG = "STROKEREG_DEBUG"
INTERRUPTED = 130  # exit code after Ctrl-C, as shells have it
# Faults of the disk, which may come up wherever a file is written.
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)

#: Name → (module:attribute, summary in --help).
COMMANDS = {
    "models": ("strokereg.cli.models:models", "List the registered architectures."),
    "check": ("strokereg.cli.check:check", "Run the conformance checks on a model."),
    "new-plugin": ("strokereg.cli.new_plugin:new_plugin", "Create a plugin package to start from."),
    "data": ("strokereg.cli.data.group:data", "Simulate, import, check, label and split cohorts."),
    "train": ("strokereg.cli.train:train", "Train one model on a cohort."),
    "evaluate": (
        "strokereg.cli.evaluate.group:evaluate",
        "Score segmenters, or compare generated masks and images with real ones.",
    ),
    "synthesize": ("strokereg.cli.synthesize:synthesize", "Turn label maps into images, or make a synthetic cohort."),
    "headroom": (
        "strokereg.cli.headroom:headroom",
        "Find how many training steps are needed before more data help.",
    ),
    "compare": (
        "strokereg.cli.compare:compare",
        "Run a study: does a segmenter improve with synthetic training images?",
    ),
    "runs": ("strokereg.cli.runs:runs", "List, inspect and delete the trained runs of studies."),
    "export": ("strokereg.cli.export:export", "Export a trained run for deployment (ONNX, TorchScript …)."),
    "bench": ("strokereg.cli.bench:bench", "Time a run or an exported model on this machine."),
    "segment": ("strokereg.cli.segment:segment", "Segment scans with an exported model; needs no torch."),
    "web": ("strokereg.cli.web:web", "Segment scans in the browser, on a page that this computer serves."),
}


class LazyGroup(click.Group):
    """A click group that imports a subcommand only when it runs.

    Args:
        table: name → (module:attribute, summary in --help).
    """

    def __init__(self, *args: Any, table: Mapping[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, _, attribute = self.table[cmd_name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.table and not args[0].startswith("-"):
            listed = ", ".join(self.table)
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], self.table)}; the commands are: {listed}.")
        return super().resolve_command(ctx, args)


def _show_version(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from strokereg import __version__

        click.echo(f"strokereg {__version__}")
        ctx.exit()


def _keep_debug(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted:
        os.environ[DEBUG] = "1"  # in the environment, so worker processes inherit it


def _add_plugins(ctx: click.Context, option: click.Parameter, paths: tuple[str, ...]) -> None:
    if not paths or ctx.resilient_parsing:
        return
    from strokereg.registry.catalogue import add_plugin, forget
    from strokereg.registry.local import FILES

    before = os.environ.get(FILES)

    def restore() -> None:
        os.environ.pop(FILES, None) if before is None else os.environ.update({FILES: before})
        forget()

    ctx.call_on_close(restore)
    add_plugin(*paths)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: strokereg compare --models pix2pix,spade",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version."
)
@click.option(
    "--debug",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_keep_debug,
    help=f"Show tracebacks of errors (also {DEBUG}=1).",
)
@click.option(
    "--plugin",
    type=click.Path(),
    multiple=True,
    expose_value=False,
    callback=_add_plugins,
    help="Load a plugin from a Python file, or from a folder with an __init__.py.",
)
def cli() -> None:
    """Train and compare models that make synthetic stroke images, and deploy lesion segmenters."""


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        args: the words after `strokereg`; by default those of the process.

    Returns:
        Exit code: 0 success, 1 failure, 2 wrong input, 130 interrupted. A `StrokeregError`, a missing package or a
        disk that cannot be written is reported in one line on stderr; any other exception is a bug and is raised.
    """
    try:
        code = cli.main(args=None if args is None else list(args), prog_name="strokereg", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except StrokeregError as error:
        return _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if not error.name or error.name.partition(".")[0] == "strokereg":
            raise
        return _fail(
            f"this command needs the module {error.name!r}, which is not installed; install what provides it", 1
        )
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption):
            _suggest_set(error)
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort) as error:
        cause = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        interrupted = isinstance(cause, KeyboardInterrupt)
        click.echo(
            " ".join(["Interrupted." if interrupted else "Stopped.", *getattr(cause, "__notes__", ())]), err=True
        )
        return INTERRUPTED if interrupted else 1
    except BrokenPipeError:
        # The reader (such as `| head`) has closed the pipe. Redirect stdout, so Python does not complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror}; make room, or choose a folder that you may write to", 2)


def _suggest_set(error: click.NoSuchOption) -> None:
    """Add to the message that options of a model are given with `--set`, where the command has it."""
    params = error.ctx.command.params if error.ctx else []
    own = next((param for param in params if isinstance(param, click.Option) and "--set" in param.opts), None)
    known = [option.lstrip("-") for param in params for option in param.opts if option.startswith("--")]
    if own is None or did_you_mean(error.option_name.lstrip("-"), known):
        return
    error.possibilities = None  # type: ignore[misc]  # click finds --fold near --lr, by the dashes
    example = re.search(r"--set ([\w-]+\.)?", own.help or "")  # with the name of a model, if it needs one
    name = error.option_name.lstrip("-").replace("-", "_")
    error.message += f" An option of a model is given as --set {(example and example[1]) or ''}{name}=…."


def debugging() -> bool:
    """Whether tracebacks are shown."""
    return os.environ.get(DEBUG, "0") not in ("", "0")


def _fail(sentence: str, code: int) -> int:
    if debugging():
        traceback.print_exc()
    click.echo(f"Error: {sentence}", err=True)
    return code


def run() -> NoReturn:
    """Run the command line of this process and end it with the exit code."""
    code = main()
    if code == INTERRUPTED:
        # Native libraries that Ctrl-C stopped in the middle of their work can crash while Python ends.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
