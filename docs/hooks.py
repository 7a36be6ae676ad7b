"""What mkdocs makes from the code: a page that says `<!-- make: NAME -->` gets the part of that name here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import click
from click.testing import CliRunner

from strokereg import _HOME
from strokereg.cli.main import cli

WIDTH = 80
DOCUMENTED = ("strokereg.core", "strokereg.export", "strokereg.registry.catalogue")


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that is not a group, with its words after `strokereg`, in the order of `--help`."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        elif command is not None:
            yield (*path, name), command


def help_texts() -> str:
    """The help of every command."""
    return "\n\n".join(
        f"## {' '.join(path)}\n\n```text\n{_print(*path, '--help')}\n```" for path, _ in commands() if path
    )


def public_names() -> str:
    """An entry for each public function and class that no other section of the page has, for mkdocstrings."""
    return "\n\n".join(
        f"::: {home}.{name}"
        for name, home in sorted(_HOME.items())
        if home.startswith(DOCUMENTED) and not home.endswith(".roles")
    )


MAKE = {
    "commands": help_texts,
    "public names": public_names,
    "models": lambda: _print("models", "strokereg:*", "--markdown"),
    "exports": lambda: _print("models", "strokereg:*", "--markdown", "--exports"),
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in a page; mkdocs calls this for each. Links to `examples` become paths, since the site has no such files.

    Raises:
        KeyError: the page names a part that is not in `MAKE`.
    """
    text = re.sub(r"<!-- make: (.*?) -->", lambda match: MAKE[match[1]](), markdown)
    return re.sub(r"\[[^\]]*\]\((?:\.\./)+(examples/[^)]*)\)", r"`\1`", text)


def _print(*words: str) -> str:
    done = CliRunner().invoke(cli, words, prog_name="strokereg", terminal_width=WIDTH, catch_exceptions=False)
    if done.exit_code:
        raise RuntimeError(f"strokereg {' '.join(words)}: {done.output}")
    return done.stdout.rstrip()
