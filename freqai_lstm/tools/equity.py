"""An account over time, from the trades that were made with it."""

import numpy as np
import pandas as pd


def marked_to_market(trades: pd.DataFrame, closes: pd.DataFrame, balance: float) -> pd.Series:
    """Return the account on every candle, in units of its start.

    freqtrade's own record of the wallet does not move while a futures position is open. An open
    trade counts with what its filled orders would bring at the close, less their fees; from the
    candle of its end on with the profit that freqtrade booked, funding included.

    :param trades: As freqtrade saves them, with their orders.
    :param closes: Closing prices by opening time, a column for each pair, without gaps.
    :param balance: The money at the start.
    """
    profit = np.zeros(len(closes))
    # A candle's close is known when the next one opens.
    ends = closes.index + (closes.index[1] - closes.index[0])
    for trade in trades.to_dict("records"):
        side = -1 if trade["is_short"] else 1
        orders = pd.DataFrame(trade["orders"]).sort_values("order_filled_timestamp")
        amounts = orders["amount"] * np.where(orders["ft_is_entry"], 1, -1)
        # What was paid for the position, its fees included, order by order.
        paid = (amounts * orders["safe_price"] * side).cumsum()
        paid += (orders["amount"] * orders["safe_price"]).cumsum() * trade["fee_open"]
        filled = pd.to_datetime(orders["order_filled_timestamp"], unit="ms", utc=True)
        first, last = ends.searchsorted([trade["open_date"], trade["close_date"]], side="right")
        newest = filled.searchsorted(ends[first:last], side="left") - 1
        position = side * amounts.cumsum().to_numpy()[newest]
        price = closes[trade["pair"]].to_numpy()[first:last]
        profit[first:last] += position * price - paid.to_numpy()[newest]
        profit[last:] += trade["profit_abs"]
    return pd.Series(1 + profit / balance, closes.index)


def monthly(value: pd.Series) -> pd.Series:
    """Return the return of each month, by its first day."""
    at_end = value.groupby(pd.DatetimeIndex(value.index).strftime("%Y-%m")).last()
    before = at_end.shift(1, fill_value=1.0)
    return at_end / before - 1


def daily_sharpe(value: pd.Series) -> float:
    """Return mean over standard deviation of the days' returns, for a year; NaN if idle.

    :param value: On every candle, by time; an idle day counts as well.
    """
    days = pd.DatetimeIndex(value.index).floor("D")
    returns = value.groupby(days).last().pct_change().dropna()
    deviation = returns.std()
    return float(returns.mean() / deviation * 365**0.5) if deviation > 0 else float("nan")
