"""Candles that freqtrade stored, served as they are."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.candles import TIMEFRAMES, candle_end_ms, format_day
from freqai_lstm.replay.market import (
    Candles,
    FundingRates,
    Listing,
    PriceKind,
    TradingMode,
    count_pairs,
)
from freqai_lstm.replay.synthetic import COINS


@dataclass(frozen=True)
class _Layout:
    """Where freqtrade keeps candles in its data directory, and how it names the files."""

    folder: str
    file_name: re.Pattern[str]
    example: str

    @property
    def needed(self) -> str:
        return f"files such as {self.example}, as freqtrade download-data writes them"


_LAYOUTS: dict[TradingMode, _Layout] = {
    "futures": _Layout(
        "futures",
        re.compile(
            r"(?P<base>[^_]+)_(?P<quote>[^_]+)_(?P=quote)-(?P<timeframe>\d+\w+)"
            r"-(?P<kind>futures|mark|funding_rate)\.feather"
        ),
        "BTC_USDT_USDT-1h-futures.feather",
    ),
    "spot": _Layout(
        ".",
        re.compile(r"(?P<base>[^_]+)_(?P<quote>[^_]+)-(?P<timeframe>\d+\w+)\.feather"),
        "BTC_USDT-1h.feather",
    ),
}
_MOST_DECIMALS = 8
_KNOWN = {coin.listing.symbol: coin.listing for coin in COINS}


class RecordedMarket:
    """The candles of a freqtrade data directory.

    All files are read and checked at once. Each pair serves the timeframes it has files of; what
    was not recorded (mark prices, funding rates) is not served.

    :param datadir: The directory that has the files of spot, and the folder ``futures``, in it.
    :param trading_mode: Which of them to serve.
    :param pairs: Pairs to list, such as ``BTC/USDT:USDT``; all that have candles by default.
    :raises ReplayError: If there is nothing to serve, or a file cannot be used.
    """

    def __init__(
        self,
        datadir: Path,
        *,
        trading_mode: TradingMode = "futures",
        pairs: Sequence[str] | None = None,
    ) -> None:
        self.trading_mode = trading_mode
        layout = _LAYOUTS[trading_mode]
        folder = _candle_folder(datadir, layout)
        self._candles: dict[tuple[str, PriceKind], dict[str, Candles]] = defaultdict(dict)
        self._funding_rates: dict[str, FundingRates] = {}
        found: dict[str, Listing] = {}
        for path in sorted(folder.glob("*.feather")):
            name = layout.file_name.fullmatch(path.name)
            if name is None:
                continue
            listing = Listing(
                *(name["base"], name["quote"], _MOST_DECIMALS, _MOST_DECIMALS),
                trading_mode=trading_mode,
            )
            if pairs is None or listing.pair in pairs:
                kind = name.groupdict().get("kind", trading_mode)
                self._read(path, listing.symbol, name["timeframe"], kind)
                if (listing.symbol, "last") in self._candles:
                    found[listing.symbol] = listing
        _check_pairs(folder, layout, [listing.pair for listing in found.values()], pairs)
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
            trading_mode=self.trading_mode,
            price_decimals=max(prices, known.price_decimals),
            quantity_decimals=max(volumes, known.quantity_decimals),
        )


def _candle_folder(datadir: Path, layout: _Layout) -> Path:
    if not datadir.is_dir():
        raise ReplayError(f"{datadir} must be a directory of freqtrade's candles; was not found.")
    folder = datadir / layout.folder
    if not folder.is_dir():
        raise ReplayError(
            f"{datadir} must have a folder {layout.folder} in it; has {_first_files(datadir)}."
        )
    return folder


def _first_files(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"


def _check_pairs(
    folder: Path, layout: _Layout, found: Sequence[str], pairs: Sequence[str] | None
) -> None:
    if not found and pairs is None:
        raise ReplayError(f"{folder} must have {layout.needed}; has {_first_files(folder)}.")
    missing = sorted(set(pairs or ()) - set(found))
    if missing or not found:
        raise ReplayError(
            f"{folder} must have candles of {', '.join(missing) or 'a pair'}"
            f" ({layout.needed}); has {', '.join(found) or 'none of the pairs asked for'}."
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
