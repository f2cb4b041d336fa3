"""Which models a walk-forward needs, by the names that FreqAI gives them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from freqtrade.configuration import TimeRange
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen


@dataclass(frozen=True)
class Window:
    """One model: trained up to ``start``, it predicts the candles from there to before ``stop``.

    ``folder`` and ``model_filename`` are FreqAI's names, ``trained_timestamp`` is what it notes as
    the end of the training; all times are in seconds.
    """

    pair: str
    start: int
    stop: int
    folder: str
    model_filename: str
    trained_timestamp: int

    @property
    def timerange(self) -> str:
        """The candles that it predicts, as freqtrade's ``--timerange`` takes them."""
        return _timerange(self.start, self.stop)


@dataclass(frozen=True)
class Task:
    """Consecutive windows of one pair that one worker trains, oldest first."""

    windows: tuple[Window, ...]

    @property
    def pair(self) -> str:
        """The pair of all windows."""
        return self.windows[0].pair

    @property
    def timerange(self) -> str:
        """The candles that its models predict; FreqAI cuts it into just these windows."""
        return _timerange(self.windows[0].start, self.windows[-1].stop)


def plan_windows(config: dict[str, Any], pair: str) -> list[Window]:
    """Return the windows of a pair as FreqAI cuts the timerange, oldest first.

    :param config: freqtrade's configuration.
    :param pair: The pair.
    :raises OperationalException: If the timerange is open.
    """
    kitchen = FreqaiDataKitchen(config, False, pair)
    windows = []
    for train, backtest in zip(
        kitchen.training_timeranges, kitchen.backtesting_timeranges, strict=True
    ):
        kitchen.set_new_model_names(pair, int(train.stopts))
        windows.append(
            Window(
                pair=pair,
                start=int(backtest.startts),
                stop=int(backtest.stopts),
                folder=kitchen.data_path.name,
                model_filename=kitchen.model_filename,
                trained_timestamp=int(kitchen.buffer_timerange(train).stopts),
            )
        )
    return windows


def missing_tasks(
    windows: Sequence[Window], present: Iterable[Window], continual_learning: bool
) -> list[Task]:
    """Return what is left to train of a pair, in pieces that do not depend on each other.

    :param windows: All windows of the pair, oldest first.
    :param present: Those whose models are there.
    :param continual_learning: Whether each model starts from the one before it. All of them are
        then one piece, and all are trained again if one is missing.
    """
    left = [window for window in windows if window not in set(present)]
    if continual_learning:
        return [Task(tuple(windows))] if left else []
    return [Task((window,)) for window in left]


def _timerange(start: int, stop: int) -> str:
    text: str = TimeRange("date", "date", start, stop).timerange_str
    return text
