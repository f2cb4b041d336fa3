"""Workers on a Ray cluster, and the choice between them and processes of this machine.

Nothing but Ray connects the machines: no shared folder is needed.
"""

import logging
import os
import socket
from collections.abc import Callable
from concurrent.futures import Future
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import joblib

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.features import PairFeatures
from freqai_lstm.tools.pool import Pool, be_quiet

logger = logging.getLogger(__name__)

LOCAL = "local"
"""The address that stands for a Ray cluster of this machine alone, made for the occasion."""

# How often a task starts anew after its machine or its process was lost.
_RETRIES = 5
_TIMEOUT_SECONDS = 10
# What the results depend on.
_PACKAGES = ("freqai-lstm", "freqtrade", "torch", "numpy", "pandas", "scikit-learn")


def open_pool(
    jobs: int | None,
    ray_address: str | None,
    *,
    threads: int = 1,
    gpu: bool = False,
    log: Path | None = None,
) -> Pool:
    """Return the workers that a command asks for.

    :param jobs: Worker processes; as many as there are cores for if omitted.
    :param ray_address: A Ray cluster's address; processes on this machine if omitted.
    :param threads: CPU threads that each would have, on this machine less if the cores are fewer.
    :param gpu: Whether each needs a GPU, on a cluster.
    :param log: File for what the processes of this machine log; nothing is kept if omitted.
    :raises SettingsError: If the Ray cluster cannot be used.
    """
    if ray_address is not None:
        return RayPool(ray_address, jobs, threads, gpu)
    cores = joblib.cpu_count()
    jobs = jobs or max(cores // threads, 1)
    allowed = min(threads, max(cores // jobs, 1))
    if allowed < threads:
        logger.warning(
            f"trainer_kwargs.num_threads: {allowed} instead of {threads}, since {jobs} workers "
            f"share {cores} cores"
        )
    return Pool(jobs, allowed, log)


class RayPool(Pool):
    """Processes on the machines of a Ray cluster, one for each ``threads`` of its cores.

    :param address: Where the cluster is, as ``ray.init`` takes it, or ``local``.
    :param count: Number of processes; as many as fit if omitted.
    :raises SettingsError: If Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, address: str, count: int | None, threads: int, gpu: bool = False) -> None:
        try:
            ray = self._ray = import_module("ray")
        except ModuleNotFoundError as error:
            raise SettingsError(
                "--ray: needs Ray, which is not installed: pip install 'freqai-lstm[ray]'"
            ) from error
        own: dict[str, Any] = {"address": address}
        if address == LOCAL:
            # Of its own accord, Ray would report its use to its makers.
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            own = {"include_dashboard": False}
            if count:
                own["num_cpus"] = count * threads
        try:
            _connect(address)
            ray.init(log_to_driver=False, configure_logging=False, **own)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"--ray: must be the address of a running Ray cluster, or {LOCAL!r}, was "
                f"{address!r}: {error}"
            ) from error
        count = count or max(int(ray.cluster_resources().get("CPU", 1)) // threads, 1)
        self.capacity, self.threads = 2 * count, threads
        self._versions = _versions()
        self._run = ray.remote(num_cpus=threads, num_gpus=int(gpu), max_retries=_RETRIES)(_run)

    def share(self, features: PairFeatures) -> Any:
        """Put features into the cluster's object store."""
        return self._ray.put(features.for_other_machines())

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Run a function on some machine, and anew where that is lost."""
        return self._run.remote(self._versions, function, *arguments).future()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What still runs for this process is stopped.
        self._ray.shutdown()


def _connect(address: str) -> None:
    """Fail at once where nothing listens: Ray would try for minutes, and end the process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_TIMEOUT_SECONDS).close()


def _run(expected: dict[str, str], function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function on a machine of a cluster, if that has the same packages."""
    found = _versions()
    differences = [
        f"{name} {found[name]} in place of {expected[name]}"
        for name in _PACKAGES
        if found[name] != expected[name]
    ]
    if differences:
        raise SettingsError(
            f"--ray: each machine of the cluster must have the same packages, one has "
            f"{', '.join(differences)}"
        )
    be_quiet()
    return function(*arguments)


def _versions() -> dict[str, str]:
    return {name: version(name) for name in _PACKAGES}
