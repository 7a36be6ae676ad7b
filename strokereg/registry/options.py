"""Typed options of an architecture: declared once, settable with `--set key=value`, stored with every run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from strokereg.registry.errors import InputError, did_you_mean


class Options(BaseModel):
    """Base of every option table: unknown keys and wrong types are refused, values cannot change later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Augmented(Options):
    """Options of a training that may change its role's augmentation.

    Without changes they read as ever, so a run of the usual recipe is known by the same key.

    Args:
        augment: kind → its value, for example motion 0.1; see `core.train.augmentation.Augmentation`.
    """

    augment: dict[str, float] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _lean(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content = handler(self)
        if not self.augment:
            content.pop("augment", None)
        return content


Table = TypeVar("Table", bound=BaseModel)


def read_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """`["lr=1e-4"]` → `{"lr": "1e-4"}`.

    Raises:
        InputError: a pair without '=' or a key given twice.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.strip():
            raise InputError(f"--set {pair}: write it as key=value, for example --set lr=1e-4")
        if key.strip() in values:
            raise InputError(f"--set {key.strip()} is given twice; keep one of them")
        values[key.strip()] = value.strip()
    return values


def parse(table: type[Table], values: Mapping[str, Any], owner: str) -> Table:
    """Build an option table from plain values or strings.

    Raises:
        InputError: unknown key (with a near-miss hint), wrong type or a value outside its range.
    """
    unknown = [key for key in values if key not in table.model_fields]
    if unknown:
        known = ", ".join(table.model_fields) or "none"
        hint = did_you_mean(unknown[0], table.model_fields)
        raise InputError(f"{owner} has no option {unknown[0]!r}{hint}; its options are: {known}")
    plain = {key: _listed(table.model_fields[key].annotation, value) for key, value in values.items()}
    try:
        return table.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        if first["type"] == "missing":
            raise InputError(f"{owner}: option {where} has no default; give it a value") from error
        raise InputError(f"{owner}: option {where}={first['input']!r}: {first['msg']}") from error


def _listed(kind: Any, value: Any) -> Any:
    """`"8,16"` → `["8", "16"]` where the option takes several values."""
    return value.split(",") if isinstance(value, str) and get_origin(kind) is tuple else value
