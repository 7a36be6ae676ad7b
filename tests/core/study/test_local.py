"""Processes of a study: a death costs its own task only, wrong input ends it all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from strokereg.core.study import executor, local
from strokereg.core.study.local import LocalExecutor
from strokereg.core.study.plan import Task, TaskKind
from strokereg.core.study.slots import Slots
from strokereg.registry.errors import InputError


class Recorder:
    """Callbacks that record every call."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *said: self.calls.append((name, *said))

    def about(self, name):
        return [said[1].architecture for said in self.calls if said[0] == name]


def task(name, *needs):
    return Task(kind=TaskKind.SEGMENTER, key=name, architecture=name, cases=1, seed=0, needs=needs)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(tasks, workers)` → failures, callbacks. Pool and deaths are real; `hands.work` stands in for trainings."""
    helpers = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(helpers)  # workers are sent this path
    import hands

    monkeypatch.setattr(local, "perform", hands.work)
    monkeypatch.setattr(executor, "is_done", hands.is_done)

    def do(tasks, workers=2, **settings):
        callbacks = Recorder()
        return LocalExecutor(workers, **settings).run(hands.Context(tmp_path), tasks, callbacks), callbacks

    yield do
    sys.modules.pop("hands", None)


def attempts(folder, name):
    return len(list(folder.glob(f"{name}.begun-*")))


@pytest.mark.slow
def test_a_death_costs_its_own_task_only(run, tmp_path):
    """Whichever worker it is, and while the other is at work."""
    failures, callbacks = run([task("patient"), task("deadly"), task("after", "patient"), task("heir", "deadly")])
    assert set(failures) == {"deadly", "heir"}
    assert "was killed twice, most likely because memory ran out" in failures["deadly"]
    assert failures["heir"] == "needs segmenter deadly (1 cases, clinical, seed 0), which failed"
    assert attempts(tmp_path, "deadly") == 2
    assert attempts(tmp_path, "patient") == 1
    assert sorted(callbacks.about("ended")) == ["after", "deadly", "heir", "patient"]


@pytest.mark.slow
def test_a_task_that_died_once_is_done_alone(run, tmp_path):
    failures, _ = run([task("mortal"), task("plain"), task("lonely")])
    assert failures == {}
    assert attempts(tmp_path, "mortal") == 2
    assert (tmp_path / "mortal.alone").exists()


def test_one_failure_leaves_the_others(run, tmp_path):
    (tmp_path / "earlier.done").touch()
    failures, callbacks = run([task("earlier"), task("raises"), task("plain", "earlier")], workers=1)
    assert failures == {"raises": "ValueError: first line"}
    assert callbacks.about("found") == ["earlier"]
    assert (tmp_path / "plain.done").exists()
    assert attempts(tmp_path, "earlier") == 0


@pytest.mark.slow
def test_what_hangs_fails_alone_and_is_not_tried_again(run, tmp_path):
    failures, callbacks = run(
        [task("hangs"), task("plain"), task("heir", "hangs"), task("after", "plain")], step_limit=8.0
    )
    assert failures == {
        "hangs": "hung after step 1 of 1: no sign of life for 8 s; if its steps are that slow, raise --step-limit",
        "heir": "needs segmenter hangs (1 cases, clinical, seed 0), which failed",
    }
    assert attempts(tmp_path, "hangs") == 1
    assert sorted(callbacks.about("ended")) == ["after", "hangs", "heir", "plain"]


@pytest.mark.slow
def test_a_task_that_leaves_its_process_fails_alone(run, tmp_path):
    failures, _ = run([task("leaves"), task("plain")], workers=1)
    assert list(failures) == ["leaves"]
    assert "died repeatedly" in failures["leaves"]
    assert (tmp_path / "plain.done").exists()


@pytest.mark.slow
def test_a_script_without_a_guard_is_told_so(tmp_path):
    """Its workers would start it again instead of serving, so Python ends them."""
    script = tmp_path / "study.py"
    script.write_text(
        "from pathlib import Path\n"
        "from types import SimpleNamespace\n"
        "from strokereg.core.study.executor import NoCallbacks\n"
        "from strokereg.core.study.local import LocalExecutor\n"
        "from strokereg.core.study.plan import Task, TaskKind\n"
        "context = SimpleNamespace(store=Path(__file__).parent)\n"
        "LocalExecutor(1).run(context, [Task(TaskKind.SEGMENTER, 'k', 'unet', 1, 0)], NoCallbacks())\n"
    )
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert "InputError: worker processes cannot start" in ended.stderr


def test_wrong_input_ends_the_study(run, tmp_path):
    with pytest.raises(InputError, match=r"scan\.nii\.gz: is empty; give another"):
        run([task("wrong"), task("plain", "wrong")], workers=1)
    assert attempts(tmp_path, "plain") == 0


@pytest.mark.slow
def test_a_worker_whose_task_failed_does_no_other(run, tmp_path):
    """A failed assertion on a GPU spoils the process for every later task."""
    failures, _ = run([task("raises"), task("process-a"), task("process-b")], workers=1)
    assert failures == {"raises": "ValueError: first line"}
    spoilt, *others = ((tmp_path / f"{name}.process").read_text() for name in ("raises", "process-a", "process-b"))
    assert spoilt not in others
    assert others[0] == others[1]  # a sound one is used again


@pytest.mark.slow
def test_out_of_memory_is_tried_once_more_alone_and_then_explained(run, tmp_path):
    failures, _ = run([task("greedy"), task("greedy-once"), task("plain")])
    assert failures == {
        "greedy": "memory ran out with batches of 8, twice; "
        "lower --batch-size segmenter=8 or --patch, or use fewer --workers"
    }
    assert attempts(tmp_path, "greedy") == attempts(tmp_path, "greedy-once") == 2
    assert (tmp_path / "greedy-once.alone").exists()


@pytest.mark.slow
def test_each_worker_sees_the_gpu_of_its_place(run, tmp_path):
    failures, _ = run([task("gpu-a"), task("gpu-b")], workers=Slots(3, ("4", "7")))
    assert failures == {}
    assert {(tmp_path / f"gpu-{name}.gpu").read_text() for name in "ab"} == {"4", "7"}


def test_workers_have_the_environment_and_folder_of_the_moment(run, tmp_path, monkeypatch):
    """Their server may have begun with others."""
    for first, second in (("1", None), (None, "2")):
        for name, value in (("HANDS_A", first), ("HANDS_B", second)):
            monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
        place = tmp_path / f"{first}-{second}"
        place.mkdir()
        monkeypatch.chdir(place)
        (tmp_path / "environment.done").unlink(missing_ok=True)
        assert run([task("environment")], workers=1)[0] == {}
        assert (tmp_path / "environment").read_text() == f"{first} {second} {place}"
        (tmp_path / "environment.begun-1").unlink()
