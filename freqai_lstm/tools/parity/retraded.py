"""A backtest on the predictions that a bot recorded: what it would have traded without a market."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from freqtrade.commands.optimize_commands import setup_optimize_configuration
from freqtrade.enums import RunMode
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.persistence import LocalTrade, PairLocks
from pandas import DataFrame, Timestamp

from freqai_lstm.tools.loading import opened_backtesting
from freqai_lstm.tools.parity.trades import Side, Span

# One to enter on after the last signal, and one to value it on.
_CANDLES_AFTER = 2


@dataclass(frozen=True)
class Retraded:
    """What a backtest traded on a bot's predictions.

    :ivar closes: Closing prices by opening time, a column for each pair.
    :ivar signals: Candles with a signal to enter, by pair and whether it is short.
    :ivar balance: The money at the start.
    """

    side: Side
    span: Span
    closes: DataFrame
    signals: dict[tuple[str, bool], "pd.Index[Any]"]
    balance: float
    currency: str
    max_open_trades: float


def retrade(args: argparse.Namespace, history: Mapping[str, DataFrame]) -> Retraded:
    """Backtest the strategy over the time in which a bot predicted, on what it predicted.

    FreqAI reads the recorded predictions itself, as for ``--freqai-backtest-live-models``. The
    protections of the strategy are on, as they are live.

    :param args: Options of the command.
    :param history: Rows that a model predicted live, by pair; at least one pair.
    :raises OperationalException: If the exchange cannot be reached, or candles are missing.
    """
    dates = pd.concat([frame["date_pred"] for frame in history.values()])
    config = setup_optimize_configuration(vars(args) | _options(args, dates), RunMode.BACKTEST)
    step = pd.Timedelta(seconds=timeframe_to_seconds(config["timeframe"]))
    listed = config["exchange"]["pair_whitelist"]
    pairs = sorted(history, key=lambda pair: listed.index(pair) if pair in listed else len(listed))
    # Pairs that a list chose have been chosen.
    config["pairlists"] = [{"method": "StaticPairList"}]
    config["exchange"] |= {"pair_whitelist": pairs, "pair_blacklist": []}
    start, stop = dates.min(), dates.max() + _CANDLES_AFTER * step
    config["timerange"] = f"{start.timestamp():.0f}-{stop.timestamp():.0f}"
    with opened_backtesting(config) as backtesting:
        config["freqai_backtest_live_models"] = True
        # Nothing is trained.
        backtesting.required_startup = config["startup_candle_count"]
        (strategy,) = backtesting.strategylist
        signals = _noted_signals(strategy)
        candles, timerange = backtesting.load_bt_data()
        bounds = backtesting.backtest_one_strategy(strategy, candles, timerange)
    first, last = map(Timestamp, bounds)
    frames = {pair: frame.set_index("date") for pair, frame in candles.items()}
    opens, closes = (
        DataFrame({pair: frame[name] for pair, frame in frames.items()}).loc[first:last].ffill()
        for name in ("open", "close")
    )
    return Retraded(
        side=Side.of("backtest", LocalTrade.bt_trades, PairLocks.get_all_locks()),
        # What is signalled on a candle is entered on the next one.
        span=Span(
            first + step,
            last,
            step,
            {str(pair): float(price) for pair, price in opens.iloc[-1].dropna().items()},
        ),
        closes=closes,
        signals=signals,
        balance=backtesting.starting_balance,
        currency=config["stake_currency"],
        max_open_trades=strategy.max_open_trades,
    )


def _options(args: argparse.Namespace, dates: "pd.Series[Any]") -> dict[str, Any]:
    return {
        "timerange": f"{dates.min().timestamp():.0f}-{dates.max().timestamp():.0f}",
        "enable_protections": True,
        "backtest_cache": "none",
        "export": "none",
    }


def _noted_signals(strategy: Any) -> dict[tuple[str, bool], "pd.Index[Any]"]:
    """Let a strategy tell on which candles it signals an entry, as soon as it has been analysed."""
    found: dict[tuple[str, bool], pd.Index[Any]] = {}
    populate = strategy.populate_exit_trend

    def noting(dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        analysed: DataFrame = populate(dataframe, metadata)
        for name, is_short in (("enter_long", False), ("enter_short", True)):
            if name in analysed:
                signalled = analysed.loc[analysed[name] == 1, "date"]
                found[metadata["pair"], is_short] = pd.Index(signalled)
        return analysed

    strategy.populate_exit_trend = noting
    return found
