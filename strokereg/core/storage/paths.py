"""The rules of Windows for paths. It gives no clear error itself: a file named `aux` would be written to a device."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path, PureWindowsPath

from strokereg.registry.errors import InputError

_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
_FORBIDDEN = '<>:"|?*'
_LONGEST = 259  # characters of an absolute path, unless long paths are enabled


def check_path(path: Path) -> None:
    """Refuse a path that Windows cannot write; other systems take any.

    Raises:
        InputError: names the part that is wrong.
    """
    if os.name != "nt":
        return
    if fault := windows_fault(PureWindowsPath(os.path.abspath(path)), _long_paths()):
        raise InputError(f"{path}: {fault}")


def windows_fault(path: PureWindowsPath, long_paths: bool = False) -> str:
    """What is wrong with an absolute path on Windows, and the fix; empty if nothing is.

    Args:
        long_paths: paths of more than 259 characters are enabled on this machine.
    """
    for part in path.relative_to(path.anchor).parts:
        if part.split(".")[0].rstrip(" ").lower() in _DEVICES:
            return f"Windows reserves the name {part}; choose another"
        if part.endswith((" ", ".")) or any(sign in _FORBIDDEN or ord(sign) < 32 for sign in part):
            return f"Windows allows no file named {part!r}; leave out {_FORBIDDEN} and a last dot or space"
    if len(str(path)) > _LONGEST and not long_paths:
        return f"has {len(str(path))} characters, and Windows allows {_LONGEST}; choose a shorter folder"
    return ""


def _long_paths() -> bool:
    try:
        return bool(ctypes.WinDLL("ntdll").RtlAreLongPathsEnabled())  # type: ignore[attr-defined, unused-ignore]
    except (AttributeError, OSError):
        return False
