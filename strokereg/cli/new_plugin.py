"""`strokereg new-plugin`: create a plugin package from the templates beside this file."""

from __future__ import annotations

import datetime
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import click

from strokereg.registry.errors import InputError, command, did_you_mean
from strokereg.registry.specs import SPEC_OF_ROLE, ReaderSpec, Role

_TEMPLATES = Path(__file__).parent / "templates"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@dataclass(frozen=True)
class _Template:
    """What differs between roles.

    Attributes:
        summary: of the example model.
        try_it: a command that runs it.
        small: options with which its tests are fast.
    """

    summary: str
    try_it: str
    small: dict[str, int] = field(default_factory=dict)


_STUDY = "strokereg compare --preset smoke --models pix2pix"
_TEMPLATE_OF = {
    Role.GENERATOR: _Template(
        "variational autoencoder of lesion masks", _STUDY + " --generator {name}", {"width": 4, "latent": 8}
    ),
    Role.TRANSLATOR: _Template("residual blocks from label map to image, L1 loss", _STUDY + ",{name}", {"width": 8}),
    Role.SEGMENTER: _Template(
        "one halving with a skip connection, Dice and cross-entropy", _STUDY + " --segmenter {name}", {"width": 8}
    ),
    Role.MIXER: _Template("copies the donor's lesion to the same place in the host", _STUDY + ",{name}"),
    Role.READER: _Template(
        "one folder for each patient, with b1000.nii.gz and infarct.nii.gz",
        "strokereg data import FOLDER --out cohort --reader {name}",
    ),
}


@click.command(epilog="Example: strokereg new-plugin mynet --role translator && pip install -e ./strokereg-mynet")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([str(kind) for kind in _TEMPLATE_OF]),
    default="translator",
    show_default=True,
    help="What the plugin adds.",
)
@click.option("--out", type=click.Path(path_type=Path), help="New folder.  [default: strokereg-NAME]")
def new_plugin(name: str, role: str, out: Path | None) -> None:
    """Create a complete plugin package: a working model (or reader), typed options, tests, README and CI.

    NAME is the name that users will type, in lower case with hyphens: mynet, my-net.
    """
    folder = write_plugin(name, role, out)
    path = folder if folder.is_absolute() else f"./{folder}"  # without a slash, pip would search a package index
    install = command("pip", "install", "-e", path)
    then = "strokereg data readers" if role == Role.READER else f"strokereg check {name}"
    click.echo(f"Install it: {install}   Then try it: {then}", err=True)
    click.echo(str(folder))


def write_plugin(name: str, role: str = Role.TRANSLATOR, out: Path | str | None = None) -> Path:
    """Write a plugin package that can be installed, trained and tested as it is.

    Args:
        name: of the architecture or reader; lower-case words joined by hyphens.
        role: generator, translator, segmenter, mixer or reader.
        out: new folder; by default `strokereg-NAME`. It must be empty or missing.

    Returns:
        The folder.

    Raises:
        InputError: an invalid or taken name, an unknown role, or a folder that is not empty.
    """
    from strokereg.registry.catalogue import catalogue, readers

    if role not in _TEMPLATE_OF:
        hint, known = did_you_mean(role, _TEMPLATE_OF), ", ".join(_TEMPLATE_OF)
        raise InputError(f"--role {role}: no template for this role{hint}; the roles are {known}")
    role = Role(role)
    if not _NAME.fullmatch(name):
        raise InputError(f"{name}: a name is lower-case words joined by hyphens; write for example my-net")
    others = readers() if role is Role.READER else catalogue()
    taken = [entry.origin for entry in others.entries if entry.spec.name == name]
    if taken:
        raise InputError(f"{name}: the name is taken by {taken[0]}; choose another")
    folder = Path(out) if out else Path(f"strokereg-{name}")
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: exists and is not empty; choose another --out or remove it")
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


def _files(name: str, role: Role) -> dict[str, str]:
    """Path → text of every file."""
    import jinja2

    from strokereg import __version__

    package, module = f"strokereg_{name.replace('-', '_')}", "reader" if role is Role.READER else "model"
    template = _TEMPLATE_OF[role]
    words = {
        "name": name,
        "role": role,
        "kind": role.capitalize(),
        "class": "".join(word.capitalize() for word in name.split("-")),
        "distribution": f"strokereg-{name}",
        "package": package,
        "module": module,
        "spec": SPEC_OF_ROLE.get(role, ReaderSpec).__name__,
        "summary": template.summary,
        "version": __version__,
        "year": datetime.date.today().year,
        "small_words": "".join(f" --set {key}={value}" for key, value in template.small.items()),
        "small_python": f", options={template.small!r}".replace("'", '"') if template.small else "",
        "try_it": template.try_it.format(name=name),
    }
    engine = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)

    def rendered(path: Path) -> str:
        return engine.from_string(path.read_text(encoding="utf-8")).render(words)

    root = _TEMPLATES / "plugin"
    found = sorted(path for path in root.rglob("*.jinja") if path.is_file())
    files = {path.relative_to(root).as_posix().removesuffix(".jinja"): rendered(path) for path in found}
    if role is Role.READER:
        del files["tests/test_conformance.py"]  # there are no conformance checks for readers
    files[f"package/{module}.py"] = rendered(_TEMPLATES / "models" / f"{role}.py.jinja")
    return {re.sub("^package/", f"{package}/", path): text for path, text in files.items()}
