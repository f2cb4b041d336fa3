"""The aggregate T-score of a candle, and the nine components that the network learns.

    T(w) = V * V2 * sum_k w_k * c_k        c_k = R * R2 * n_k

``n_k`` are z-scored indicators, ``R`` and ``R2`` the short and the long market regime, ``V`` and
``V2`` the volatility adjustment. T is linear in the weights, so a network that has learned the
components ``c_k`` answers for every choice of weights.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import talib

from freqai_lstm.score.indicators import (
    ATR_PERIOD,
    average_true_range,
    bollinger_bands,
    rolling_mean_to_std,
    rolling_zscore,
)

Weights = Mapping[str, float] | Sequence[float]

COMPONENT_NAMES = ("ma", "macd", "roc", "rsi", "bb_width", "cci", "obv", "atr", "stoch")
WEIGHT_NAMES = tuple(f"w{k}" for k in range(len(COMPONENT_NAMES)))
DEFAULT_WEIGHTS = (0.10, 0.15, 0.10, 0.15, 0.10, 0.10, 0.10, 0.05, 0.15)

STRONG_TREND_THRESHOLD = 1.5
STRONG_TREND_BOOST = 1.5
SCORE_WARMUP_CANDLES = 99
"""Candles before the first score: the long regime needs SMA(100)."""

RELATIVE_VOLATILITY_WARMUP_CANDLES = 118
"""Candles before the first relative volatility: 100 of the bands, which need 19 before."""

_BAND_PERIOD = 20
_LONG_REGIME_PERIOD = 100


def score_components(
    candles: pd.DataFrame,
    *,
    strong_trend_threshold: float = STRONG_TREND_THRESHOLD,
    strong_trend_boost: float = STRONG_TREND_BOOST,
) -> pd.DataFrame:
    """Return the nine components of the score and the volatility adjustment.

    Range: the components are z-scores (``w4``, a mean over a standard deviation, is positive
    before the regimes' signs), exactly 0 wherever the close lies within its Bollinger bands.
    Warm-up: 99 candles of NaN. NaN also where a component has no scale (zero rolling standard
    deviation outside of the bands) and, for the volatility, where the price or the range was flat;
    never infinite. Uses candles <= t.

    :param candles: Open, high, low, close and volume, oldest first.
    :param strong_trend_threshold: Standard deviations of ``|SMA(10) - close|`` above its mean
        from which the trend is strong.
    :param strong_trend_boost: Factor on the momentum term where the trend is strong.
    :return: Columns ``w0`` .. ``w8`` (dimensionless) and ``volatility`` (1 / price), index of
        ``candles``.

    Source: the aggregate score this package defines; TA-Lib defaults where nothing is said.
    """
    terms = _zscored_terms(candles, strong_trend_threshold, strong_trend_boost)
    regime = market_regime(candles)
    signs = regime["regime"].to_numpy() * regime["long_regime"].to_numpy()
    columns = {name: np.where(signs == 0, 0.0, term * signs) for name, term in terms.items()}
    adjustment = volatility_adjustment(candles)
    columns["volatility"] = adjustment["band"].to_numpy() * adjustment["range"].to_numpy()
    return pd.DataFrame(columns, index=candles.index)


def target_score(
    candles: pd.DataFrame,
    weights: Weights = DEFAULT_WEIGHTS,
    *,
    strong_trend_threshold: float = STRONG_TREND_THRESHOLD,
    strong_trend_boost: float = STRONG_TREND_BOOST,
) -> pd.Series:
    """Return the aggregate T-score of every candle.

    Exactly 0 wherever the close lies within its Bollinger bands. Warm-up and NaN as in
    :func:`score_components`; never infinite. Uses candles <= t.

    :param candles: Open, high, low, close and volume, oldest first.
    :param weights: Nine weights, by position or by the names ``w0`` .. ``w8``.
    :param strong_trend_threshold: As in :func:`score_components`.
    :param strong_trend_boost: As in :func:`score_components`.
    :return: The score T in 1 / price, shape ``(candles,)``.
    :raises ValueError: If the weights are not nine.
    """
    components = score_components(
        candles,
        strong_trend_threshold=strong_trend_threshold,
        strong_trend_boost=strong_trend_boost,
    )
    return compose_score(components, weights) * components["volatility"]


def compose_score(components: pd.DataFrame, weights: Weights) -> pd.Series:
    """Return the weighted sum of the nine components.

    :param components: Columns ``w0`` .. ``w8``; others are ignored.
    :param weights: Nine weights, by position or by the names ``w0`` .. ``w8``.
    :return: ``sum_k w_k * c_k``, dimensionless, index of ``components``.
    :raises ValueError: If the weights are not nine.
    """
    # A matrix product rounds differently with another number of candles.
    terms = [
        weight * components[name].to_numpy(dtype=float)
        for name, weight in zip(WEIGHT_NAMES, _weight_vector(weights), strict=True)
    ]
    return pd.Series(sum(terms), index=components.index)


def market_regime(candles: pd.DataFrame) -> pd.DataFrame:
    """Return the short regime R and the long regime R2 of every candle.

    Warm-up: NaN for 19 (``regime``) and 99 (``long_regime``) candles. Uses candles <= t.

    :param candles: Open, high, low, close and volume, oldest first.
    :return: Columns ``regime`` (+1 above the upper Bollinger band, -1 below the lower one, else
        0) and ``long_regime`` (+1 above SMA(100), else -1).
    """
    close = candles["close"].to_numpy(dtype=float)
    upper, _, lower = (band.to_numpy() for band in bollinger_bands(candles["close"], _BAND_PERIOD))
    regime = (close > upper).astype(float) - (close < lower)
    average = talib.SMA(close, _LONG_REGIME_PERIOD)
    long_regime = np.where(close > average, 1.0, -1.0)
    return pd.DataFrame(
        {
            "regime": np.where(np.isnan(upper), np.nan, regime),
            "long_regime": np.where(np.isnan(average), np.nan, long_regime),
        },
        index=candles.index,
    )


def volatility_adjustment(candles: pd.DataFrame) -> pd.DataFrame:
    """Return the two factors of the volatility adjustment.

    Warm-up: 19 candles. NaN where the bands coincide or the true range is zero. Uses candles <= t.

    :param candles: Open, high, low, close and volume, oldest first.
    :return: Columns ``band`` (V, the middle band over the width of the bands, dimensionless) and
        ``range`` (V2, 1 / ATR(14), in 1 / price).
    """
    upper, middle, lower = (
        band.to_numpy() for band in bollinger_bands(candles["close"], _BAND_PERIOD)
    )
    width = upper - lower
    return pd.DataFrame(
        {
            "band": middle / np.where(width > 0, width, np.nan),
            "range": 1 / average_true_range(candles, ATR_PERIOD).to_numpy(),
        },
        index=candles.index,
    )


def relative_volatility(candles: pd.DataFrame) -> pd.Series:
    """Return the volatility adjustment relative to its own level of the last 100 candles.

    It makes scores of coins with different prices comparable: 1 at the usual level, above 1 in
    calm markets. Warm-up: 118 candles. NaN as in :func:`volatility_adjustment`. Uses candles <= t.

    :param candles: Open, high, low, close and volume, oldest first.
    :return: ``V / mean(V, 100) * V2 / mean(V2, 100)``, dimensionless, shape ``(candles,)``.
    """
    factors = volatility_adjustment(candles)
    level = factors.rolling(_LONG_REGIME_PERIOD).mean()
    return (factors / level).prod(axis=1, skipna=False)


def _zscored_terms(
    candles: pd.DataFrame, threshold: float, boost: float
) -> dict[str, npt.NDArray[np.float64]]:
    """Return n_0 .. n_8, the momentum term folded into n_3."""
    high, low, close, volume = (
        candles[name].to_numpy(dtype=float) for name in ("high", "low", "close", "volume")
    )
    upper, _, lower = bollinger_bands(candles["close"], _BAND_PERIOD)
    # TA-Lib takes the shorter period for the fast average whichever way round they are given.
    macd, _, _ = talib.MACD(close, fastperiod=26, slowperiod=12, signalperiod=9)
    slowk, _ = talib.STOCH(high, low, close)
    trend = pd.Series(np.abs(talib.SMA(close, 10) - close))
    usual = trend.rolling(14)
    strong = trend > usual.mean() + threshold * usual.std()
    momentum = _zscore(talib.MOM(close, 4), 4) * np.where(strong, boost, 1)
    return {
        "w0": _zscore(close, 10),
        "w1": _zscore(macd, 26),
        "w2": _zscore(talib.ROC(close, 2), 2),
        "w3": _zscore(talib.RSI(close, 10), 10) + momentum,
        "w4": rolling_mean_to_std(upper - lower, 20).to_numpy(),
        "w5": _zscore(talib.CCI(high, low, close, 20), 20),
        "w6": _zscore(talib.OBV(close, volume), 14),
        "w7": _zscore(average_true_range(candles, ATR_PERIOD), 14),
        "w8": _zscore(slowk, 14),
    }


def _zscore(values: npt.ArrayLike, window: int) -> npt.NDArray[np.float64]:
    return rolling_zscore(pd.Series(values), window).to_numpy()


def _weight_vector(weights: Weights) -> np.ndarray:
    """Return the weights as a vector of nine floats.

    :raises ValueError: If they are not nine, or other names than ``w0`` .. ``w8``.
    """
    if isinstance(weights, Mapping):
        if set(weights) != set(WEIGHT_NAMES):
            raise ValueError(f"weights must have the keys {WEIGHT_NAMES}, was {tuple(weights)}")
        weights = [weights[name] for name in WEIGHT_NAMES]
    vector = np.asarray(weights, dtype=float)
    if vector.shape != (len(WEIGHT_NAMES),):
        raise ValueError(f"weights must be {len(WEIGHT_NAMES)} numbers, was {weights!r}")
    return vector
