"""Finds the candles that a backtest needs and does not have, and the commands that get them."""

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from freqtrade.configuration import TimeRange
from freqtrade.data.dataprovider import DataProvider
from freqtrade.enums import CandleType, TradingMode
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.exchange.exchange import Exchange
from pandas import Series

from freqai_lstm.exceptions import SettingsError

# Exchanges settle the funding every eight hours at most, whatever timeframe it is stored under.
_FUNDING_INTERVAL = timedelta(hours=8)


@dataclass(frozen=True)
class CandleFile:
    """What tells one file of candles from another."""

    pair: str
    timeframe: str
    candle_type: CandleType

    @property
    def interval(self) -> timedelta:
        """Time from one candle to the next."""
        if self.candle_type is CandleType.FUNDING_RATE:
            return _FUNDING_INTERVAL
        return timedelta(seconds=timeframe_to_seconds(self.timeframe))


@dataclass(frozen=True)
class Needed(CandleFile):
    """The candles of one file that a backtest reads: those that open from ``start`` to ``stop``."""

    start: datetime
    stop: datetime


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


def candle_files(config: Mapping[str, Any], exchange: Exchange) -> Iterator[CandleFile]:
    """Give the files that freqtrade and FreqAI read for a backtest of the configured pairs.

    :param exchange: The exchange, whose markets need not be loaded.
    """
    pairs, parameters = config["pairs"], config["freqai"]["feature_parameters"]
    timeframes = dict.fromkeys([config["timeframe"], *parameters["include_timeframes"]])
    for pair in dict.fromkeys([*pairs, *parameters["include_corr_pairlist"]]):
        for timeframe in timeframes:
            yield CandleFile(pair, timeframe, config["candle_type_def"])
    if config["trading_mode"] != TradingMode.FUTURES:
        return
    mark = CandleType.from_string(exchange.get_option("mark_ohlcv_price"))
    mark_timeframe = exchange.get_option("mark_ohlcv_timeframe")
    funding_timeframe = exchange.get_option("funding_fee_timeframe")
    for pair in pairs:
        yield CandleFile(pair, mark_timeframe, mark)
        yield CandleFile(pair, funding_timeframe, CandleType.FUNDING_RATE)


def needed_candles(
    config: Mapping[str, Any], provider: DataProvider, exchange: Exchange, now: datetime
) -> Iterator[Needed]:
    """Give what freqtrade and FreqAI read of these files for the configured timerange.

    :param config: freqtrade's configuration, with the strategy's startup candles.
    :param exchange: The exchange, whose markets need not be loaded.
    :param now: The present: later candles cannot be there.
    :raises SettingsError: If the timerange has no start.
    """
    timerange = TimeRange.parse_timerange(config["timerange"])
    if timerange.startdt is None:
        raise SettingsError(f"--timerange: must have a start, was {config['timerange']!r}")
    stop = min(timerange.stopdt or now, now)
    for file in candle_files(config, exchange):
        start = timerange.startdt
        if file.candle_type == config["candle_type_def"]:
            candles = provider.get_required_startup(file.timeframe)
            start -= timedelta(seconds=candles * timeframe_to_seconds(file.timeframe))
        yield Needed(file.pair, file.timeframe, file.candle_type, start, stop)


def coverage(needed: Needed, stored: Series) -> Coverage:
    """Compare what is needed with what is stored.

    :param stored: Opening times, in any order.
    """
    # A candle is stored when it has closed.
    newest = needed.stop - needed.interval
    # Funding rates are stored some milliseconds late.
    dates = stored.dt.floor("s").drop_duplicates().sort_values()
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
        if found := [one.needed for one in incomplete if applies(one)]:
            start = min(needed.start for needed in found)
            stop = max(needed.stop for needed in found)
            yield download_command(found, start, stop, [*options], way)


def download_command(
    files: Iterable[CandleFile],
    start: datetime | None,
    stop: datetime | None,
    options: Sequence[str],
    way: str = "",
) -> str:
    """Return the command that gets the candles of some files.

    :param start: From where on; without it and ``stop``, freqtrade's own default.
    :param options: freqtrade's options that say which bot and which data directory.
    :param way: ``--erase``, ``--prepend``, or nothing to go on where the stored candles end.
    """
    files = list(files)
    timerange = []
    if start is not None and stop is not None:
        day_after = stop + timedelta(days=1, microseconds=-1)
        timerange = ["--timerange", f"{start:%Y%m%d}-{day_after:%Y%m%d}"]
    return shlex.join(
        [
            *("freqtrade", "download-data", *options, *timerange),
            *("--timeframes", *dict.fromkeys(file.timeframe for file in files)),
            *("--pairs", *dict.fromkeys(file.pair for file in files)),
            *([way] if way else []),
        ]
    )
