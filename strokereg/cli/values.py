"""Option types and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def counted(number: int, word: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


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


class Names(click.ParamType):
    """Comma-separated words: `pix2pix,spade`."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        words = tuple(word.strip() for word in value.split(",") if word.strip())
        return words or self.fail("name at least one", param, ctx)


class Cases(click.ParamType):
    """Comma-separated numbers of cases, `10,50,all`; `all` becomes 0."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(0 if word.strip() == "all" else int(word) for word in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: give whole numbers or all, for example 10,50,all", param, ctx)
        if any(number < 0 or word.strip() == "0" for number, word in zip(numbers, value.split(","), strict=True)):
            self.fail(f"{value!r}: give numbers of at least 1", param, ctx)
        return numbers


class Seeds(click.ParamType):
    """A number of seeds, `3`, or the seeds themselves, `0,1,2`."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(int(word) for word in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: give the number of seeds, for example 3, or the seeds themselves: 0,1,2", param, ctx)
        if min(numbers) < (1 if len(numbers) == 1 else 0):
            self.fail(f"{value!r}: give at least one seed, none below 0", param, ctx)
        return tuple(range(numbers[0])) if len(numbers) == 1 else numbers


class Numbers(click.ParamType):
    """Comma-separated whole numbers: `64,64,64`."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(word) for word in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: give whole numbers, for example 64,64,64", param, ctx)


class Parts(Numbers):
    """Three whole numbers for train, val and test: `110,10,40`."""

    name = "train,val,test"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        parts = super().convert(value, param, ctx)
        if len(parts) != 3 or min(parts) < 1:
            self.fail(f"{value!r}: give three numbers of at least 1, for example 110,10,40", param, ctx)
        return parts


class Shares(click.ParamType):
    """Comma-separated shares: `0.25,0.5`."""

    name = "shares"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(word) for word in value.split(","))
        except ValueError:
            self.fail(f"{value!r}: give numbers between 0 and 1, for example 0.25,0.5", param, ctx)


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
