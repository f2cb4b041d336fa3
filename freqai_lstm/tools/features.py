"""Features and labels of pairs, computed once for each set of candles, code and settings.

What is kept is found again by the code of the strategy and the settings, and taken only if all
candle files that it was made of are still the same, to the last byte.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import joblib
from freqtrade.enums import CandleType
from pandas import DataFrame

from freqai_lstm.bridge.digest import feature_code, label_code
from freqai_lstm.bridge.internals import candle_path
from freqai_lstm.bridge.kitchen import Labels
from freqai_lstm.bridge.windowed import WindowedRegressor
from freqai_lstm.files import temporary_folder
from freqai_lstm.tools.cache import DiskCache, cache_folder
from freqai_lstm.tools.loading import LEFT_OUT, WalkForward

_HORIZON = "label_period_candles"
_PACKAGES = ("freqtrade", "numpy", "pandas", "ta-lib")
# Neither features nor labels depend on where things are, or on which model predicts and how.
_WITHOUT_EFFECT = {
    *LEFT_OUT,
    *("config_files", "datadir", "exportdirectory", "exportfilename", "freqaimodel", "internals"),
    *("logfile", "pairs", "print_colorized", "runmode", "user_data_dir", "verbosity"),
}
OF_THE_MODEL = {
    *("activate_tensorboard", "backtest_period_days", "continual_learning", "conv_width"),
    *("data_kitchen_thread_count", "data_split_parameters", "expiration_hours", "identifier"),
    *("fit_live_predictions_candles", "live_retrain_hours", "model_training_parameters"),
    *("purge_old_models", "save_backtest_models", "tuned_on"),
    *("wait_for_training_iteration_on_reload", "write_metrics_to_disk"),
}
"""Keys of the ``freqai`` section that features and labels do not depend on."""
# Nor on what becomes of them in a training, or on how is traded, unless the code of the strategy
# mentions it.
_OF_TRAINING = {
    *("DI_threshold", "buffer_train_data_candles", "noise_standard_deviation"),
    *("plot_feature_importances", "principal_component_analysis", "reverse_train_test_order"),
    *("shuffle_after_split", "svm_params", "use_DBSCAN_to_remove_outliers"),
    *("use_SVM_to_remove_outliers", "weight_factor"),
}
_OF_TRADING = {
    *("amend_last_stake_amount", "amount_reserve_percent", "available_capital", "bot_name"),
    *("cancel_open_orders_on_exit", "custom_price_max_distance_ratio", "db_url", "dry_run"),
    *("dry_run_wallet", "entry_pricing", "exit_pricing", "exit_profit_offset", "exit_profit_only"),
    *("fee", "fiat_display_currency", "force_entry_enable", "ignore_buying_expired_candle_after"),
    *("ignore_roi_if_entry_signal", "initial_state", "last_stake_amount_min_ratio", "leverage"),
    *("liquidation_buffer", "max_entry_position_adjustment", "max_open_trades", "minimal_roi"),
    *("order_time_in_force", "order_types", "position_adjustment_enable", "stake_amount"),
    *("stake_by_certainty", "stoploss", "tradable_balance_ratio", "trailing_stop"),
    *("trailing_only_offset_is_reached", "trailing_stop_positive", "trailing_stop_positive_offset"),
    *("unfilledtimeout", "use_custom_stoploss", "use_exit_signal"),
}


@dataclass(frozen=True)
class StoredLabels:
    """Keeps the labels of training periods, or finds them.

    :ivar key: Of all that they are made of.
    """

    cache: DiskCache
    key: str

    def __call__(self, first: int, stop: int, label: Callable[[], Labels]) -> Labels:
        """Return the labels of the candles from ``first`` to before ``stop``.

        :param label: Computes them.
        """
        return self.cache.remember(f"labels-{self.key}-{first}-{stop}", label)


class PairFeatures:
    """What a walk-forward takes of a pair; another process maps it into its memory.

    :param frame: The candles with their features, oldest first.
    :param labels: Knows the labels of training periods.
    :param path: The file that the frame is in.
    """

    def __init__(
        self, frame: DataFrame, labels: StoredLabels | None = None, path: Path | None = None
    ) -> None:
        self.frame, self.labels, self.path = frame, labels, path

    def __reduce__(self) -> tuple[Any, ...]:
        if self.path is None:
            return PairFeatures, (self.frame,)
        return _mapped, (self.path, self.labels)

    def for_other_machines(self) -> "PairFeatures":
        """Return the same without what is on this machine's disk."""
        return PairFeatures(self.frame)


def _mapped(path: Path, labels: StoredLabels) -> PairFeatures:
    return PairFeatures(joblib.load(path, mmap_mode="r")["frame"], labels, path)


class FeatureStore:
    """Finds the features of pairs, or computes and keeps them.

    :param cache: Where.
    """

    def __init__(self, cache: DiskCache) -> None:
        self.cache = cache
        self._digests: dict[tuple[Path, int, int], str] = {}

    def features(self, loaded: WalkForward, pair: str) -> PairFeatures | None:
        """Return the features of a pair over the whole range of its candles.

        :return: None if the pair has no candles of a timeframe of the features; the log says which.
        :raises SettingsError: If the identifier's models were trained on other labels or features.
        :raises OperationalException: If a correlated pair has no candles.
        """
        code, settings = feature_code(loaded.strategy), _settings(loaded, pair)
        parameters = settings["freqai"]["feature_parameters"]
        others = {name: settings.pop(name) for name in _OF_TRADING & settings.keys()}
        others |= {name: parameters.pop(name) for name in _OF_TRAINING & parameters.keys()}
        others[_HORIZON] = parameters.pop(_HORIZON, None)
        key = _digest([code.digest, settings, code.mentioned(others)])
        name = f"features-{key}"
        kept = self.cache.load(name)
        if kept is None or kept["sources"] != self._digests_of(loaded, kept["sources"]):
            with _recorded_sources(loaded, pair) as sources:
                frame = loaded.features(pair)
                if frame is None:
                    return None
                # A copy has all columns of a type in one block.
                frame = frame.copy()
                # For the candles that labels are made of.
                loaded.strategy.set_freqai_targets(frame.copy(deep=False), metadata={"pair": pair})
            kept = {"sources": self._digests_of(loaded, sources), "frame": frame}
            self.cache.keep(name, kept)
        elif isinstance(regressor := loaded.strategy.freqai, WindowedRegressor):
            regressor.check_pair(kept["frame"], {"pair": pair}, loaded.strategy)
        code = label_code(loaded.strategy)
        known = code.mentioned(others) | {_HORIZON: others[_HORIZON]}
        made_of = [key, sorted(kept["sources"].items()), code.digest, known]
        stored = StoredLabels(self.cache, _digest(made_of))
        return PairFeatures(kept["frame"], stored, self.cache.path(name))

    def _digests_of(self, loaded: WalkForward, sources: Any) -> dict[tuple[str, str, str], str]:
        return {
            (pair, timeframe, kind): self._digest_of(
                candle_path(loaded.config, pair, timeframe, CandleType(kind))
            )
            for pair, timeframe, kind in sources
        }

    def _digest_of(self, file: Path) -> str:
        """Return the digest of a file, which is read once for as long as it stays as it is."""
        try:
            status = file.stat()
        except FileNotFoundError:
            return "none"
        key = (file, status.st_mtime_ns, status.st_size)
        if key not in self._digests:
            with file.open("rb") as content:
                self._digests[key] = hashlib.file_digest(content, "sha256").hexdigest()
        return self._digests[key]


@contextmanager
def open_store(config: Mapping[str, Any], *, is_kept: bool = True) -> Iterator[FeatureStore]:
    """Yield the store of a user directory, or one that is gone afterwards.

    :param is_kept: Whether what is computed stays.
    """
    if is_kept:
        yield FeatureStore(DiskCache(cache_folder(config["user_data_dir"])))
        return
    with temporary_folder() as folder:
        yield FeatureStore(DiskCache(folder))


@contextmanager
def _recorded_sources(loaded: WalkForward, pair: str) -> Iterator[set[tuple[str, str, str]]]:
    """Note whose candles the strategy reads, by pair, timeframe and type."""
    config, provider = loaded.config, loaded.strategy.dp
    read = {(pair, config["timeframe"], str(config["candle_type_def"]))}
    historic_ohlcv = provider.historic_ohlcv

    def recording(pair: str, timeframe: str, candle_type: str = "") -> DataFrame:
        kind = CandleType.from_string(candle_type) if candle_type else config["candle_type_def"]
        read.add((pair, timeframe, str(kind)))
        return historic_ohlcv(pair, timeframe, candle_type)

    provider.historic_ohlcv = recording
    try:
        yield read
    finally:
        del provider.historic_ohlcv


def _settings(loaded: WalkForward, pair: str) -> dict[str, Any]:
    """Return all settings that features or labels may depend on, and the range of the candles."""
    config = {key: value for key, value in loaded.config.items() if key not in _WITHOUT_EFFECT}
    freqai = {key: value for key, value in config["freqai"].items() if key not in OF_THE_MODEL}
    exchange = {key: config["exchange"][key] for key in ("name", "pair_whitelist")}
    dates = loaded.candles[pair]["date"]
    return config | {
        "exchange": exchange,
        "freqai": freqai | {"feature_parameters": dict(freqai["feature_parameters"])},
        "pair": pair,
        "candles": [str(dates.iloc[0]), str(dates.iloc[-1])],
        "packages": {name: version(name) for name in _PACKAGES},
    }


def _digest(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
