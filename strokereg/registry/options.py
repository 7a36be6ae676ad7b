"""Typed options: declared once, set with `--set key=value`, stored with every run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from strokereg.registry.errors import InputError, did_you_mean


class Options(BaseModel):
    """Base class of all options and settings. Unknown keys and wrong types are errors; values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Augmented(Options):
    """Settings of a training that can change the augmentation of its role.

    Without changes, `augment` is left out of the serialised settings and so of the keys of caches.

    Args:
        augment: field → value, for example `{"motion": 0.1}`; see `core.train.augmentation.Augmentation`.
    """

    augment: dict[str, float] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content = handler(self)
        if not self.augment:
            content.pop("augment", None)
        return content


Table = TypeVar("Table", bound=BaseModel)


def parse(table: type[Table], values: Mapping[str, Any], owner: str) -> Table:
    """Build options from plain values or strings.

    Args:
        table: the class of the options.
        values: option → value; a comma-separated string is split where the option takes several values.
        owner: what the options belong to; error messages begin with it.

    Raises:
        InputError: an unknown option (with a near-miss hint), a wrong type or a value outside its range.
    """
    unknown = [key for key in values if key not in table.model_fields]
    if unknown:
        known = ", ".join(table.model_fields) or "none"
        hint = did_you_mean(unknown[0], table.model_fields)
        raise InputError(f"{owner} has no option {unknown[0]!r}{hint}; its options are: {known}")
    plain = {key: _split(table.model_fields[key].annotation, value) for key, value in values.items()}
    try:
        return table.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "options"
        if first["type"] == "missing":
            raise InputError(f"{owner}: option {where} has no default; give it a value") from error
        raise InputError(f"{owner}: option {where}={first['input']!r}: {first['msg']}") from error


def _split(kind: Any, value: Any) -> Any:
    """`"8,16"` → `["8", "16"]` where the option takes several values."""
    return value.split(",") if isinstance(value, str) and get_origin(kind) is tuple else value
