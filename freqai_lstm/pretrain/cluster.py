"""Workers on a Ray cluster. Nothing but Ray connects the machines: no shared folder is needed."""

import os
import socket
from concurrent.futures import Future
from importlib.metadata import version
from typing import Any, Self

from pandas import DataFrame

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.pretrain.plan import Task
from freqai_lstm.pretrain.project import Project
from freqai_lstm.pretrain.worker import Outcome, be_quiet, train_task

LOCAL = "local"
"""The address that stands for a cluster of this machine alone, made for the occasion."""

# How often a task starts anew after its machine or its process was lost.
_RETRIES = 5
_TIMEOUT_SECONDS = 10
# What the results depend on.
_PACKAGES = ("freqai-lstm", "freqtrade", "torch", "numpy", "pandas", "scikit-learn")


class RayWorkers:
    """Processes on the machines of a Ray cluster, one for each ``threads`` of its cores.

    :param project: The strategy and its regressor.
    :param address: Where the cluster is, as ``ray.init`` takes it, or ``local``.
    :param count: Number of processes; as many as fit if omitted.
    :param threads: CPU threads of each.
    :param gpu: Whether each needs a GPU.
    :raises SettingsError: If Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self, project: Project, address: str, count: int | None, threads: int, gpu: bool = False
    ) -> None:
        ray = self._ray = _import_ray()
        if address == LOCAL:
            # Of its own accord, Ray would report its use to its makers.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            own: dict[str, Any] = {"include_dashboard": False}
            if count:
                own["num_cpus"] = count * threads
        else:
            own = {"address": address}
        try:
            _connect(address)
            ray.init(log_to_driver=False, configure_logging=False, **own)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"--ray: must be the address of a running Ray cluster, or {LOCAL!r}, was "
                f"{address!r}: {error}"
            ) from error
        count = count or max(int(ray.cluster_resources().get("CPU", 1)) // threads, 1)
        # A worker that is done finds its next task waiting.
        self.capacity = 2 * count
        self._project = ray.put(project)
        self._versions = _versions()
        self._train = ray.remote(num_cpus=threads, num_gpus=int(gpu), max_retries=_RETRIES)(_train)

    def share(self, features: DataFrame) -> Any:
        """Put a frame into the cluster's object store."""
        return self._ray.put(features)

    def submit(self, features: Any, task: Task) -> "Future[Outcome]":
        """Run a task on shared features, and anew where its machine is lost."""
        running = self._train.remote(self._project, features, task, self._versions)
        future: Future[Outcome] = running.future()
        return future

    def flush(self) -> None:
        """Do nothing: tasks run as they are submitted."""

    def __enter__(self) -> Self:
        """Do nothing: the cluster is there."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the cluster; what still runs for this process is stopped."""
        self._ray.shutdown()


def _connect(address: str) -> None:
    """Fail at once where nothing listens: Ray would try for minutes, and end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_TIMEOUT_SECONDS).close()


def _import_ray() -> Any:
    try:
        import ray  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise SettingsError(
            "--ray: needs Ray, which is not installed: pip install 'freqai-lstm[ray]'"
        ) from error
    return ray


def _train(project: Project, features: DataFrame, task: Task, expected: dict[str, str]) -> Outcome:
    if (found := _versions()) != expected:
        differences = [
            f"{name} {found[name]} in place of {expected[name]}"
            for name in _PACKAGES
            if found[name] != expected[name]
        ]
        raise SettingsError(
            f"--ray: each machine of the cluster must have the same packages, one has "
            f"{', '.join(differences)}"
        )
    be_quiet()
    return train_task(project, features, task)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}
