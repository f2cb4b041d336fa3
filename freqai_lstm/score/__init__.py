"""The aggregate score, from the candle to the trade: the one import that a strategy needs."""

from freqai_lstm.score.components import (
    COMPONENT_NAMES,
    DEFAULT_WEIGHTS,
    RELATIVE_VOLATILITY_WARMUP_CANDLES,
    SCORE_WARMUP_CANDLES,
    STRONG_TREND_BOOST,
    STRONG_TREND_THRESHOLD,
    WEIGHT_NAMES,
    Weights,
    compose_score,
    market_regime,
    relative_volatility,
    score_components,
    target_score,
    volatility_adjustment,
)
from freqai_lstm.score.expectation import (
    FUNDING_HOURS,
    Hysteresis,
    in_round_trips,
    range_share,
    smoothed,
)
from freqai_lstm.score.indicators import (
    average_true_range,
    band_position,
    bollinger_bands,
    in_ranges,
    log_volume_ratio,
    neutral_after,
    rolling_mean_to_std,
    rolling_zscore,
)
from freqai_lstm.score.ranks import past_ranks, places
from freqai_lstm.score.returns import (
    RELATIVE_RETURN_LABEL,
    RETURN_LABEL,
    forward_return,
    forward_return_in_ranges,
    relative_return_in_ranges,
)
from freqai_lstm.score.trading import (
    LABELS,
    Composition,
    Signals,
    configured_components,
    mean_and_spread,
    score_labels,
    spread_columns,
)
