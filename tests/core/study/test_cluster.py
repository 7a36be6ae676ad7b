"""A study on a real Dask scheduler with two workers: the same results, and a killed worker costs its own task only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from strokereg.core.cohort.cohort import open_cohort
from strokereg.core.storage.cache import cache_folder
from strokereg.core.storage.workers import process_context
from strokereg.core.study import executor as loop
from strokereg.core.study.cluster import DaskExecutor, _connect
from strokereg.core.study.compare import RunOptions, compare, run_study
from strokereg.core.study.context import make_context
from strokereg.core.study.executor import NoCallbacks
from strokereg.core.study.local import PRELOAD
from strokereg.registry.catalogue import forget
from strokereg.registry.errors import InputError
from strokereg.registry.local import FILES


class Recorder(NoCallbacks):
    """Callbacks that record every call."""

    def __init__(self):
        self.calls = []

    def __getattr__(self, name):
        return lambda *said: self.calls.append((name, *said))


distributed = pytest.importorskip("distributed", reason="needs the extra strokereg[cluster]")


@contextlib.contextmanager
def cluster(count: int, mark: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """A scheduler and worker processes on loopback, which can import this folder's helpers; gives the address."""
    import dask

    helpers = str(Path(__file__).parent)
    patch.syspath_prepend(helpers)  # workers are sent this path
    environment = {"FAULTY_MARK": str(mark), FILES: f"{helpers}/faulty.py", "STROKEREG_CACHE": str(cache_folder())}
    for name, value in environment.items():
        patch.setenv(name, value)
    forget()
    method = process_context(PRELOAD).get_start_method()  # a worker that is replaced starts at once, too
    with (
        dask.config.set({"distributed.worker.multiprocessing-method": method}),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=50,
            env=environment,
        ) as machines,
    ):
        yield machines.scheduler_address.removeprefix("tcp://")
    forget()


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """The address of a cluster of two workers, and the file by which a translator marks its fault."""
    mark = tmp_path_factory.mktemp("mark") / "died"
    with pytest.MonkeyPatch.context() as patch, cluster(2, mark, patch) as address:
        yield address, mark


@pytest.mark.slow
def test_a_killed_worker_costs_its_own_task_only(workers, small_cohort, small_study, small, tmp_path):
    """The translator kills its process in the middle, once; everything else is what one process finds."""
    address, mark = workers
    settings = small(small_cohort, models=("carvemix", "dies-once"), quality=False)
    callbacks = Recorder()
    context = make_context(settings, open_cohort(small_cohort), tmp_path / "out" / "runs")
    finished = run_study(context, tmp_path / "out", DaskExecutor(address), callbacks, "test")
    assert mark.with_name("died-dies-once").exists()
    assert finished.results.failures == []
    names = [said[1].title for said in callbacks.calls if said[0] == "ended"]
    assert len(names) == len(set(names)) == 5 + 1 + 1 + 2
    assert any(said[0] == "step" and said[4] for said in callbacks.calls)
    arms = {arm.name: arm.seeds for arm in finished.results.arms}
    alone = {arm.name: arm.seeds for arm in small_study.results.arms}
    same = [name for name in arms if name in alone]
    assert len(same) == 3
    assert all(arms[name] == alone[name] for name in same)
    assert all(arms.values())


@pytest.mark.slow
def test_what_hangs_fails_alone_and_its_worker_serves_again(small_cohort, small, tmp_path, monkeypatch):
    """On a cluster of one worker, which all the rest must come to, and which takes the study with it when it ends."""
    with cluster(1, tmp_path / "mark", monkeypatch) as address:
        import faulty

        monkeypatch.setattr(loop, "Silence", faulty.Impatient)
        settings = small(small_cohort, models=("hangs", "carvemix"), quality=False)
        context = make_context(settings, open_cohort(small_cohort), tmp_path / "out" / "runs")
        finished = run_study(context, tmp_path / "out", DaskExecutor(address), NoCallbacks(), "test")
    reasons = [failure.reason for failure in finished.results.failures]
    assert [reason for reason in reasons if "hung" in reason] == [reasons[0]]
    assert "no sign of life for 2 s" in reasons[0]
    evaluated = {arm.name for arm in finished.results.arms if arm.seeds}
    assert evaluated == {"clinical only", "carvemix, synthetic", "carvemix, clinical + synthetic"}


@pytest.mark.slow
def test_what_is_done_needs_no_cluster(small_study, small_cohort, tmp_path, run_small, small_notes):
    from strokereg.core.study.plan import Task

    class StudyContext:
        store = small_study.json.parent / "runs"

    folder = next(StudyContext.store.glob("generator-*"))
    kind, _, rest = folder.name.partition("-")
    done = Task(kind, rest.rpartition("-")[2], rest.rpartition("-")[0], 3, 0)
    assert DaskExecutor("127.0.0.1:1").run(StudyContext, [done], NoCallbacks()) == {}


def test_wrong_addresses_are_refused(small_cohort, tmp_path, monkeypatch):
    def attempt(executor):
        compare(("carvemix",), small_cohort, tmp_path / "out", "smoke", RunOptions(executor=executor))

    for wrong in ("dusk://here:1", "dask://here", "cluster"):
        with pytest.raises(InputError, match=f"--executor {wrong}: give local, or dask://host:port"):
            attempt(wrong)
    with monkeypatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")
        with pytest.raises(InputError, match="call it without torchrun"):
            attempt("local")
    monkeypatch.setattr("strokereg.core.study.cluster._ANSWER", 0.5)
    with pytest.raises(InputError, match="no Dask scheduler answers there; start one with 'dask scheduler'"):
        _connect("127.0.0.1:1")
