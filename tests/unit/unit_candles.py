"""Candles that the tests of the indicators and the score are made of."""

import numpy as np
import pandas as pd

COLUMNS = ("open", "high", "low", "close", "volume")


def random_walk(rows: int, seed: int = 0, price: float = 100.0) -> pd.DataFrame:
    """Make candles that open where the last one closed and move by about one percent."""
    random = np.random.default_rng(seed)
    path = price * np.exp(np.cumsum(random.normal(0, 0.01, rows + 1)))
    opened, close = path[:-1], path[1:]
    wicks = np.abs(random.normal(0, 0.004, (2, rows)))
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + wicks[0]),
            "low": np.minimum(opened, close) * (1 - wicks[1]),
            "close": close,
            "volume": random.uniform(10, 1000, rows),
        }
    )


def with_prices(candles: pd.DataFrame, factor: float) -> pd.DataFrame:
    """Quote the same candles in another unit."""
    return candles.assign(**{name: candles[name] * factor for name in COLUMNS[:4]})


def flat_candles(rows: int, price: float = 100.0) -> pd.DataFrame:
    """Make candles whose price never moves at all."""
    return random_walk(rows).assign(**dict.fromkeys(COLUMNS[:4], price))


def rewritten_after(candles: pd.DataFrame, row: int, seed: int, factor: float) -> pd.DataFrame:
    """Replace every candle after a row by others, at another price."""
    others = random_walk(len(candles), seed + 1_000) * factor
    return pd.concat([candles.iloc[: row + 1], others.iloc[row + 1 :]])
