"""The arrows between the rooms hold, and no file outgrows its reader."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "strokereg"
FILES = sorted(PACKAGE.rglob("*.py"))

REGISTRY_MAY = tuple(f"strokereg.core.{name}" for name in ("specs", "errors", "options", "problem"))
API_MAY = ("strokereg.core", "strokereg.registry", "strokereg.export", "strokereg.testing")

# room → what its files may import of strokereg, beside the room itself
ARROWS = {
    "core": (),
    "registry": REGISTRY_MAY,
    "plugins": ("strokereg.core", "strokereg.registry.hooks"),
    "export": ("strokereg.core",),
    "testing": ("strokereg.core", "strokereg.registry", "strokereg.export"),
    "api": (*API_MAY, "strokereg.__version__"),
    "cli": (*API_MAY, "strokereg.api", "strokereg.__version__"),
}


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in the file; `from a import b` gives `a.b`."""
    package = (PACKAGE.name, *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*base, *([node.module] if node.module else [])))
            yield from (f"{start}.{alias.name}" for alias in node.names)


def under(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


def wrong(path: Path, room: str) -> list[str]:
    may = (*ARROWS[room], f"strokereg.{room}")
    ours = [name for name in imports(path) if under(name, "strokereg")]
    return [name for name in ours if not any(under(name, allowed) for allowed in may)]


@pytest.mark.parametrize("room", ARROWS)
def test_arrows_run_one_way(room):
    files = [path for path in FILES if path.relative_to(PACKAGE).parts[0] in (room, f"{room}.py")]
    assert files, f"no file in the room {room}"
    found = {str(path.relative_to(PACKAGE)): wrong(path, room) for path in files}
    assert {path: names for path, names in found.items() if names} == {}


def test_every_file_has_a_room():
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert rooms <= {*ARROWS, "__init__", "__main__"}


def test_the_walk_sees_every_kind_of_import(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "strokereg")
    path = tmp_path / "strokereg" / "core" / "deep" / "file.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import strokereg.cli.main\nfrom strokereg import registry\nfrom ...export import runtime\n"
        "from . import near\nfrom ..case import Case\n"
        "def later():\n    from strokereg.plugins.segmenters.unet import UNet\n"
    )
    assert wrong(path, "core") == [
        "strokereg.cli.main",
        "strokereg.registry",
        "strokereg.export.runtime.segmenter",
        "strokereg.plugins.segmenters.unet.UNet",
    ]


def test_no_files_import_each_other():
    """Not even under TYPE_CHECKING: what needs each other is one thing, or wants a third."""
    modules = {".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path for path in FILES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}

    def home(name):
        while name not in modules:  # `a.b.function` lives in `a.b`
            name = name.rpartition(".")[0]
        return name

    needs = {
        name: {home(other) for other in imports(path) if under(other, "strokereg")} for name, path in modules.items()
    }
    graph = {name: others - {name, "strokereg"} for name, others in needs.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # a CycleError names the circle


def test_no_file_passes_400_lines():
    root = PACKAGE.parent
    files = [*FILES, *(root / "tests").rglob("*.py"), *(root / "benchmarks").rglob("*.py")]
    long = {str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {path: count for path, count in long.items() if count > 400} == {}
