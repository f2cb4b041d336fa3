"""Candles that freqtrade stored, served as they are."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.candles import TIMEFRAMES, candle_end_ms, format_day
from freqai_lstm.replay.market import Candles, FundingRates, Listing, PriceKind, count_pairs
from freqai_lstm.replay.synthetic import COINS

_FILE_NAME = re.compile(
    r"(?P<base>[^_]+)_(?P<quote>[^_]+)_(?P=quote)-(?P<timeframe>\w+)"
    r"-(?P<kind>futures|mark|funding_rate)\.feather"
)
_NEEDED = "files such as BTC_USDT_USDT-1h-futures.feather, as freqtrade download-data writes them"
_MOST_DECIMALS = 8
_KNOWN = {coin.listing.symbol: coin.listing for coin in COINS}


class RecordedMarket:
    """The futures candles of a freqtrade data directory.

    All files are read and checked at once. Each pair serves the timeframes it has files of; what
    was not recorded (mark prices, funding rates) is not served.

    :param datadir: The directory that has the folder ``futures`` in it.
    :param pairs: Pairs to list, such as ``BTC/USDT:USDT``; all that have candles by default.
    :raises ReplayError: If there is nothing to serve, or a file cannot be used.
    """

    def __init__(self, datadir: Path, *, pairs: Sequence[str] | None = None) -> None:
        folder = _futures_folder(datadir)
        self._candles: dict[tuple[str, PriceKind], dict[str, Candles]] = defaultdict(dict)
        self._funding_rates: dict[str, FundingRates] = {}
        found: dict[str, Listing] = {}
        for path in sorted(folder.glob("*.feather")):
            name = _FILE_NAME.fullmatch(path.name)
            if name is None:
                continue
            listing = Listing(name["base"], name["quote"], _MOST_DECIMALS, _MOST_DECIMALS)
            if pairs is None or listing.pair in pairs:
                self._read(path, listing.symbol, name["timeframe"], name["kind"])
                if name["kind"] == "futures":
                    found[listing.symbol] = listing
        _check_pairs(folder, [listing.pair for listing in found.values()], pairs)
        self.listings: Sequence[Listing] = [self._with_rules(listing) for listing in found.values()]
        series = [
            (timeframe, candles)
            for symbol in found
            for timeframe, candles in self._candles[symbol, "last"].items()
        ]
        self.start_ms = min(int(candles.open_ms[0]) for _, candles in series)
        self.end_ms = max(
            int(candle_end_ms(candles.open_ms[-1:], timeframe)[0]) for timeframe, candles in series
        )

    @property
    def identity(self) -> str:
        """Name the market by a digest of its prices."""
        digest = hashlib.sha256()
        for (symbol, price), recorded in sorted(self._candles.items()):
            for timeframe, candles in sorted(recorded.items()):
                digest.update(f"{symbol} {price} {timeframe}".encode())
                digest.update(candles.open_ms.tobytes() + candles.close.tobytes())
        return f"recorded-{digest.hexdigest()[:12]}"

    def timeframes(self, symbol: str, price: PriceKind) -> Sequence[str]:
        recorded = self._candles.get((symbol, price), {})
        return [timeframe for timeframe in TIMEFRAMES if timeframe in recorded]

    def candles(self, symbol: str, price: PriceKind, timeframe: str) -> Candles:
        return self._candles[symbol, price][timeframe]

    def funding_rates(self, symbol: str) -> FundingRates:
        return self._funding_rates.get(symbol, FundingRates.empty())

    def __str__(self) -> str:
        recorded = {
            timeframe
            for listing in self.listings
            for timeframe in self.timeframes(listing.symbol, "last")
        }
        names = " ".join(timeframe for timeframe in TIMEFRAMES if timeframe in recorded)
        return (
            f"{count_pairs(self.listings)}, {names} candles, "
            f"{format_day(self.start_ms)} to {format_day(self.end_ms - 1)}"
        )

    def _read(self, path: Path, symbol: str, file_timeframe: str, kind: str) -> None:
        # freqtrade writes months as "1Mo", because some file systems ignore the case of "1M".
        timeframe = file_timeframe.removesuffix("o")
        if kind == "funding_rate":
            column = "funding_rate" if "funding_rate" in _read_table(path, ()) else "open"
            table = _read_table(path, (column,))
            self._funding_rates[symbol] = FundingRates(_open_ms(table), _floats(table, column))
        elif timeframe in TIMEFRAMES:
            price: PriceKind = "mark" if kind == "mark" else "last"
            columns = ("open", "high", "low", "close", "volume")
            table = _read_table(path, columns)
            values = [_floats(table, column) for column in columns]
            self._candles[symbol, price][timeframe] = Candles(_open_ms(table), *values)

    def _with_rules(self, listing: Listing) -> Listing:
        """Take the trading rules from the candles: as many decimals as they need."""
        series = self._candles[listing.symbol, "last"].values()
        prices = max(_decimals(of) for c in series for of in (c.open, c.high, c.low, c.close))
        volumes = max(_decimals(candles.volume) for candles in series)
        known = _KNOWN.get(listing.symbol, replace(listing, price_decimals=0, quantity_decimals=0))
        return replace(
            known,
            price_decimals=max(prices, known.price_decimals),
            quantity_decimals=max(volumes, known.quantity_decimals),
        )


def _futures_folder(datadir: Path) -> Path:
    if not datadir.is_dir():
        raise ReplayError(f"{datadir} must be a directory with a folder futures; was not found.")
    folder = datadir / "futures"
    if not folder.is_dir():
        inside = ", ".join(sorted(path.name for path in datadir.iterdir())[:5]) or "nothing"
        raise ReplayError(f"{datadir} must have a folder futures in it; has {inside}.")
    return folder


def _check_pairs(folder: Path, found: Sequence[str], pairs: Sequence[str] | None) -> None:
    if not found and pairs is None:
        inside = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        raise ReplayError(f"{folder} must have {_NEEDED}; has {inside}.")
    missing = sorted(set(pairs or ()) - set(found))
    if missing or not found:
        raise ReplayError(
            f"{folder} must have candles of {', '.join(missing) or 'a pair'}"
            f" ({_NEEDED}); has {', '.join(found) or 'none of the pairs asked for'}."
        )


def _read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read a file and check it.

    :raises ReplayError: If it is unreadable, empty, unsorted, or lacks columns or values.
    """
    try:
        table = pd.read_feather(path)
    except (OSError, ValueError) as error:
        raise ReplayError(f"{path} must be a feather file; could not be read: {error}") from error
    missing = [column for column in ("date", *columns) if column not in table]
    if missing:
        raise ReplayError(
            f"{path} must have the columns {', '.join(('date', *columns))};"
            f" has {', '.join(map(str, table.columns)) or 'none'}."
        )
    if table.empty:
        raise ReplayError(f"{path} must have at least one row; has none.")
    if not isinstance(table["date"].dtype, pd.DatetimeTZDtype):
        raise ReplayError(f"{path} must have UTC dates; they are {table['date'].dtype}.")
    if not (table["date"].is_monotonic_increasing and table["date"].is_unique):
        raise ReplayError(f"{path} must have rising dates; some are equal or out of order.")
    for column in columns:
        if not np.isfinite(table[column].to_numpy(dtype=np.float64)).all():
            raise ReplayError(f"{path} must have a number in every row; {column!r} has gaps.")
    return table


def _open_ms(table: pd.DataFrame) -> NDArray[np.int64]:
    naive = table["date"].dt.tz_convert("UTC").dt.tz_localize(None)
    return naive.to_numpy(dtype="datetime64[ms]").astype(np.int64)


def _floats(table: pd.DataFrame, column: str) -> NDArray[np.float64]:
    return table[column].to_numpy(dtype=np.float64)


def _decimals(values: NDArray[np.float64]) -> int:
    """Count the decimals that the values need, at most eight, but for the noise of their sums."""
    for decimals in range(_MOST_DECIMALS):
        if np.allclose(np.round(values, decimals), values, rtol=1e-11, atol=1e-9):
            return decimals
    return _MOST_DECIMALS
