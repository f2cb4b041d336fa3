"""Finds the candles that a backtest needs and does not have, and the commands that get them."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from freqtrade.configuration import TimeRange
from freqtrade.data.dataprovider import DataProvider
from freqtrade.enums import CandleType, TradingMode
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.exchange.exchange import Exchange

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.candles import stored_candles

# Exchanges settle the funding every eight hours at most, whatever timeframe it is stored under.
_FUNDING_INTERVAL = timedelta(hours=8)


@dataclass(frozen=True)
class Needed:
    """The candles of one file that a backtest reads: those that open from ``start`` to ``stop``."""

    pair: str
    timeframe: str
    candle_type: CandleType
    start: datetime
    stop: datetime

    @property
    def interval(self) -> timedelta:
        """Time from one candle to the next."""
        if self.candle_type is CandleType.FUNDING_RATE:
            return _FUNDING_INTERVAL
        return timedelta(seconds=timeframe_to_seconds(self.timeframe))


@dataclass(frozen=True)
class Coverage:
    """How much of what is needed is there.

    :param first: Opening time of the first candle that is there, None without any.
    :param last: Opening time of the last one.
    :param before: Candles missing before the first one; without any candle, all of them.
    :param between: Candles missing between the first and the last one.
    :param after: Candles missing after the last one.
    """

    needed: Needed
    first: datetime | None
    last: datetime | None
    before: int
    between: int
    after: int

    @property
    def missing(self) -> int:
        """Candles that are missing, all of them."""
        return self.before + self.between + self.after


def needed_candles(
    config: Mapping[str, Any], provider: DataProvider, exchange: Exchange, now: datetime
) -> Iterator[Needed]:
    """Give what freqtrade and FreqAI read for a backtest of the configured timerange.

    :param config: freqtrade's configuration, with the strategy's startup candles.
    :param exchange: The exchange, whose markets need not be loaded.
    :param now: The present: later candles cannot be there.
    :raises SettingsError: If the timerange has no start.
    """
    timerange = TimeRange.parse_timerange(config["timerange"])
    if timerange.startdt is None:
        raise SettingsError(f"--timerange: must have a start, was {config['timerange']!r}")
    stop = min(timerange.stopdt or now, now)
    pairs, parameters = config["pairs"], config["freqai"]["feature_parameters"]
    traded = config["candle_type_def"]
    timeframes = dict.fromkeys([config["timeframe"], *parameters["include_timeframes"]])
    for pair in dict.fromkeys([*pairs, *parameters["include_corr_pairlist"]]):
        for timeframe in timeframes:
            candles = provider.get_required_startup(timeframe)
            warm_up = timedelta(seconds=candles * timeframe_to_seconds(timeframe))
            yield Needed(pair, timeframe, traded, timerange.startdt - warm_up, stop)
    if config["trading_mode"] != TradingMode.FUTURES:
        return
    mark = CandleType.from_string(exchange.get_option("mark_ohlcv_price"))
    mark_timeframe = exchange.get_option("mark_ohlcv_timeframe")
    funding_timeframe = exchange.get_option("funding_fee_timeframe")
    for pair in pairs:
        yield Needed(pair, mark_timeframe, mark, timerange.startdt, stop)
        yield Needed(pair, funding_timeframe, CandleType.FUNDING_RATE, timerange.startdt, stop)


def coverage(config: Mapping[str, Any], needed: Needed) -> Coverage:
    """Compare what is needed with the file of the data directory."""
    stored = stored_candles(
        config, needed.pair, needed.timeframe, candle_type=needed.candle_type, fill_missing=False
    )
    dates = stored["date"] if not stored.empty else pd.Series(dtype="datetime64[ns, UTC]")
    # A candle is stored when it has closed.
    newest = needed.stop - needed.interval
    dates = dates[(dates >= needed.start) & (dates <= needed.stop)]
    if dates.empty:
        return Coverage(needed, None, None, (needed.stop - needed.start) // needed.interval, 0, 0)
    first, last = dates.iloc[0].to_pydatetime(), dates.iloc[-1].to_pydatetime()
    whole = (last - first) // needed.interval + 1
    return Coverage(
        needed,
        first,
        last,
        before=(first - needed.start) // needed.interval,
        between=max(whole - len(dates), 0),
        after=max((newest - last) // needed.interval, 0),
    )


# What freqtrade download-data has to be told, by what is missing where.
_WAYS: dict[str, Callable[[Coverage], bool]] = {
    "--erase": lambda found: bool(found.between),
    "--prepend": lambda found: bool(found.before and found.first and not found.between),
    "": lambda found: bool((found.after or not found.first) and not found.between),
}


def download_commands(incomplete: Iterable[Coverage], options: Sequence[str]) -> Iterator[str]:
    """Give the commands that get what is missing.

    freqtrade download-data goes on where the stored candles end. What is missing before them needs
    ``--prepend``, and a hole in them ``--erase``.

    :param options: freqtrade's options that say which bot and which data directory.
    """
    incomplete = list(incomplete)
    for way, applies in _WAYS.items():
        found = [one.needed for one in incomplete if applies(one)]
        if not found:
            continue
        start = min(needed.start for needed in found)
        stop = max(needed.stop for needed in found) + timedelta(days=1, microseconds=-1)
        yield shlex.join(
            [
                *("freqtrade", "download-data", *options),
                *("--timerange", f"{start:%Y%m%d}-{stop:%Y%m%d}"),
                *("--timeframes", *dict.fromkeys(needed.timeframe for needed in found)),
                *("--pairs", *dict.fromkeys(needed.pair for needed in found)),
                *([way] if way else []),
            ]
        )
