"""Features and labels are computed once, and again as soon as anything that they come from changes.

A strategy of few features is loaded as the commands load it, without an exchange.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pandas import DataFrame

from freqai_lstm.bridge.folders import Window, identifier_folder
from freqai_lstm.bridge.kitchen import PreparedDataKitchen, WindowedDataKitchen, plan_windows
from freqai_lstm.bridge.manifest import MANIFEST_NAME
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.cache import DiskCache, cache_folder
from freqai_lstm.tools.features import FeatureStore, PairFeatures
from freqai_lstm.tools.loading import WalkForward, offline_walk_forward
from freqai_lstm.tools.walk import Outcome, pack_project, walk
from tests.conftest import PAIRS, candle_file, store_candles

BTC, ETH, SOL = PAIRS
STRATEGY = """
import numpy as np
from freqtrade.strategy import IStrategy, RealParameter


def changes(closes, period):
    return closes.pct_change(period)


class FewFeatures(IStrategy):
    timeframe = "1h"
    startup_candle_count = 20
    stoploss = -0.1
    minimal_roi = {"0": 0.1}
    threshold = RealParameter(0, 1, default=0.5, space="buy")

    def feature_engineering_expand_all(self, dataframe, period, metadata, **kwargs):
        dataframe["%-change-period"] = changes(dataframe["close"], period)
        return dataframe

    def feature_engineering_expand_basic(self, dataframe, metadata, **kwargs):
        dataframe["%-range"] = dataframe["high"] / dataframe["low"] - 1
        return dataframe

    def feature_engineering_standard(self, dataframe, metadata, **kwargs):
        dataframe["%-hour"] = dataframe["date"].dt.hour / 24
        return dataframe

    def set_freqai_targets(self, dataframe, metadata, **kwargs):
        horizon = self.freqai_info["feature_parameters"]["label_period_candles"]
        others = self.dp.get_pair_dataframe("SOL/USDT:USDT", self.timeframe)
        closes = dataframe["date"].map(others.set_index("date")["close"])
        ratio = dataframe["close"] / closes
        dataframe["&-ratio"] = ratio.shift(-horizon) / ratio - 1
        return dataframe

    def populate_indicators(self, dataframe, metadata):
        return self.freqai.start(dataframe, metadata, self)

    def populate_entry_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["&-ratio"] > self.threshold.value, "enter_long"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""
RATIO = 'dataframe["&-ratio"] = ratio.shift(-horizon) / ratio - 1'
CLASSES = """self.freqai.class_names = ["down", "up"]
        dataframe["&s-ratio"] = np.where(ratio.shift(-horizon) > ratio, "up", "down")"""


@pytest.fixture
def config(config: dict[str, Any], tmp_path: Path, no_bytecode: None) -> dict[str, Any]:
    config.update(
        strategy="FewFeatures",
        strategy_path=str(tmp_path / "strategies"),
        timerange="20240210-20240218",
    )
    (tmp_path / "strategies").mkdir()
    write(config, STRATEGY)
    config["freqai"]["feature_parameters"].update(
        label_period_candles=4, indicator_periods_candles=[5, 10], include_shifted_candles=1
    )
    return config


def write(config: dict[str, Any], source: str) -> None:
    (Path(config["strategy_path"]) / "few_features.py").write_text(source, encoding="utf-8")


def replace(config: dict[str, Any], old: str, new: str) -> None:
    """Change one place of the strategy's code."""
    assert STRATEGY.count(old) == 1
    write(config, STRATEGY.replace(old, new))


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the pair of every computation of features."""
    pairs: list[str] = []
    compute = WalkForward.features

    def counted(self: WalkForward, pair: str) -> DataFrame | None:
        pairs.append(pair)
        return compute(self, pair)

    monkeypatch.setattr(WalkForward, "features", counted)
    return pairs


@pytest.fixture
def labelled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record for how many candles labels were computed, each time."""
    counts: list[int] = []
    label = WindowedDataKitchen.label

    def counted(self: WindowedDataKitchen, strategy: Any, candles: int) -> DataFrame:
        counts.append(candles)
        return label(self, strategy, candles)

    monkeypatch.setattr(WindowedDataKitchen, "label", counted)
    return counts


def find(config: dict[str, Any], pair: str = BTC) -> PairFeatures:
    """Return the features of a pair as a new process finds or computes them."""
    store = FeatureStore(DiskCache(cache_folder(config["user_data_dir"])))
    found = store.features(offline_walk_forward(copy.deepcopy(config)), pair)
    assert found is not None
    return found


def labels_key(features: PairFeatures) -> str:
    assert features.labels is not None
    return features.labels.key


def test_features_are_computed_once(config: dict[str, Any], computed: list[str]) -> None:
    loaded = offline_walk_forward(copy.deepcopy(config))
    expected = loaded.features(BTC)
    assert expected is not None
    computed.clear()
    first, second = find(config), find(config)
    assert computed == [BTC]
    for features in (first, second):
        assert features.frame.equals(expected)
        assert [column for column in features.frame.columns if column.startswith("%-")]
    assert (second.path, labels_key(second)) == (first.path, labels_key(first))
    other = find(config, ETH)
    assert computed == [BTC, ETH]
    assert other.path != first.path
    assert labels_key(other) != labels_key(first)


def change_last_close(datadir: Path, pair: str, timeframe: str) -> None:
    candles = pd.read_feather(candle_file(datadir, pair, timeframe))
    candles.loc[candles.index[-1], "close"] *= 1 + 1e-12
    store_candles(datadir, pair, timeframe, candles)


@pytest.mark.parametrize(
    ("pair", "timeframe"), [(BTC, "1h"), (BTC, "4h"), (ETH, "1h"), (ETH, "4h"), (SOL, "1h")]
)
def test_changed_candle_makes_them_anew(
    config: dict[str, Any], own_datadir: Path, computed: list[str], pair: str, timeframe: str
) -> None:
    before = find(config)
    change_last_close(own_datadir, pair, timeframe)
    after = find(config)
    assert computed == [BTC, BTC]
    assert labels_key(after) != labels_key(before)
    find(config)
    assert computed == [BTC, BTC]


def test_changed_candle_is_noticed_by_the_same_store(
    config: dict[str, Any], own_datadir: Path, computed: list[str]
) -> None:
    store = FeatureStore(DiskCache(cache_folder(config["user_data_dir"])))
    for _ in range(2):
        store.features(offline_walk_forward(copy.deepcopy(config)), BTC)
    assert computed == [BTC]
    change_last_close(own_datadir, ETH, "4h")
    store.features(offline_walk_forward(copy.deepcopy(config)), BTC)
    assert computed == [BTC, BTC]


def test_candles_that_nobody_reads_may_change(
    config: dict[str, Any], own_datadir: Path, computed: list[str]
) -> None:
    before = find(config)
    change_last_close(own_datadir, SOL, "4h")
    # Nor does it matter when or where a file was written.
    file = candle_file(own_datadir, BTC, "1h")
    file.write_bytes(file.read_bytes())
    config["datadir"] = own_datadir.rename(own_datadir.with_name("moved"))
    assert labels_key(find(config)) == labels_key(before)
    assert computed == [BTC]


@pytest.mark.parametrize(
    "change",
    [
        {"indicator_periods_candles": [5, 11]},
        {"include_shifted_candles": 2},
        {"include_timeframes": ["1h"]},
        {"include_corr_pairlist": [SOL]},
    ],
)
def test_changed_setting_of_features_makes_them_anew(
    config: dict[str, Any], computed: list[str], change: dict[str, Any]
) -> None:
    before = find(config)
    config["freqai"]["feature_parameters"] |= change
    after = find(config)
    assert computed == [BTC, BTC]
    assert after.path != before.path
    assert labels_key(after) != labels_key(before)


@pytest.mark.parametrize(
    "change", [{"timerange": "20240210-20240217"}, {"own_setting": 1}, {"startup_candle_count": 21}]
)
def test_changed_range_or_setting_of_the_strategy_makes_them_anew(
    config: dict[str, Any], computed: list[str], change: dict[str, Any]
) -> None:
    find(config)
    find(config | change)
    assert computed == [BTC, BTC]


def test_longer_training_makes_them_anew(
    config: dict[str, Any], own_datadir: Path, computed: list[str]
) -> None:
    # Candles of another timeframe reach back further than those that are traded, which do not
    # reach back far enough.
    candles = pd.read_feather(candle_file(own_datadir, BTC, "1h"))
    store_candles(own_datadir, BTC, "1h", candles[candles["date"] >= "2024-01-25"])
    find(config)
    config["freqai"]["train_period_days"] += 10
    find(config)
    assert computed == [BTC, BTC]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('["close"], period)', '["open"], period)'),
        ('["low"] - 1', '["low"] - 2'),
        (".dt.hour / 24", ".dt.hour / 23"),
        ("closes.pct_change(period)", "closes.diff(period)"),
        ("start(dataframe, metadata", "start(dataframe.assign(constant=1), metadata"),
    ],
)
def test_changed_line_of_a_feature_makes_them_anew(
    config: dict[str, Any], computed: list[str], old: str, new: str
) -> None:
    before = find(config)
    replace(config, old, new)
    after = find(config)
    assert computed == [BTC, BTC]
    assert after.path != before.path
    assert not after.frame.equals(before.frame)


def set_model(config: dict[str, Any]) -> None:
    config["freqai"]["model_training_parameters"]["model_kwargs"]["hidden_dim"] = 16


def set_seed(config: dict[str, Any]) -> None:
    config["freqai"]["model_training_parameters"]["trainer_kwargs"]["seed"] = 7


def set_identifier(config: dict[str, Any]) -> None:
    config["freqai"]["identifier"] = "another"


def set_training(config: dict[str, Any]) -> None:
    config["freqai"]["feature_parameters"].update(weight_factor=0.1, DI_threshold=3)


def set_cut(config: dict[str, Any]) -> None:
    config["freqai"].update(backtest_period_days=2, continual_learning=True)


def set_trading(config: dict[str, Any]) -> None:
    config.update(max_open_trades=1, stake_amount=7, leverage=2, stoploss=-0.2)


def set_rules(config: dict[str, Any]) -> None:
    source = STRATEGY
    for old, new in (
        ("stoploss = -0.1", "stoploss = -0.2"),
        ('{"0": 0.1}', '{"0": 0.2}'),
        ("> self.threshold", "< self.threshold"),
        ("default=0.5", "default=0.6"),
    ):
        assert source.count(old) == 1
        source = source.replace(old, new)
    write(config, source)


def set_parameters(config: dict[str, Any]) -> None:
    parameters = {"buy": {"threshold": 0.25}, "stoploss": {"stoploss": -0.3}}
    file = Path(config["strategy_path"]) / "few_features.json"
    file.write_text(json.dumps({"strategy_name": "FewFeatures", "params": parameters}))


@pytest.mark.parametrize(
    "change",
    [
        *(set_model, set_seed, set_identifier, set_training, set_cut, set_trading, set_rules),
        set_parameters,
    ],
)
def test_models_and_trading_may_change(
    config: dict[str, Any], computed: list[str], change: Callable[[dict[str, Any]], None]
) -> None:
    before = find(config)
    change(config)
    after = find(config)
    assert computed == [BTC]
    assert labels_key(after) == labels_key(before)


def test_trading_rule_that_labels_read_changes_them(
    config: dict[str, Any], computed: list[str]
) -> None:
    write(config, STRATEGY.replace("/ ratio - 1", '/ ratio - 1 - self.config["stoploss"]'))
    before = find(config)
    after = find(config | {"stoploss": -0.2})
    assert labels_key(after) != labels_key(before)
    write(config, STRATEGY.replace('["low"] - 1', '["low"] - self.config["stoploss"]'))
    first, second = find(config), find(config | {"stoploss": -0.2})
    assert first.path != second.path


def test_other_horizon_has_the_same_features_and_other_labels(
    config: dict[str, Any], computed: list[str]
) -> None:
    before = find(config)
    config["freqai"]["feature_parameters"]["label_period_candles"] = 6
    after = find(config)
    assert computed == [BTC]
    assert after.path == before.path
    assert labels_key(after) != labels_key(before)


def test_features_that_know_the_horizon_are_made_anew_with_it(
    config: dict[str, Any], computed: list[str]
) -> None:
    horizon = 'self.freqai_info["feature_parameters"]["label_period_candles"]'
    replace(config, ".dt.hour / 24", f".dt.hour / {horizon}")
    before = find(config)
    config["freqai"]["feature_parameters"]["label_period_candles"] = 6
    after = find(config)
    assert computed == [BTC, BTC]
    assert not after.frame.equals(before.frame)


@pytest.mark.parametrize(
    ("old", "new"), [("/ ratio - 1", "/ ratio - 2"), ("/ closes", "/ closes.shift(1)")]
)
def test_changed_label_has_the_same_features(
    config: dict[str, Any], computed: list[str], old: str, new: str
) -> None:
    before = find(config)
    replace(config, old, new)
    after = find(config)
    assert computed == [BTC]
    assert after.path == before.path
    assert labels_key(after) != labels_key(before)


def test_pair_without_candles_has_no_features(config: dict[str, Any], own_datadir: Path) -> None:
    candle_file(own_datadir, BTC, "4h").unlink()
    store = FeatureStore(DiskCache(cache_folder(config["user_data_dir"])))
    assert store.features(offline_walk_forward(copy.deepcopy(config)), BTC) is None
    assert store.cache.files() == []


# What is trained on them


def walk_pair(config: dict[str, Any], features: PairFeatures) -> Outcome:
    loaded = offline_walk_forward(copy.deepcopy(config))
    project = pack_project(loaded.config, loaded.strategy)
    return walk(project, features, plan_windows(loaded.config, BTC))


def assert_same(outcome: Outcome, expected: Outcome) -> None:
    assert outcome.errors == expected.errors == {}
    predictions = {name: each.prediction for name, each in outcome.artefacts.items()}
    assert predictions == {name: each.prediction for name, each in expected.artefacts.items()}
    assert len(predictions) == 2


def test_labels_from_the_store_are_the_ones_that_are_computed(
    config: dict[str, Any], labelled: list[int]
) -> None:
    config["freqai"]["model_training_parameters"]["trainer_kwargs"]["n_epochs"] = 1
    features = find(config)
    expected = walk_pair(config, PairFeatures(features.frame))
    assert len(labelled) == 2
    assert_same(walk_pair(config, features), expected)
    assert len(labelled) == 4
    # Nothing is labelled any more.
    assert_same(walk_pair(config, find(config)), expected)
    assert len(labelled) == 4

    loaded = offline_walk_forward(copy.deepcopy(config))
    kitchen = PreparedDataKitchen(loaded.config, BTC, 0, features.frame, with_last=True)
    kitchen.keep(features.frame)
    files = sorted(cache_folder(config["user_data_dir"]).glob("labels-*"))
    assert len(files) == 2
    for file in files:
        first, stop = map(int, file.stem.split("-")[-2:])
        stored, names = DiskCache(file.parent).load(file.stem)
        assert names == []
        assert len(stored) == stop - first >= 20 * 24
        assert stored.equals(kitchen.label(loaded.strategy, stop).iloc[first:])


def test_classes_from_the_store_have_their_names(
    config: dict[str, Any], labelled: list[int]
) -> None:
    replace(config, RATIO, CLASSES)
    config["freqaimodel"] = "PyTorchLSTMClassifier"
    config["freqai"]["model_training_parameters"]["trainer_kwargs"]["n_epochs"] = 1
    expected = walk_pair(config, PairFeatures(find(config).frame))
    for _ in range(2):
        assert_same(walk_pair(config, find(config)), expected)
    assert len(labelled) == 4


def pretend_model(config: dict[str, Any]) -> Path:
    """Put a model into the identifier's folder, as far as anyone looks."""
    folder = identifier_folder(config)
    windows: list[Window] = plan_windows(copy.deepcopy(config), BTC)
    model = folder / f"sub-train-BTC_{windows[0].start}"
    model.mkdir()
    (model / "model.zip").touch()
    return folder


def test_models_of_other_labels_are_refused_where_features_are_found(
    config: dict[str, Any], computed: list[str]
) -> None:
    find(config)
    pretend_model(config)
    find(config)
    replace(config, "/ ratio - 1", "/ ratio - 2")
    with pytest.raises(SettingsError, match="code of set_freqai_targets: trained with"):
        find(config)
    assert computed == [BTC]


def test_identifier_whose_features_are_found_knows_their_code(
    config: dict[str, Any], computed: list[str]
) -> None:
    find(config)
    manifest = identifier_folder(config) / MANIFEST_NAME
    recorded = json.loads(manifest.read_text())
    assert recorded["labels"] == ["&-ratio"]
    config["freqai"]["identifier"] = "another"
    find(config)
    assert computed == [BTC]
    manifest = identifier_folder(config) / MANIFEST_NAME
    assert json.loads(manifest.read_text()) == recorded
