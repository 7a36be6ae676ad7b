"""A complete plugin distribution out of the templates beside this file."""

from __future__ import annotations

import datetime
import os
import re
import tempfile
from pathlib import Path

from strokereg.registry.errors import InputError, did_you_mean
from strokereg.registry.specs import ROLES, SPEC_OF_ROLE, ReaderSpec

_TEMPLATES = Path(__file__).parent / "templates"
#: What a plugin can be started from: the roles of architectures, and readers.
KINDS = (*ROLES, ReaderSpec.role)
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_SUMMARIES = {
    "generator": "variational autoencoder of lesion masks",
    "translator": "residual blocks from labels to image, L1 only",
    "segmenter": "one halving and a skip, Dice + cross-entropy",
    "mixer": "a donor's lesion at the same place of the host",
    "reader": "one folder a patient, with b1000.nii.gz and infarct.nii.gz",
}
#: What makes it small in its own tests.
_SMALL: dict[str, dict[str, int]] = {
    "generator": {"width": 4, "latent": 8},
    "translator": {"width": 8},
    "segmenter": {"width": 8},
    "mixer": {},
    "reader": {},
}


def new_plugin(name: str, role: str = "translator", out: Path | str | None = None) -> Path:
    """Write a distribution that installs, trains, passes its own tests, and is listed by `strokereg models` at once.

    Args:
        name: of the architecture; lower-case words joined by hyphens.
        role: generator, translator, segmenter, mixer or reader.
        out: folder to make; by default `strokereg-NAME`. It must be empty or not there.

    Returns:
        The folder.

    Raises:
        InputError: a wrong or taken name, an unknown role, or a folder that holds something.
    """
    from strokereg.registry.catalogue import catalogue, readers

    if role not in KINDS:
        raise InputError(f"--role {role}: no such role{did_you_mean(role, KINDS)}; the roles are {', '.join(KINDS)}")
    if not _NAME.fullmatch(name):
        raise InputError(f"{name}: a name is lower-case words joined by hyphens; write for example my-net")
    others = readers() if role == ReaderSpec.role else catalogue()
    taken = [entry.origin for entry in others.entries if entry.spec.name == name]
    if taken:
        raise InputError(f"{name}: the name is taken by {taken[0]}; choose another")
    folder = Path(out) if out else Path(f"strokereg-{name}")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: is there already and not empty; choose another --out or remove it")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-plugin-") as draft:
            for path, text in _files(name, role).items():
                target = Path(draft) / "plugin" / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            if folder.is_dir():
                folder.rmdir()
            os.replace(Path(draft) / "plugin", folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error}); choose another --out") from error
    return folder


def _files(name: str, role: str) -> dict[str, str]:
    """Path → text of every file."""
    import jinja2

    from strokereg import __version__

    package = f"strokereg_{name.replace('-', '_')}"
    small, reads = _SMALL[role], role == ReaderSpec.role
    words = {
        "name": name,
        "role": role,
        "kind": role.capitalize(),
        "class": "".join(word.capitalize() for word in name.split("-")),
        "distribution": f"strokereg-{name}",
        "package": package,
        "module": "reader" if reads else "model",
        "spec": (ReaderSpec if reads else SPEC_OF_ROLE[role]).__name__,
        "summary": _SUMMARIES[role],
        "version": __version__,
        "year": datetime.date.today().year,
        "small_words": "".join(f" --set {key}={value}" for key, value in small.items()),
        "small_python": f", options={small!r}".replace("'", '"') if small else "",
        "try_it": _try_it(name, role),
    }
    engine = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)

    def rendered(path: Path) -> str:
        return engine.from_string(path.read_text(encoding="utf-8")).render(words)

    root = _TEMPLATES / "plugin"
    found = sorted(path for path in root.rglob("*.jinja") if path.is_file())
    files = {path.relative_to(root).as_posix().removesuffix(".jinja"): rendered(path) for path in found}
    if reads:
        del files["tests/test_conformance.py"]  # its rules are for what is trained or mixes
    files[f"package/{words['module']}.py"] = rendered(_TEMPLATES / "models" / f"{role}.py.jinja")
    return {re.sub("^package/", f"{package}/", path): text for path, text in files.items()}


def _try_it(name: str, role: str) -> str:
    """The command that shows what it is worth."""
    if role == "generator":
        return f"strokereg compare --preset smoke --models pix2pix --generator {name}"
    if role == "segmenter":
        return f"strokereg compare --preset smoke --models pix2pix --segmenter {name}"
    if role == ReaderSpec.role:
        return f"strokereg data import FOLDER --out cohort --reader {name}"
    return f"strokereg compare --preset smoke --models pix2pix,{name}"
