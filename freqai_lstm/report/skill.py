"""How well the predictions of a finished backtest match the true score, out of sample.

Reads what FreqAI left in the identifier's folder; needs no model and no exchange.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from freqtrade.configuration import TimeRange
from freqtrade.data.history import load_pair_history

from freqai_lstm.exceptions import SkillError
from freqai_lstm.score import (
    DEFAULT_WEIGHTS,
    STRONG_TREND_BOOST,
    STRONG_TREND_THRESHOLD,
    WEIGHT_NAMES,
    compose_score,
    score_components,
)
from freqai_lstm.settings import SECONDS_PER_DAY


@dataclass(frozen=True)
class Skill:
    """How well one pair's predicted score matches the true score ``horizon`` candles ahead.

    ``correlation`` and ``r_squared`` compare the scores, ``sign_accuracy`` their signs where the
    true score is not 0, ``persistence`` is the correlation that the present score alone reaches.
    NaN where it is not defined, e.g. for a constant score.
    """

    pair: str
    windows: int
    candles: int
    predicted_share: float
    correlation: float
    r_squared: float
    sign_accuracy: float
    persistence: float


def backtest_skill(config: Mapping[str, Any]) -> list[Skill]:
    """Return the skill of every pair of a finished backtest.

    :param config: freqtrade's configuration, with the backtest's ``timerange``.
    :return: One entry for each pair of the whitelist that has predictions, in its order.
    :raises SkillError: If no pair has any prediction for the timerange.
    """
    skills = [
        _pair_skill(config, pair, predictions)
        for pair in config["exchange"]["pair_whitelist"]
        if (predictions := _load_predictions(config, pair))
    ]
    if not skills:
        raise SkillError(
            f"{_predictions_folder(config)}: must hold predictions for the timerange "
            f"{config['timerange']!r}, had none. Run freqtrade backtesting with it first."
        )
    return skills


def _pair_skill(config: Mapping[str, Any], pair: str, predictions: list[pd.DataFrame]) -> Skill:
    parameters = config["freqai"]["feature_parameters"]
    predicted = pd.concat(predictions).drop_duplicates("date", keep="last").set_index("date")
    candles = load_pair_history(
        pair=pair,
        timeframe=config["timeframe"],
        datadir=config["datadir"],
        data_format=config["dataformat_ohlcv"],
        candle_type=config["candle_type_def"],
    ).set_index("date")
    components = score_components(
        candles,
        strong_trend_threshold=parameters.get("strong_trend_threshold", STRONG_TREND_THRESHOLD),
        strong_trend_boost=parameters.get("strong_trend_boost", STRONG_TREND_BOOST),
    )
    present = compose_score(components, DEFAULT_WEIGHTS) * components["volatility"]
    scores = pd.DataFrame(
        {
            "predicted": compose_score(_label_columns(predicted), DEFAULT_WEIGHTS)
            * components["volatility"].reindex(predicted.index),
            "true": present.shift(-parameters.get("label_period_candles", 0)),
            "present": present,
        },
        index=predicted.index,
    )
    compared = scores[predicted["do_predict"] == 1].dropna()
    moving = compared[compared["true"] != 0]
    residual = ((compared["predicted"] - compared["true"]) ** 2).sum()
    spread = ((compared["true"] - compared["true"].mean()) ** 2).sum()
    return Skill(
        pair=pair,
        windows=len(predictions),
        candles=len(compared),
        predicted_share=float((predicted["do_predict"] == 1).mean()),
        correlation=_correlation(compared["predicted"], compared["true"]),
        r_squared=float(1 - residual / spread) if spread > 0 else np.nan,
        sign_accuracy=float((np.sign(moving["predicted"]) == np.sign(moving["true"])).mean()),
        persistence=_correlation(compared["present"], compared["true"]),
    )


def _label_columns(predicted: pd.DataFrame) -> pd.DataFrame:
    labels = predicted[[f"&-score_{name}" for name in WEIGHT_NAMES]]
    return labels.set_axis(WEIGHT_NAMES, axis="columns")


def _correlation(left: pd.Series, right: pd.Series) -> float:
    """Return Pearson's correlation, NaN where one of the two is constant."""
    if len(left) < 2 or left.nunique() < 2 or right.nunique() < 2:
        return np.nan
    return float(left.corr(right))


def _load_predictions(config: Mapping[str, Any], pair: str) -> list[pd.DataFrame]:
    """Return the predictions of each training window of the timerange, oldest first."""
    coin = pair.split("/", 1)[0].lower()
    files = [
        _predictions_folder(config) / f"cb_{coin}_{stamp}_prediction.feather"
        for stamp in _training_stamps(config)
    ]
    return [pd.read_feather(file) for file in files if file.is_file()]


def _training_stamps(config: Mapping[str, Any]) -> range:
    """Return the ends of the training windows, as FreqAI names its files, in seconds."""
    timerange = TimeRange.parse_timerange(config["timerange"])
    stop = timerange.stopts or int(datetime.now(tz=UTC).timestamp())
    period = int(config["freqai"]["backtest_period_days"] * SECONDS_PER_DAY)
    return range(timerange.startts, stop, period)


def _predictions_folder(config: Mapping[str, Any]) -> Path:
    identifier: str = config["freqai"]["identifier"]
    return Path(config["user_data_dir"]) / "models" / identifier / "backtesting_predictions"
