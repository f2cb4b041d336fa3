"""Candles that a live prediction needs, and that the exchange gives too late."""

from typing import Any

import pandas as pd
from freqtrade.exchange import timeframe_to_seconds


def late_candles(
    strategy: Any, pair: str, last_candle: pd.Timestamp, config: dict[str, Any]
) -> list[tuple[str, str]]:
    """Return the pairs and timeframes whose candles have not arrived yet.

    The features of a candle take the last candle of every timeframe, and of every pair of
    ``include_corr_pairlist``, that had closed when it closed. FreqAI fills in an older one.

    :param strategy: The running strategy.
    :param pair: The pair to predict.
    :param last_candle: Opening time of its newest candle.
    :param config: freqtrade's configuration.
    """
    parameters = config["freqai"]["feature_parameters"]
    closed = last_candle.timestamp() + timeframe_to_seconds(config["timeframe"])
    late = []
    for name in dict.fromkeys([pair, *parameters["include_corr_pairlist"]]):
        for timeframe in parameters["include_timeframes"]:
            seconds = timeframe_to_seconds(timeframe)
            due = (closed // seconds - 1) * seconds
            dates = strategy.dp.get_pair_dataframe(name, timeframe)["date"]
            if dates.empty or dates.iloc[-1].timestamp() < due:
                late.append((name, timeframe))
    return late


def fetch_late_candles(strategy: Any, late: list[tuple[str, str]], config: dict[str, Any]) -> None:
    """Ask the exchange for late candles once more.

    freqtrade gives up on a candle that is not there 15 seconds after it closed, and asks again when
    the next one has closed, or half an hour later: a late 4h candle would cost every prediction
    until then.

    :param strategy: The running strategy.
    :param late: Pairs and timeframes, of :func:`late_candles`.
    :param config: freqtrade's configuration.
    """
    exchange = strategy.dp._exchange
    missing = [(*names, config["candle_type_def"]) for names in late]
    for key in missing:
        exchange._pairs_last_poll_time.pop(key, None)
    exchange.refresh_latest_ohlcv(missing)
