"""Training: a step and a whole fit, against a plain loop and the stock trainer."""

import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from benchmarks.speed.cases import LARGE, SEED_SIZE, Case, make_data, make_trainer
from benchmarks.speed.contenders import PlainLoop, stock_trainer
from benchmarks.speed.timing import in_turns, ratio, timed

Row = tuple[str, ...]
HEADERS = ("case", "what", "contender", "ms a step", "ours / contender")
OURS, PLAIN, PLAIN_FUSED, STOCK = (
    "this package",
    "(a) plain loop",
    "(a) plain loop, fused AdamW",
    "(b) stock FreqAI trainer",
)


def training_rows(*, rounds: int, threads: int, device: str) -> Iterator[Row]:
    """Measure all of it.

    :param rounds: Rounds of the seed-size case; the large case takes a third of them.
    :param threads: CPU threads of every contender.
    :param device: ``cpu`` or ``cuda``.
    :return: Rows of the table.
    """
    small = make_data(SEED_SIZE)
    yield from _rows(SEED_SIZE, "step", small, 24, rounds, threads, device)
    yield from _fit_rows(SEED_SIZE, small, 2, max(rounds // 3, 1), threads, device)
    large = make_data(LARGE)
    yield from _rows(LARGE, "step", large, 4, max(rounds // 3, 1), threads, device)


def _rows(
    case: Case,
    what: str,
    data: dict[str, Any],
    batches: int,
    rounds: int,
    threads: int,
    device: str,
) -> Iterator[Row]:
    """Time some steps without a test split: all of a loop that is paid per step."""
    # Stock FreqAI's trainer knows no number of steps: all get as many rows as make them.
    cut = {name: value[: case.window + batches * case.batch] for name, value in data.items()}
    case = replace(case, test_batches=0)
    ours = make_trainer(case, threads=threads, device=device, n_epochs=1)
    stock = stock_trainer(case, epochs=1, device=device)
    contenders: dict[str, Callable[[], object]] = {
        OURS: lambda: ours.fit(cut, ["train"]),
        STOCK: lambda: stock.fit(cut, ["train"]),
    }
    for name, fused in ((PLAIN, False), (PLAIN_FUSED, True)):
        loop = PlainLoop(case, cut, batches, fused=fused, device=device)
        contenders[name] = loop.epoch
    yield from _table(case, what, in_turns(contenders, rounds), batches)


def _fit_rows(
    case: Case, data: dict[str, Any], epochs: int, rounds: int, threads: int, device: str
) -> Iterator[Row]:
    """Time whole fits: every step, the test split after each epoch, and the logging."""
    splits = ["train", "test"]
    ours = make_trainer(case, threads=threads, device=device, n_epochs=epochs)
    stock = stock_trainer(case, epochs=epochs, device=device)
    loops = {
        PLAIN: PlainLoop(case, data, case.train_batches, fused=False, device=device),
        PLAIN_FUSED: PlainLoop(case, data, case.train_batches, fused=True, device=device),
    }
    contenders: dict[str, Callable[[], object]] = {
        OURS: lambda: ours.fit(data, splits),
        STOCK: lambda: stock.fit(data, splits),
    }
    for name, loop in loops.items():
        contenders[name] = lambda loop=loop: [loop.epoch() for _ in range(epochs)]  # type: ignore[misc]
    yield from _table(case, "whole fit", in_turns(contenders, rounds), case.train_batches * epochs)


def _table(case: Case, what: str, seconds: dict[str, list[float]], steps: int) -> Iterator[Row]:
    for name, times in seconds.items():
        milliseconds = statistics.median(times) * 1e3 / steps
        share = "" if name == OURS else f"{ratio(seconds[OURS], times):.2f}"
        yield case.name, what, name, f"{milliseconds:.2f}", share


GROWTH_HEADERS = ("candles", "training [s]", "s per candle, to 1x", "prediction [s]", "to 1x")


def growth_rows(*, threads: int, device: str, base_candles: int = 1000) -> Iterator[Row]:
    """Time training and prediction of 1x, 2x, 4x and 8x candles."""
    first: tuple[float, float] | None = None
    for factor in (1, 2, 4, 8):
        candles = base_candles * factor
        data = make_data(SEED_SIZE, rows=candles)
        trainer = make_trainer(SEED_SIZE, threads=threads, device=device, n_epochs=1)
        features = torch.tensor(data["train_features"].to_numpy())
        ends = torch.arange(SEED_SIZE.window - 1, candles)
        training = min(timed(lambda: trainer.fit(data, ["train"])) for _ in range(3))  # noqa: B023
        prediction = min(timed(lambda: trainer.predict(features, ends)) for _ in range(3))  # noqa: B023
        first = first or (training, prediction)
        growth = (training / first[0] / factor, prediction / first[1] / factor)
        yield (
            str(candles),
            f"{training:.2f}",
            f"{growth[0]:.2f}",
            f"{prediction:.3f}",
            f"{growth[1]:.2f}",
        )
