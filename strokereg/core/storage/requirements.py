"""The exact versions of all installed packages, with which a result can be repeated to the last digit."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from strokereg.core.storage.files import write_text

REQUIREMENTS = "requirements.txt"
_TOOLS = ("pip", "setuptools", "wheel")  # change no number


def requirements() -> str:
    """A requirements file of pip that pins every package of this environment.

    What pip cannot fetch by version, such as strokereg itself from a working copy, is a comment.
    """
    pinned, local = dict[str, str](), dict[str, str]()
    for found in metadata.distributions():
        name = found.metadata["Name"]
        if name and name.lower() not in _TOOLS:
            fetched = found.read_text("direct_url.json") is None and name.lower() != "strokereg"
            (pinned if fetched else local).setdefault(name.lower(), f"{name}=={found.version}")
    head = [f"# Python {platform.python_version()}, {platform.system()} {platform.machine()}"]
    head += [f"# installed from a file or folder: {local[name]}" for name in sorted(local)]
    return "\n".join([*head, *(pinned[name] for name in sorted(pinned))]) + "\n"


def write_requirements(folder: Path) -> None:
    """Write `requirements.txt` into a folder, atomically."""
    write_text(folder / REQUIREMENTS, requirements())
