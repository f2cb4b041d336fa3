"""Examines the stored candles: which of them are missing, and which are wrong."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from freqtrade.data.dataprovider import DataProvider
from freqtrade.enums import CandleType
from freqtrade.resolvers import ExchangeResolver
from pandas import DataFrame

from freqai_lstm.bridge.incidents import described
from freqai_lstm.bridge.internals import candle_path, raw_candles
from freqai_lstm.tools.doctor.coverage import (
    CandleFile,
    Coverage,
    Needed,
    candle_files,
    coverage,
    download_command,
    download_commands,
    needed_candles,
)
from freqai_lstm.tools.doctor.findings import Finding, listening
from freqai_lstm.tools.doctor.quality import Fault, Faulty, find_faults

TIME = "%Y-%m-%d %H:%M"

_CONSEQUENCES = {
    Fault.UNREADABLE: "freqtrade takes the file for one without candles.",
    Fault.NOT_FINITE: (
        "freqtrade puts the last close in place of a NaN price, as if the market had stood still; "
        "an infinite one makes features infinite, and FreqAI drops all rows that reach back to it."
    ),
    Fault.DUPLICATE: (
        "freqtrade makes one candle of those of the same time, with the first open, the last close "
        "and the extremes of all: where they differ, one that never was."
    ),
    Fault.UNSORTED: (
        "freqtrade sorts candles as it reads them, but takes the first and the last row for the "
        "oldest and the newest where it asks how far they reach."
    ),
    Fault.NOT_POSITIVE: (
        "returns and logarithms of it are infinite or NaN, and FreqAI drops all rows that reach "
        "back to it."
    ),
    Fault.INCONSISTENT: (
        "ranges, bands and oscillators leave their bounds, and stops are hit that were not."
    ),
    Fault.SPIKE: (
        "it alone sets the scale of the features that reach back to it, so that all other rows of "
        "the training look alike, and it teaches a move that never was."
    ),
    Fault.FLAT: (
        "indicators that divide by the range of a price are NaN there, which FreqAI drops, and the "
        "labels teach that nothing ever moves."
    ),
    Fault.NO_VOLUME: (
        "features of the volume are constant or NaN there, and a backtest trades what nobody could "
        "have traded."
    ),
}
# An exchange may have recorded these just so.
_PERHAPS_TRUE = {Fault.SPIKE, Fault.FLAT, Fault.NO_VOLUME}


@dataclass(frozen=True)
class Examined:
    """What a file of candles holds.

    :param path: Where it is or would be.
    :param faults: What is wrong with its candles, of the needed ones if it is known which.
    :param covered: What of the needed candles is there; None if it is not known which are needed,
        or the file cannot be read.
    :param first: Opening time of its oldest candle; None without any.
    :param last: Opening time of its newest candle.
    """

    file: CandleFile
    path: Path
    faults: list[Faulty] = field(default_factory=list)
    covered: Coverage | None = None
    first: datetime | None = None
    last: datetime | None = None


def examine_candles(config: dict[str, Any], strategy: Any) -> list[Examined]:
    """Examine the files of candles that a backtest reads.

    With a timerange, what it needs of them; else all that is stored.

    :param strategy: None if it cannot be loaded: then nobody knows how much warm-up it needs, and
        all that is stored is examined.
    :raises SettingsError: If the timerange has no start.
    """
    exchange = ExchangeResolver.load_exchange(config, validate=False)
    try:
        if config.get("timerange") and strategy is not None:
            config["startup_candle_count"] = strategy.startup_candle_count
            provider = DataProvider(config, exchange)
            files: list[CandleFile] = [
                *needed_candles(config, provider, exchange, datetime.now(UTC))
            ]
        else:
            files = [*candle_files(config, exchange)]
    finally:
        exchange.close()
    # Where an exchange has no mark prices, freqtrade takes the traded ones.
    return [_examine(config, file) for file in dict.fromkeys(files)]


def _examine(config: Mapping[str, Any], file: CandleFile) -> Examined:
    path = candle_path(config, file.pair, file.timeframe, file.candle_type)
    with listening() as heard:
        try:
            candles = raw_candles(config, file.pair, file.timeframe, file.candle_type)
        except Exception as error:  # noqa: BLE001 - what is in a file that is broken?
            candles = DataFrame()
            heard.append(described(error))
    if candles.empty and path.is_file():
        reason = heard[-1] if heard else "it holds no candles"
        return Examined(file, path, [Faulty(Fault.UNREADABLE, 0, note=reason)])
    if candles.empty:
        none = pd.Series(dtype="datetime64[ms, UTC]")
        return Examined(file, path, covered=_covered(file, none))
    date = candles["date"]
    needed = candles
    if isinstance(file, Needed):
        needed = candles[~((date < file.start) | (date > file.stop))]
    return Examined(
        file,
        path,
        [*find_faults(needed, traded=file.candle_type in (CandleType.SPOT, CandleType.FUTURES))],
        _covered(file, date),
        *(None if pd.isna(each) else each.to_pydatetime() for each in (date.min(), date.max())),
    )


def _covered(file: CandleFile, date: "pd.Series[Any]") -> Coverage | None:
    return coverage(file, date) if isinstance(file, Needed) else None


def candle_findings(examined: Sequence[Examined], options: Sequence[str]) -> Iterator[Finding]:
    """Report what is missing, and each kind of fault with what it does and how to mend it.

    :param options: freqtrade's options that say which bot and which data directory.
    """
    known = [one for one in examined if isinstance(one.file, Needed)]
    if known:
        incomplete = incomplete_files(examined)
        complete = sum(one.covered is not None for one in known) - len(incomplete)
        problem = ""
        if incomplete:
            commands = "\n".join(f"  {line}" for line in download_commands(incomplete, options))
            problem = f"Candles are missing. What the exchange has of them comes with\n{commands}"
        yield Finding("candle files", f"{complete} of {len(known)} complete", problem)
    else:
        present = sum(one.first is not None for one in examined)
        yield Finding("candle files", f"{present} of {len(examined)} there")
    for fault in Fault:
        faulty = [one for one in examined if any(each.fault is fault for each in one.faults)]
        if faulty:
            yield _fault_finding(fault, faulty, options)


def _fault_finding(fault: Fault, faulty: Sequence[Examined], options: Sequence[str]) -> Finding:
    found = [each for one in faulty for each in one.faults if each.fault is fault]
    count = sum(each.candles for each in found)
    where = f"{count} in {len(faulty)} file(s)" if count else f"{len(faulty)} file(s)"
    lines = [f"Candles, {fault}: {_CONSEQUENCES[fault]}"]
    if fault is Fault.UNREADABLE:
        lines += [f"  {one.path}: {each.note}" for one, each in zip(faulty, found, strict=True)]
    # What is there already must come back, needed or not.
    needed = [one.file for one in faulty if isinstance(one.file, Needed)]
    starts = [*(one.first for one in faulty if one.first), *(file.start for file in needed)]
    stops = [*(one.last for one in faulty if one.last), *(file.stop for file in needed)]
    command = download_command(
        [one.file for one in faulty],
        min(starts, default=None),
        max(stops, default=None),
        options,
        "--erase",
    )
    lines.append(f"This removes what is stored and gets it again:\n  {command}")
    if fault in _PERHAPS_TRUE:
        lines.append(
            "What is there afterwards too, the exchange has recorded so: leave it out with "
            "--timerange, or the pair out of exchange.pair_whitelist."
        )
    return Finding(f"candles, {fault}", where, "\n".join(lines))


def incomplete_files(examined: Sequence[Examined]) -> list[Coverage]:
    """Return the files that lack candles which are needed."""
    return [one.covered for one in examined if one.covered is not None and one.covered.missing]


def fault_rows(examined: Sequence[Examined]) -> Iterator[Sequence[Any]]:
    """Give the rows of a table of faults: file, what, how many and where first."""
    for one in examined:
        for each in one.faults:
            note = f" ({each.note})" if each.note and each.candles else ""
            yield (
                *(one.file.pair, one.file.timeframe, one.file.candle_type.value),
                *(f"{each.fault}{note}", each.candles or "-"),
                f"{each.first:{TIME}}" if each.first is not None else "-",
            )


def coverage_row(found: Coverage) -> Sequence[Any]:
    """Return the row of a table of missing candles."""
    needed = found.needed
    parts = {"before": found.before, "between": found.between, "after": found.after}
    where = ", ".join(f"{count} {part}" for part, count in parts.items() if count)
    if found.first is None or found.last is None:
        where = "no candles"
    elif found.before or found.after:
        where += f" ({found.first:{TIME}} .. {found.last:{TIME}})"
    return [
        *(needed.pair, needed.timeframe, needed.candle_type.value),
        *(f"{needed.start:{TIME}}", f"{needed.stop:{TIME}}", found.missing, where),
    ]
