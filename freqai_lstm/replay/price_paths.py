"""The random processes of the synthetic market.

Every function draws from the generator it is given and is vectorised over the steps of the whole
history. Lengths are in steps, one step being one base candle; ``per_hour`` is steps an hour.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LARGEST_SHOCK = 10.0
_SHOCK_DEGREES_OF_FREEDOM = 5.0
_SLOW_VOLATILITY_HALF_LIFE_HOURS = 36.0
_RANGE_HALF_LIFE_HOURS = 10.0
_LEVEL_HALF_LIFE_HOURS = 75.0 * 24.0
_SHORTEST_REGIME_DAYS = 1.0
_MEAN_EXTRA_REGIME_DAYS = 3.0
_TREND_SHARE = 0.5
_REVERTING_SHARE_IN_RANGE = 0.6
_REVERTING_SHARE_IN_TREND = 0.1


@dataclass(frozen=True)
class Regimes:
    """Trending and ranging times; arrays of shape ``(steps,)``.

    ``drift`` is the expected hourly return in units of the hourly volatility, 0 while ranging.
    ``reverting_share`` is the part of each move that is taken back later.
    """

    drift: Floats
    reverting_share: Floats


def autoregression(noise: Floats, half_life_steps: float) -> Floats:
    """Sum noise into ``y[t] = phi * y[t - 1] + noise[t]``, where ``phi ** half_life_steps = 1/2``.

    :param noise: Shape ``(steps,)``.
    :return: ``y``, shape ``(steps,)``; ``y[0] = noise[0]``.
    """
    alpha = -np.expm1(-np.log(2.0) / half_life_steps)
    # pandas averages y[t] = (1 - alpha) * y[t - 1] + alpha * x[t], starting from y[0] = x[0].
    scaled = noise / alpha
    scaled[0] = noise[0]
    return pd.Series(scaled).ewm(alpha=alpha, adjust=False).mean().to_numpy(copy=True)


def stationary(rng: np.random.Generator, steps: int, half_life_steps: float) -> Floats:
    """Draw a Gaussian AR(1) with mean 0 and variance 1, shape ``(steps,)``."""
    noise = rng.standard_normal(steps)
    noise[1:] *= np.sqrt(-np.expm1(-2.0 * np.log(2.0) / half_life_steps))
    return autoregression(noise, half_life_steps)


def shocks(rng: np.random.Generator, steps: int) -> Floats:
    """Draw fat-tailed shocks (Student's t) with variance 1, shape ``(steps,)``."""
    freedom = _SHOCK_DEGREES_OF_FREEDOM
    drawn = rng.standard_t(freedom, steps) * np.sqrt((freedom - 2.0) / freedom)
    return drawn.clip(-_LARGEST_SHOCK, _LARGEST_SHOCK)


def volatility(rng: np.random.Generator, steps: int, per_hour: float, spread: float) -> Floats:
    """Draw clustered volatility as a factor around 1, shape ``(steps,)``.

    :param spread: Standard deviation of its logarithm: half of the variance lasts for days, half
        for about an hour.
    """
    slow = stationary(rng, steps, _SLOW_VOLATILITY_HALF_LIFE_HOURS * per_hour)
    fast = stationary(rng, steps, per_hour)
    return np.exp(spread * (slow + fast) / np.sqrt(2.0) - spread**2)


def seasonality(open_ms: NDArray[np.int64]) -> Floats:
    """Give the usual activity of the hour (most at 15:00 UTC) and day, around 1."""
    hour = open_ms / 3_600_000 % 24
    weekday = (open_ms // 86_400_000 + 3) % 7
    weekend = np.where(weekday >= 5, 0.8, 1.08)
    return weekend * (1.0 + 0.3 * np.cos(2.0 * np.pi * (hour - 15.0) / 24.0))


def regimes(rng: np.random.Generator, steps: int, per_hour: float) -> Regimes:
    """Draw times of days in which the market trends or ranges."""
    most = int(steps / (24.0 * per_hour * _SHORTEST_REGIME_DAYS)) + 1
    days = _SHORTEST_REGIME_DAYS + rng.exponential(_MEAN_EXTRA_REGIME_DAYS, most)
    lengths = np.maximum(1, days * 24.0 * per_hour).astype(np.int64)
    trending = rng.random(most) < _TREND_SHARE
    direction = np.where(rng.random(most) < 0.5, 1.0, -1.0)
    strength = rng.uniform(0.06, 0.14, most)
    share = np.where(trending, _REVERTING_SHARE_IN_TREND, _REVERTING_SHARE_IN_RANGE)
    return Regimes(
        drift=np.repeat(np.where(trending, direction * strength, 0.0), lengths)[:steps],
        reverting_share=np.repeat(share, lengths)[:steps],
    )


def log_price(moves: Floats, drift: Floats, reverting_share: Floats, per_hour: float) -> Floats:
    """Add moves up to a price, relative to its start.

    Part of each move belongs to a range and is taken back within a day. The rest stays, but
    for a slow pull that keeps the price near its start over many months.

    :param moves: Random log returns, shape ``(steps,)``.
    :param drift: Expected log returns, shape ``(steps,)``.
    :param reverting_share: Part of each move that is taken back, shape ``(steps,)``.
    :return: Natural logarithm of price over start price, shape ``(steps,)``.
    """
    ranging = autoregression(moves * reverting_share, _RANGE_HALF_LIFE_HOURS * per_hour)
    lasting = autoregression(
        moves * (1.0 - reverting_share) + drift, _LEVEL_HALF_LIFE_HOURS * per_hour
    )
    return ranging + lasting


def extremes(
    rng: np.random.Generator, log_open: Floats, log_close: Floats, deviation: Floats
) -> tuple[Floats, Floats]:
    """Draw the highest and lowest log price of Brownian bridges from open to close.

    :param deviation: Standard deviation of each whole step, shape ``(steps,)``.
    :return: High and low, each of shape ``(steps,)``.
    """
    span = (log_close - log_open) ** 2
    reach_up = -2.0 * deviation**2 * np.log1p(-rng.random(len(deviation)))
    reach_down = -2.0 * deviation**2 * np.log1p(-rng.random(len(deviation)))
    middle = log_open + log_close
    return (middle + np.sqrt(span + reach_up)) / 2.0, (middle - np.sqrt(span + reach_down)) / 2.0
