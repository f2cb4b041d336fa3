"""Where the tools work: processes that die, cores to share, clusters that are not there."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future
from pathlib import Path
from typing import Any

import joblib
import pytest
from pandas import DataFrame

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools import cluster, pool
from freqai_lstm.tools.cache import DiskCache
from freqai_lstm.tools.cluster import RayPool, open_pool
from freqai_lstm.tools.features import PairFeatures, StoredLabels
from freqai_lstm.tools.pool import Job, Pool, work_off


def test_pool_whose_worker_died_starts_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def close(task: str, features: PairFeatures) -> Any:
        # Sent as it is: the process knows nothing of this module.
        import os

        if task == "die":
            os._exit(1)
        values = features.frame["close"].to_numpy()
        owner: Any = values
        while getattr(owner, "base", None) is not None:
            owner = owner.base
        return values.sum(), type(owner).__name__, os.environ["OMP_NUM_THREADS"]

    monkeypatch.setattr(pool, "_prepare", None)
    cache, frame = DiskCache(tmp_path), DataFrame({"close": [1.0, 2.0]})
    file = cache.keep("features", {"frame": frame})
    with Pool(count=1, threads=3) as workers:
        shared = workers.share(PairFeatures(frame, StoredLabels(cache, "key"), file))
        died = workers.submit(close, "die", shared)
        assert isinstance(died.exception(timeout=60), BrokenExecutor)
        # The frame is mapped: it was not sent.
        expected = (3.0, "mmap", "3")
        assert workers.submit(close, "live", shared).result(timeout=60) == expected
    assert file.exists()


WORKER = """
import multiprocessing, os, time
from freqai_lstm.tools.pool import _prepare

def work(parent):
    _prepare(parent, None)
    print("at work", flush=True)
    time.sleep(3600)

multiprocessing.get_context("fork").Process(target=work, args=(os.getpid(),)).start()
time.sleep(3600)
"""


def test_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "at work\n"
        parent.kill()
        # The pipe has an end only when the worker is gone as well.
        assert parent.communicate(timeout=60) == ("", None)


@pytest.mark.parametrize(
    ("cores", "threads", "jobs", "expected"),
    [(8, 1, None, (8, 1)), (8, 4, None, (2, 4)), (8, 16, None, (1, 8)), (8, 4, 4, (4, 2))],
)
def test_workers_share_the_cores(
    monkeypatch: pytest.MonkeyPatch,
    cores: int,
    threads: int,
    jobs: int | None,
    expected: tuple[int, int],
) -> None:
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    made = open_pool(jobs, None, threads=threads)
    assert isinstance(made, Pool)
    assert (made.count, made.threads) == expected


# Jobs


class Played:
    """Ends each job a moment after it was submitted, as it is told to."""

    capacity = 3
    threads = 1

    def __init__(self, end: Callable[[Any], Any]) -> None:
        self.end = end
        self.submitted: list[Any] = []
        self.most = 0
        self._running: list[tuple[Any, Future[Any]]] = []

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        self.submitted.append(arguments[0])
        self._running.append((arguments[0], future))
        self.most = max(self.most, len(self._running))
        threading.Timer(0.05, self._end_one, [arguments[0], future]).start()
        return future

    def _end_one(self, task: Any, future: "Future[Any]") -> None:
        self._running.remove((task, future))
        result = self.end(task)
        if isinstance(result, BaseException):
            future.set_exception(result)
        else:
            future.set_result(result)


def jobs_of(tasks: range) -> Iterator[Job]:
    return (Job(task, (abs, task)) for task in tasks)


def test_every_job_runs_once_with_no_more_at_a_time_than_there_is_room_for() -> None:
    played: Any = Played(lambda task: -task)
    found = {task: future.result() for task, future in work_off(played, jobs_of(range(8)))}
    assert found == {task: -task for task in range(8)}
    assert played.submitted == list(range(8))
    assert played.most == 3


def test_jobs_that_a_dead_worker_took_along_run_again_one_by_one() -> None:
    def end(task: int) -> Any:
        # The first one kills its worker whenever it runs; the others only ran beside it.
        if task == 0 or played.submitted.count(task) == 1:
            return BrokenExecutor("a worker process was killed")
        return task

    played: Any = Played(end)
    ended = dict(work_off(played, jobs_of(range(3))))
    assert isinstance(ended[0].exception(), BrokenExecutor)
    assert [ended[task].result() for task in (1, 2)] == [1, 2]
    assert sorted(played.submitted) == [0, 0, 1, 1, 2, 2]


def test_jobs_that_come_of_others_are_run_as_well() -> None:
    waiting = [3]

    class Growing:
        def __iter__(self) -> "Growing":
            return self

        def __next__(self) -> Job:
            if not waiting:
                raise StopIteration
            return Job(task := waiting.pop(), (abs, task))

    played: Any = Played(abs)
    for task, _ in work_off(played, Growing()):
        if task:
            waiting.append(task - 1)
    assert played.submitted == [3, 2, 1, 0]


# Clusters


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SettingsError, match=r"--ray: needs Ray.*freqai-lstm\[ray\]"):
        open_pool(1, "local")


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "nonsense"])
def test_ray_address_without_a_cluster_is_named(address: str) -> None:
    with pytest.raises(SettingsError, match=rf"--ray: must be the address .*was '{address}'"):
        RayPool(address, 1, 1)


def test_machine_with_other_packages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = cluster._versions()
    monkeypatch.setattr(cluster, "be_quiet", lambda: None)
    assert cluster._run(expected, abs, -1) == 1
    with pytest.raises(SettingsError, match=r"one has torch \S+ in place of 1\.0$"):
        cluster._run(expected | {"torch": "1.0"}, abs, -1)
