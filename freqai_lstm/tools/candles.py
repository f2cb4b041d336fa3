"""Stored candles, and the timeranges of a walk-forward over them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from freqtrade.configuration import TimeRange
from freqtrade.data.history import get_datahandler, load_pair_history
from freqtrade.enums import CandleType
from freqtrade.exchange import timeframe_to_seconds
from pandas import DataFrame

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import SECONDS_PER_DAY


def stored_candles(
    config: Mapping[str, Any],
    pair: str,
    timeframe: str | None = None,
    *,
    timerange: TimeRange | None = None,
    candle_type: CandleType | None = None,
    fill_missing: bool = True,
) -> DataFrame:
    """Return the candles of a pair that the data directory holds; an empty frame without any.

    :param timeframe: The configuration's by default.
    :param timerange: Only these; all by default.
    :param candle_type: Those that are traded by default.
    :param fill_missing: Whether a missing candle becomes one without trades, as in a backtest.
    """
    return load_pair_history(
        pair=pair,
        timeframe=timeframe or config["timeframe"],
        datadir=config["datadir"],
        timerange=timerange,
        fill_up_missing=fill_missing,
        data_format=config["dataformat_ohlcv"],
        candle_type=candle_type or config["candle_type_def"],
    )


def closed_timerange(text: str) -> TimeRange:
    """Read a timerange that has a start and an end.

    :param text: As freqtrade's ``--timerange`` takes it.
    :raises SettingsError: If one of the two is missing.
    """
    timerange = TimeRange.parse_timerange(text)
    if problems := _open_ends(timerange, text):
        raise SettingsError(*problems)
    return timerange


def _open_ends(timerange: TimeRange, text: str) -> list[str]:
    if timerange.startts and timerange.stopts:
        return []
    return [f"--timerange: must have a start and an end, was {text!r}"]


def with_history(config: Mapping[str, Any]) -> TimeRange:
    """Return the configured timerange, begun as early as its first training and warm-up need.

    :param config: freqtrade's configuration, with the strategy's ``startup_candle_count``.
    """
    timerange = TimeRange.parse_timerange(config["timerange"])
    warm_up = config["startup_candle_count"] * timeframe_to_seconds(config["timeframe"])
    timerange.subtract_start(config["freqai"]["train_period_days"] * SECONDS_PER_DAY + warm_up)
    return timerange


def check_stored(config: Mapping[str, Any], pair: str, first: datetime, last: datetime) -> None:
    """Refuse a pair without candles of the base timeframe from ``first`` to ``last``.

    :raises SettingsError: If there are none, or some are missing before or after those there are.
    """
    handler = get_datahandler(config["datadir"], config["dataformat_ohlcv"])
    start, stop, candles = handler.ohlcv_data_min_max(
        pair, config["timeframe"], config["candle_type_def"]
    )
    if candles and start <= first and stop >= last:
        return
    found = f"{start:%Y-%m-%d} to {stop:%Y-%m-%d}" if candles else "none"
    raise SettingsError(
        f"{config['datadir']}: must hold {config['timeframe']} candles of {pair} from "
        f"{first:%Y-%m-%d} (--timerange less the longest training period) to {last:%Y-%m-%d}, "
        f"had {found}; freqtrade download-data gets them"
    )


@dataclass(frozen=True)
class SplitTimerange:
    """The two parts of a timerange, as freqtrade's ``--timerange`` takes them."""

    search: str
    confirm: str


def split_timerange(
    timerange: str,
    share: float,
    backtest_period_days: float,
    *,
    folds: int = 1,
    gap_seconds: int = 0,
) -> list[SplitTimerange]:
    """Cut a timerange in two, or walk forward over it, where FreqAI's backtest windows end.

    FreqAI cuts a timerange, from its start on, into windows of ``backtest_period_days`` and names
    the model and the predictions of each by its first moment. With the cut on such a boundary, the
    windows of the two parts are the windows of the whole: each is trained once, and every run over
    a part or the whole uses the same model and the same predictions. A cut within a window would
    leave a shorter one, whose predictions FreqAI would not recognise as its own; where a part ends
    a gap before the boundary, the data kitchen does.

    :param timerange: Start and end, such as ``20240101-20240630``.
    :param share: The part to search on first, as a fraction; the nearest boundary is taken that
        leaves at least one window for it, and one to confirm each fold on.
    :param folds: The rest is cut into so many parts to confirm on, and all before such a part is
        searched on.
    :param gap_seconds: What is left out at the end of each part to search on.
    :return: The two parts of each fold, oldest first.
    :raises SettingsError: If the timerange is open or has too few windows, the share is not between
        0 and 1, or the gap leaves nothing to search on.
    """
    whole = TimeRange.parse_timerange(timerange)
    period = int(backtest_period_days * SECONDS_PER_DAY)
    problems = _open_ends(whole, timerange)
    if not 0 < share < 1:
        problems.append(f"--split: must be between 0 and 1, was {share!r}")
    if not problems and whole.stopts - whole.startts <= folds * period:
        times = f"{folds} times (--folds) " if folds > 1 else ""
        problems.append(
            f"--timerange: must be longer than {times}freqai.backtest_period_days, which is"
            f" {backtest_period_days:g}, was {timerange!r}"
        )
    if problems:
        raise SettingsError("\n".join(problems))
    periods = (whole.stopts - whole.startts) / period
    searched = min(max(round(share * periods), 1), math.ceil(periods) - folds)
    if searched * period <= gap_seconds:
        raise SettingsError(
            f"freqai.feature_parameters.label_period_candles: must be less than the "
            f"{searched * backtest_period_days:g} days that are searched on first, since so much "
            f"is left out before the range to confirm on, was {gap_seconds / SECONDS_PER_DAY:g} "
            f"days"
        )
    confirmed = math.ceil(periods) - searched
    cuts = [
        min(whole.startts + (searched + fold * confirmed // folds) * period, whole.stopts)
        for fold in range(folds + 1)
    ]
    return [
        SplitTimerange(
            search=TimeRange("date", "date", whole.startts, cut - gap_seconds).timerange_str,
            confirm=TimeRange("date", "date", cut, stop).timerange_str,
        )
        for cut, stop in pairwise(cuts)
    ]
