"""Pools that run everything at once, in this process."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self

from freqai_lstm.tools.features import PairFeatures


class InlinePool:
    """Runs each job as it is submitted, and keeps the arguments of all.

    :param stop_after: How many to run before a keyboard interrupt; all by default.
    """

    capacity = 2
    threads = 1

    def __init__(self, stop_after: int | None = None) -> None:
        self.stop_after = stop_after
        self.submitted: list[tuple[Any, ...]] = []

    def share(self, features: PairFeatures) -> Any:
        return features

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        if len(self.submitted) == self.stop_after:
            raise KeyboardInterrupt
        self.submitted.append(arguments)
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:  # noqa: BLE001 - as a pool does
            future.set_exception(error)
        return future

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
