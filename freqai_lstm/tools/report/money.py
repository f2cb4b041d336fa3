"""What a backtest traded: freqtrade's result of it, marked to market on every candle."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from freqtrade.data import btanalysis

from freqai_lstm.exceptions import SkillError
from freqai_lstm.tools.equity import daily_sharpe, marked_to_market, monthly

Results = Mapping[str, Any]

TRADE_COLUMNS = (
    *("pair", "is_short", "leverage", "open_date", "open_rate", "close_date", "close_rate"),
    *("stake_amount", "profit_ratio", "profit_abs", "enter_tag", "exit_reason"),
)
"""What a list of trades says of each."""


@dataclass(frozen=True)
class Group:
    """The trades of a pair, or those that ended for the same reason; ``profit`` is a fraction."""

    name: str
    trades: int
    wins: int
    profit: float


@dataclass(frozen=True)
class TradingResult:
    """What a backtest traded; fractions, in freqtrade's words.

    ``equity`` is the account on every candle, open trades at the candle's close, and ``held`` the
    same money spread evenly over the pairs at the first candle; both start at 1. ``months`` has
    their returns by month in columns ``strategy`` and ``held``. ``exposure`` among the figures is
    the share of pair-candles in a trade, ``rejected`` the entries that found no free slot or money.
    """

    file: str
    trades: pd.DataFrame
    equity: pd.Series
    held: pd.Series
    months: pd.DataFrame
    pairs: tuple[Group, ...]
    exits: tuple[Group, ...]
    figures: Mapping[str, float]

    @property
    def drawdown(self) -> pd.DataFrame:
        """The fall from the highest value so far, below 0, of the account and of holding."""
        values = pd.DataFrame({"strategy": self.equity, "held": self.held})
        return values / values.cummax() - 1


def load_trades(
    config: Mapping[str, Any], closes: Mapping[str, pd.Series], file: Path | None = None
) -> TradingResult | str:
    """Return what the backtest traded, or a sentence on why that is not known.

    :param config: freqtrade's configuration, with the backtest's ``timerange``.
    :param closes: Closing prices of the timerange's candles by pair.
    :param file: freqtrade's result file; the newest one of this strategy, identifier and timerange
        if omitted.
    :raises SkillError: If a given file cannot be read, or is of another backtest.
    """
    wanted = (config.get("strategy"), config["freqai"]["identifier"], config["timerange"])
    seen = []
    for path, strategy, result in _results(config, file):
        found = (strategy, result.get("freqai_identifier"), result.get("timerange"))
        if found == wanted:
            return _trading_result(path, strategy, result, closes)
        seen.append(f"{path.name} is of {_described(found)}")
    problem = f"must be of {_described(wanted)}"
    if file is not None:
        raise SkillError(f"--backtest-result {file} {problem}, {'; '.join(seen)}")
    folder = Path(config["user_data_dir"]) / "backtest_results"
    newest = f"the newest of {len(seen)}, {seen[0]}" if seen else "there is none"
    return f"Trades and equity are left out: a result in {folder} {problem}; {newest}."


def _described(backtest: tuple[Any, ...]) -> str:
    strategy, identifier, timerange = backtest
    return f"strategy {strategy!r}, identifier {identifier!r} and timerange {timerange!r}"


def _results(config: Mapping[str, Any], file: Path | None) -> Iterator[tuple[Path, str, Results]]:
    """Give the results of a file or of all files, the newest first, strategy by strategy.

    :raises SkillError: If a given file cannot be read.
    """
    folder = Path(config["user_data_dir"]) / "backtest_results"
    files = sorted(folder.glob("backtest-result*.zip"), key=lambda path: path.stat().st_mtime)
    for path in [file] if file else reversed(files):
        try:
            stats = btanalysis.load_backtest_stats(path)
        except (ValueError, OSError) as error:
            if file is not None:
                raise SkillError(f"--backtest-result {file}: cannot be read: {error}") from error
            continue
        for strategy, result in stats["strategy"].items():
            yield path, strategy, result


def _trading_result(
    path: Path, strategy: str, result: Results, prices: Mapping[str, pd.Series]
) -> TradingResult:
    closes = pd.DataFrame(prices).ffill()
    held = (closes / closes.bfill().iloc[0]).mean(axis="columns")
    trades = pd.DataFrame()
    exposure = 0.0
    if result["total_trades"]:
        trades = btanalysis.load_backtest_data(path, strategy)
        held_for = pd.Timedelta((trades["close_date"] - trades["open_date"]).sum())
        exposure = float(held_for / ((closes.index[-1] - closes.index[0]) * closes.shape[1]))
    equity = marked_to_market(trades, closes, float(result["starting_balance"]))
    falls = [float((1 - value / value.cummax()).max()) for value in (equity, held)]
    figures = {
        "trades": int(result["total_trades"]),
        "rejected": int(result.get("rejected_signals") or 0),
        "profit": float(result["profit_total"]),
        "max_drawdown": falls[0],
        "closed_max_drawdown": float(result["max_drawdown_account"]),
        "sharpe": float(result["sharpe"]),
        "daily_sharpe": daily_sharpe(equity),
        "exposure": exposure,
        "held_profit": float(held.iloc[-1] - 1),
        "held_max_drawdown": falls[1],
        "held_daily_sharpe": daily_sharpe(held),
    }
    return TradingResult(
        file=path.name,
        trades=trades,
        equity=equity,
        held=held,
        months=pd.DataFrame({"strategy": monthly(equity), "held": monthly(held)}),
        pairs=tuple(_groups(result["results_per_pair"])),
        exits=tuple(_groups(result["exit_reason_summary"])),
        figures=figures,
    )


def _groups(rows: list[dict[str, Any]]) -> Iterator[Group]:
    """Give what freqtrade says of groups of trades, without its sums."""
    for row in rows:
        if row["key"] != "TOTAL" and row["trades"]:
            yield Group(str(row["key"]), row["trades"], row["wins"], float(row["profit_total"]))
