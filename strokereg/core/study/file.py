"""The study file (TOML) holds all settings of a study, so that it can be kept, reviewed and run again.

Its keys are the fields of `StudySettings`, plus `data` and `external`. The preset fills in what is left out. Paths are
relative to the folder of the file; `data = "simulated"` and `mask_library = "cohort"` are names.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from strokereg.core.study.settings import (
    SIMULATED,
    TABLES,
    StudySettings,
    architectures,
    complete_settings,
    study_settings,
)
from strokereg.core.synthesis.mask_library import NAMES as LIBRARIES
from strokereg.registry.errors import InputError, did_you_mean, first_line

PATHS = ("data", "external", "anatomies", "mask_library", "start")
#: Names that stand for data in the place of a folder; a folder of that name is given as `./simulated`.
_NAMED = {"data": (SIMULATED,), "mask_library": LIBRARIES}


def read_study(path: Path | str) -> dict[str, Any]:
    """The arguments for `compare` that a study file gives; `models` may be missing.

    `cases` may hold "all", `seeds` a number of seeds, `spacing` one number, and a list of one name the name itself.

    Raises:
        InputError: names the file and the key that is wrong.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a study file") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits are a ValueError, too
        raise InputError(
            f"{path}: not TOML ({first_line(error)}); see 'strokereg compare --print-study' for the form"
        ) from error
    known = ("data", "external", *StudySettings.model_fields)
    for key in values:
        if key not in known:
            raise InputError(f"{path}: no key {key!r}{did_you_mean(key, known)}; the keys are: {', '.join(known)}")
    if not isinstance(values.get("preset", ""), str):
        raise InputError(f"{path}: preset = {values['preset']!r}; give its name in quotes")
    for key in TABLES:
        if not isinstance(values.get(key, {}), dict) or not all(
            isinstance(v, dict) for v in values.get(key, {}).values()
        ):
            raise InputError(f"{path}: {key} is not a table of tables; write [{key}.NAME] and its values below")
    plain = {key: _plain(path, key, value) for key, value in values.items()}
    checked = {key: value for key, value in plain.items() if key not in ("data", "external")}
    study_settings(checked.pop("preset", "quick"), owner=str(path), **{"models": ("pix2pix",), **checked})
    for key in PATHS:
        if key in plain and str(plain[key]) not in _NAMED.get(key, ()) and not plain[key].is_dir():
            raise InputError(f"{path}: {key}: {plain[key]} is no folder; paths count from the file's own folder")
    return plain


def describe_study(
    models: Sequence[str],
    data: Path | str | None = None,
    preset: str = "quick",
    external: Path | str | None = None,
    **changes: Any,
) -> str:
    """The study file (TOML) of what `compare` would run with these arguments.

    Raises:
        InputError: unknown model or wrong options; the data are not read.
    """
    settings = complete_settings(models, data, preset, **changes)
    return write_study(settings, architectures(settings), data, external)


def write_study(
    settings: StudySettings, names: Iterable[str], data: Path | str | None, external: Path | str | None
) -> str:
    """A study file that gives this study, wherever it lies.

    Args:
        names: the study's architectures; options of others are left out.
    """
    values = settings.model_dump(mode="json", exclude_none=True)
    names = set(names)
    values["options"] = {name: options for name, options in values["options"].items() if name in names and options}
    values["cases"] = [number or "all" for number in values["cases"]]
    where = {"data": data, "external": external}
    where |= {key: getattr(settings, key) for key in PATHS if key not in where}
    values |= {key: _named(key, path) for key, path in where.items() if path is not None}
    flat = {key: value for key, value in values.items() if not isinstance(value, dict)}
    text = tomli_w.dumps(flat | {key: values[key] for key in values if key not in flat})
    return re.sub(r"\[\n((?:    [^\[\]\n]+,\n)+)\]", lambda found: f"[{_line(found[1])}]", text)


def _named(key: str, path: Path | str) -> str:
    return str(path) if str(path) in _NAMED.get(key, ()) else str(Path(path).resolve())


def _line(items: str) -> str:
    """Short lists stand on one line, which tomli-w does not do."""
    return ", ".join(item.strip().removesuffix(",") for item in items.splitlines())


def _plain(path: Path, key: str, value: Any) -> Any:
    if key in PATHS:
        if not isinstance(value, str):
            raise InputError(f"{path}: {key} = {value!r}; give the path of a folder in quotes")
        if value in _NAMED.get(key, ()):
            return value
        return path.parent / Path(value).expanduser()
    if key == "cases":
        return tuple(0 if number == "all" else number for number in (value if isinstance(value, list) else [value]))
    if key == "seeds" and isinstance(value, int):
        return tuple(range(value))
    if key == "spacing" and isinstance(value, (int, float)):
        return (value,) * 3
    if key in ("models", "generators", "segmenters", "shares", "compose", "channels") and not isinstance(value, list):
        return (value,)
    return tuple(value) if isinstance(value, list) else value
