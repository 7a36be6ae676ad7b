"""The house stays as it is drawn: arrows run one way, files and rooms stay small, and tests mirror the package."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "strokereg"
FILES = sorted(PACKAGE.rglob("*.py"))

#: Rooms from the ground up. A file imports from its own room and from rooms below it.
FLOORS = (
    "registry",
    "core/storage",
    "core/scan",
    "core/brain",
    "core/roles",
    "core/cohort",
    "core/cohort/checks",
    "core/cohort/importing",
    "core/cohort/exporting",
    "core/train",
    "core/simulate",
    "core/tissue",
    "core/synthesis",
    "core/evaluate",
    "core/report",
    "core/study",
    "plugins/blocks",
    "plugins/generators",
    "plugins/translators",
    "plugins/mixers",
    "plugins/segmenters",
    "plugins/readers",
    "plugins/trackers",
    "plugins",
    "export/formats",
    "export/metadata",
    "export/shapes",
    "export/inputs",
    "export/graph",
    "export/runtime",
    "export/verify",
    "export/write",
    "export/scan",
    "export/targets",
    "export/files",
    "export/samples",
    "export/exporter",
    "export/ensemble",
    "export/run",
    "export/check",
    "export/bench",
    "export",
    "testing",
    "cli",
)

#: Neighbours that know nothing of each other, although one stands below the other in the list.
APART = {("core/simulate", "core/train"), ("export", "plugins"), ("testing", "plugins"), ("cli", "plugins")}

FILES_A_ROOM = 16
LINES_A_FILE = 400

#: Modules without a test file of their own, and why.
UNMIRRORED: dict[str, str] = {
    # registry
    "registry/hooks.py": "tests/registry/test_plugin_api_doc.py compares every hook with its documentation",
    "registry/plugin.py": "tests/registry/test_installed.py loads a plugin with each fault",
    "registry/problem.py": "tests/registry/test_catalogue.py builds with right and wrong sizes",
    # core/cohort
    "core/cohort/source.py": "a protocol and its result; core/cohort/test_open.py uses both",
    # core/cohort/checks
    "core/cohort/checks/finding.py": "one record; core/cohort/checks/test_rules.py checks its fields",
    # core/synthesis
    "core/synthesis/cohort.py": "written by synthesize(), see test_synthesize.py",
    # core/evaluate
    "core/evaluate/generators.py": "one training, run by cli/evaluate/test_generator.py",
    "core/evaluate/generated_mask_sheet.py": "drawn by evaluate_generators, see cli/evaluate/test_generator.py",
    "core/evaluate/views.py": "cuts images for core/study/test_translators.py",
    # core/report
    "core/report/losses.py": "one chart, see core/report/test_charts.py",
    "core/report/names.py": "labels of the charts, see core/report/test_charts.py",
    "core/report/svg.py": "drawing helpers, see core/report/test_charts.py",
    # core/study
    "core/study/collect.py": "reads what tasks left, see core/study/test_compare.py and test_tasks.py",
    # plugins/generators
    "plugins/generators/mask_warp.py": "tests/plugins/blocks/test_mask_bank.py uses it as its bank",
    # plugins/readers
    "plugins/readers/decathlon.py": "tests/plugins/test_readers.py reads its layout beside all others",
    "plugins/readers/isles22.py": "tests/plugins/test_readers.py reads its layout beside all others",
    "plugins/readers/isles24.py": "tests/plugins/test_readers.py reads its layout beside all others",
    "plugins/readers/nnunet.py": "tests/plugins/test_readers.py reads its layout beside all others",
    "plugins/readers/strokereg_cohort.py": "tests/plugins/test_readers.py reads its layout beside all others",
    # export
    "export/targets/bundle_transforms.py": "imports MONAI for the bundle; export/targets/test_monai.py runs it there",
    "export/write/onnx_nodes.py": "builds nodes; export/write/test_exact_norm.py and scan/test_assemble.py run them",
    "export/write/program.py": "one call of torch.export; export/write/test_pt2_file.py and test_onnx_file.py read it",
    # testing
    "testing/device_checks.py": "tests/testing/test_faults.py has planted faults for its check",
    "testing/export_checks.py": "tests/testing/test_faults.py has a planted fault for each of its checks",
    "testing/forward_checks.py": "tests/testing/test_faults.py has a planted fault for each of its checks",
    "testing/mixer_checks.py": "tests/testing/test_faults.py has a planted fault for each of its checks",
    "testing/spec_checks.py": "tests/testing/test_faults.py has a planted fault for each of its checks",
    "testing/training_checks.py": "tests/testing/test_faults.py has a planted fault for each of its checks",
    "testing/learning.py": "tests/testing/test_faults.py runs every check through it",
    "testing/subject.py": "tests/testing/test_faults.py runs every check through it",
    "testing/toys.py": "tests/testing/test_faults.py runs every check through it",
    # cli
    "cli/output/estimate.py": "printed by compare --dry-run, see cli/test_compare.py",
    "cli/output/findings.py": "printed by two commands, see cli/test_segment_many.py and evaluate/test_translator.py",
    "cli/evaluate/group.py": "a table of commands, see cli/evaluate/test_generator.py",
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


def room_of(place: str) -> str | None:
    """The room of a dotted name or of a path below the package; None for the package's own public names."""
    parts = place.replace(".", "/").removeprefix("strokereg/").split("/")
    rooms = ("/".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((room for room in rooms if room in FLOORS), None)


def wrong(path: Path) -> list[str]:
    """What a file imports and must not."""
    own = room_of(path.relative_to(PACKAGE).with_suffix("").as_posix())
    assert own is not None, f"{path} is in no room"
    found = []
    for name in imports(path):
        other = room_of(name) if name.startswith("strokereg.") else None
        if other is None or other == own:
            continue
        apart = any(own.startswith(one) and other.startswith(two) for a, b in APART for one, two in ((a, b), (b, a)))
        if apart or FLOORS.index(other) > FLOORS.index(own):
            found.append(name)
    return found


def in_rooms() -> list[Path]:
    return [path for path in FILES if path.parent != PACKAGE and path.parent != PACKAGE / "core"]


def test_arrows_run_one_way():
    found = {str(path.relative_to(PACKAGE)): wrong(path) for path in in_rooms()}
    assert {path: names for path, names in found.items() if names} == {}


def test_the_core_has_only_roles_and_rooms():
    assert [path.name for path in sorted((PACKAGE / "core").glob("*.py"))] == ["__init__.py", "roles.py"]
    assert sorted(path.name for path in PACKAGE.glob("*.py")) == ["__init__.py", "__main__.py"]


def test_the_walk_sees_every_kind_of_import(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path / "strokereg")
    path = tmp_path / "strokereg" / "core" / "scan" / "file.py"
    path.parent.mkdir(parents=True)
    path.write_text(
        "import strokereg.cli.main\nfrom strokereg import registry\nfrom ...export import runtime\n"
        "from . import near\nfrom ..cohort.case import Case\nfrom strokereg.core.storage.files import replacing\n"
        "def later():\n    from strokereg.plugins.segmenters.unet import UNet\n"
    )
    assert wrong(path) == [
        "strokereg.cli.main",
        "strokereg.export.runtime",
        "strokereg.core.cohort.case.Case",
        "strokereg.plugins.segmenters.unet.UNet",
    ]


def test_no_files_import_each_other():
    """Not even under TYPE_CHECKING: what needs each other is one thing, or wants a third."""
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in FILES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}

    def home(name):
        while name not in modules:  # `a.b.function` lives in `a.b`
            name = name.rpartition(".")[0]
        return name

    needs = {
        name: {home(other) for other in imports(path) if other.startswith("strokereg.")}
        for name, path in modules.items()
    }
    graph = {name: others - {name, "strokereg"} for name, others in needs.items()}
    list(graphlib.TopologicalSorter(graph).static_order())  # a CycleError names the circle


def test_no_file_and_no_room_outgrows_its_reader():
    files = [*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    long = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {path: count for path, count in long.items() if count > LINES_A_FILE} == {}
    rooms = {path.parent for path in FILES}
    counts = {str(room.relative_to(ROOT)): len([*room.glob("[!_]*.py")]) for room in rooms}
    assert {room: count for room, count in counts.items() if count > FILES_A_ROOM} == {}


def mirror(path: Path) -> Path:
    place = path.relative_to(PACKAGE)
    return ROOT / "tests" / place.parent / f"test_{place.name}"


def test_tests_mirror_the_package():
    modules = [path for path in FILES if path.name not in ("__init__.py", "__main__.py")]
    missing = {path.relative_to(PACKAGE).as_posix() for path in modules if not mirror(path).is_file()}
    assert missing == set(UNMIRRORED)


@pytest.mark.parametrize("module", UNMIRRORED)
def test_what_has_no_test_file_of_its_own_says_why(module):
    assert len(UNMIRRORED[module].split()) >= 3
