"""Option types and options that several commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from strokereg.core.scan.view import Convention

Command = TypeVar("Command", bound=Callable[..., Any])
Values = TypeVar("Values", bound=tuple[Any, ...])


def image_options(command: Command) -> Command:
    """Add `--interpolation` and `--scaling`, which control how images are prepared; None if not given."""
    scaling = click.option(
        "--scaling",
        type=click.Choice(("median", "zscore", "percentile")),
        help="How intensities are scaled, from the voxels of the brain.  [default: median]",
    )
    interpolation = click.option(
        "--interpolation", type=click.Choice(("linear", "cubic")), help="Interpolation of images.  [default: linear]"
    )
    return interpolation(scaling(command))


def goes_on(command: Command) -> Command:
    """Say after Ctrl-C that the same command goes on from where it stopped."""

    @functools.wraps(command)
    def called(*args: Any, **given: Any) -> Any:
        try:
            return command(*args, **given)
        except KeyboardInterrupt as error:
            error.add_note("The same command goes on from where it stopped.")
            raise

    return called  # type: ignore[return-value]


def convention_option(command: Command) -> Command:
    """Add `--neurological`, which the command receives as `convention`."""

    def read(ctx: click.Context, param: click.Parameter, neurological: bool) -> Convention:
        return Convention.NEUROLOGICAL if neurological else Convention.RADIOLOGICAL

    text = "Draw pictures with the patient's left on the left.  [default: radiological]"
    return click.option("--neurological", "convention", is_flag=True, callback=read, help=text)(command)


class Words(click.ParamType):
    """Comma-separated words, which `read` converts to a tuple. A `ValueError` becomes the message in `wanted`."""

    wanted = ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, tuple):  # a default
            return value
        try:
            return self.read([word.strip() for word in value.split(",")])
        except ValueError:
            self.fail(f"{value!r}: {self.wanted}", param, ctx)

    def read(self, words: list[str]) -> tuple[Any, ...]:
        raise NotImplementedError


class Names(Words):
    """`pix2pix,spade`."""

    name, wanted = "names", "name at least one"

    def read(self, words: list[str]) -> tuple[str, ...]:
        names = tuple(filter(None, words))
        return _require(names, names)


class NamesOrFile(Names):
    """`sub-1,sub-2`, or a text file with one name a line."""

    name, wanted = "names|file", "name at least one, or give a text file with one name a line"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Any, ...]:
        if isinstance(value, str) and os.path.isfile(value):
            try:
                with open(value, encoding="utf-8-sig") as handle:
                    value = handle.read().replace("\n", ",")
            except (OSError, UnicodeDecodeError):
                self.fail(f"{value!r}: cannot be read as text; {self.wanted}", param, ctx)
        return super().convert(value, param, ctx)


class Cases(Words):
    """Numbers of cases, `10,50,all`; `all` becomes 0."""

    name, wanted = "numbers", "give whole numbers of at least 1, or all, for example 10,50,all"

    def read(self, words: list[str]) -> tuple[int, ...]:
        numbers = tuple(int(word) for word in words if word != "all")
        _require(all(number >= 1 for number in numbers), numbers)
        return tuple(0 if word == "all" else int(word) for word in words)


class Seeds(Words):
    """A number of seeds, `3`, or the seeds themselves, `0,1,2`."""

    name, wanted = "seeds", "give the number of seeds, for example 3, or the seeds themselves, for example 0,1,2"

    def read(self, words: list[str]) -> tuple[int, ...]:
        numbers = tuple(int(word) for word in words)
        if len(numbers) == 1:
            return _require(numbers[0] >= 1, tuple(range(numbers[0])))
        return _require(min(numbers) >= 0, numbers)


class Numbers(Words):
    """Whole numbers, `64,64,64`."""

    name, wanted = "numbers", "give whole numbers, for example 64,64,64"

    def read(self, words: list[str]) -> tuple[int, ...]:
        return tuple(int(word) for word in words)


class Parts(Numbers):
    """Numbers of cases for train, val and test, `110,10,40`."""

    name, wanted = "train,val,test", "give three whole numbers of at least 1, for example 110,10,40"

    def read(self, words: list[str]) -> tuple[int, ...]:
        parts = super().read(words)
        return _require(len(parts) == 3 and min(parts) >= 1, parts)


class Shares(Words):
    """Numbers between 0 and 1, `0.25,0.5`."""

    name, wanted = "shares", "give numbers between 0 and 1, for example 0.25,0.5"

    def read(self, words: list[str]) -> tuple[float, ...]:
        return tuple(float(word) for word in words)


def _require(condition: object, values: Values) -> Values:
    if not condition:
        raise ValueError
    return values


class Pairs(click.ParamType):
    """`key=value`."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, sign, content = value.partition("=")
        if not sign or not key.strip():
            self.fail(f"{value!r}: write it as key=value", param, ctx)
        return key.strip(), content.strip()


class Start(click.Path):
    """The run folder that a training starts from; an exported file or a bundle's name is turned into one."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path: Any = super().convert(value, param, ctx)
        if path.is_dir() or (path.suffix != ".onnx" and len(path.parts) > 1):
            return path
        from strokereg.export.weights import run_of_export

        return run_of_export(path)
