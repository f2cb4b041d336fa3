"""Predictions of any strategy beside what came true."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from freqai_lstm.bridge.folders import prediction_file
from freqai_lstm.bridge.offline import load_labelling_strategy
from freqai_lstm.exceptions import SettingsError, SkillError
from freqai_lstm.tools.candles import stored_candles
from freqai_lstm.tools.predictions import asked_for, load_predictions
from freqai_lstm.tools.report.gather import gather_report
from freqai_lstm.tools.report.page import write_json, write_page
from freqai_lstm.tools.skill import class_skill, pair_skill, print_skill
from freqai_lstm.tools.truths import sample_labels

BTC = "BTC/USDT:USDT"
START = pd.Timestamp("2024-02-10", tz="UTC")
SOURCE = """
import numpy as np
from freqtrade.strategy import IStrategy


class {name}(IStrategy):
    timeframe = "1h"
    stoploss = -0.1

    def set_freqai_targets(self, dataframe, metadata, **kwargs):
{body}
        return dataframe

    def populate_indicators(self, dataframe, metadata):
        return self.freqai.start(dataframe, metadata, self)

    def populate_entry_trend(self, dataframe, metadata):
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe
"""
NUMBERS = (
    'dataframe["&-ret"] = dataframe["close"].shift(-7) / dataframe["close"] - 1',
    'dataframe["&-range"] = dataframe["high"].rolling(5).max().shift(-5) / dataframe["close"]',
    'dataframe["&-now"] = dataframe["close"] / dataframe["open"]',
)
FEATURE = """
    def feature_engineering_standard(self, dataframe, metadata, **kwargs):
        dataframe["%-mine"] = dataframe["close"]
        return dataframe
"""
CLASSES = (
    'self.freqai.class_names = ["down", "up"]',
    'rises = dataframe["close"].shift(-9) > dataframe["close"]',
    'dataframe["&s-side"] = np.where(rises, "up", "down")',
)


@pytest.fixture
def strategies(config: dict[str, Any], tmp_path: Path) -> Any:
    """Let the configuration name a strategy with these labels."""
    folder = tmp_path / "own_strategies"
    folder.mkdir()

    def make(name: str, *lines: str, methods: str = "") -> dict[str, Any]:
        body = "\n".join(f"        {line}" for line in lines)
        (folder / f"{name}.py").write_text(SOURCE.format(name=name, body=body) + methods)
        return config | {
            "strategy": name,
            "strategy_path": str(folder),
            "timerange": "20240210-20240215",
        }

    return make


def store(config: dict[str, Any], **columns: Any) -> pd.DataFrame:
    """Store predictions of one window, as FreqAI does, and return its candles."""
    candles = stored_candles(config, BTC)
    rows = candles[(candles["date"] >= START) & (candles["date"] < START + pd.Timedelta(days=5))]
    frame = rows[["date"]].reset_index(drop=True).assign(do_predict=1)
    for name, values in columns.items():
        frame[name.replace("__", "&-").replace("_s_", "&s-")] = np.asarray(values(rows, candles))
    folder = config["user_data_dir"] / "models" / config["freqai"]["identifier"]
    file = prediction_file(folder, BTC, int(START.timestamp()))
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.to_feather(file)
    return rows


def zeros(rows: pd.DataFrame, _: pd.DataFrame) -> np.ndarray:
    return np.zeros(len(rows))


def test_each_label_stands_beside_its_truth_and_what_was_known(strategies: Any) -> None:
    config = strategies("Numbers", *NUMBERS)
    store(config, __ret=lambda rows, _: rows["close"] % 1, __range=zeros, __now=zeros)
    predictions = load_predictions(config)
    assert list(predictions) == ["&-ret", "&-range", "&-now"]
    [ret], [high], [now] = predictions.values()
    assert (ret.horizon, high.horizon, now.horizon) == (7, 5, 0)
    close = stored_candles(config, BTC).set_index("date")["close"]
    expected = (close.shift(-7) / close - 1).loc[ret.candles.index]
    pd.testing.assert_series_equal(ret.candles["true"], expected, check_names=False)
    known = (close / close.shift(7) - 1).loc[ret.candles.index]
    pd.testing.assert_series_equal(ret.candles["present"], known, check_names=False)
    period = 20 * 24
    mean = (close / close.shift(7) - 1).rolling(period, min_periods=1).mean()
    np.testing.assert_allclose(ret.candles["mean"], mean.loc[ret.candles.index], rtol=1e-6)
    pd.testing.assert_series_equal(now.candles["present"], now.candles["true"], check_names=False)


def test_mean_that_is_predicted_saves_nothing(strategies: Any) -> None:
    config = strategies("Numbers", *NUMBERS)
    store(config, __ret=zeros, __range=zeros, __now=zeros)
    [pair] = load_predictions(config)["&-ret"]
    store(config, __ret=lambda *_: pair.candles["mean"], __range=zeros, __now=zeros)
    skill = pair_skill(load_predictions(config)["&-ret"][0])
    assert skill.r_squared_over_mean == pytest.approx(0)
    store(config, __ret=lambda *_: pair.candles["true"], __range=zeros, __now=zeros)
    skill = pair_skill(load_predictions(config)["&-ret"][0])
    assert skill.r_squared_over_mean == pytest.approx(1)
    assert skill.correlation == pytest.approx(1)


def test_labels_may_be_made_of_features(strategies: Any) -> None:
    config = strategies(
        "Featured", 'dataframe["&-x"] = dataframe["%-mine"].shift(-2)', methods=FEATURE
    )
    rows = store(config, __x=lambda rows, _: rows["close"])
    [pair] = load_predictions(config)["&-x"]
    assert pair.horizon == 2
    assert pair.candles["present"].tolist() == rows["close"].tolist()


def probabilities(rows: pd.DataFrame, candles: pd.DataFrame) -> np.ndarray:
    up = candles["close"].shift(-9) > candles["close"]
    return np.where(up.loc[rows.index], 0.8, 0.3)


def store_classes(config: dict[str, Any]) -> None:
    store(
        config,
        _s_side=lambda *args: np.where(probabilities(*args) > 0.5, "up", "down"),
        up=probabilities,
        down=lambda *args: 1 - probabilities(*args),
    )


def test_classes_are_judged_by_their_probabilities(strategies: Any) -> None:
    config = strategies("Classes", *CLASSES)
    store_classes(config)
    [pair] = load_predictions(config)["&s-side"]
    assert pair.classes == ("down", "up")
    assert pair.horizon == 9
    skill = class_skill(pair)
    is_up = pair.candles["true"] == "up"
    share = is_up.mean()
    assert skill.accuracy == 1
    assert skill.log_loss == pytest.approx(-share * np.log(0.8) - (1 - share) * np.log(0.7))
    assert skill.brier == pytest.approx(share * 2 * 0.2**2 + (1 - share) * 2 * 0.3**2)
    assert skill.base_log_loss > skill.log_loss
    assert 0.3 < skill.base_rate < 0.7
    # What was known by then ends nine candles before.
    assert pair.candles["present"].iloc[9:].tolist() == pair.candles["true"].iloc[:-9].tolist()
    assert len(pair.candles) == skill.candles


def test_report_of_classes_and_of_two_labels_is_written(
    strategies: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = strategies("Classes", *CLASSES)
    store_classes(config)
    report = gather_report(config)
    [label] = report.labels
    assert label.verdicts[0].text.startswith("Better than the base rates: ")
    write_page(report, tmp_path / "page.html")
    write_json(report, tmp_path / "page.json")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h3>Reliability</h3>" in page
    assert "Log loss" in page

    config = strategies("Numbers", *NUMBERS)
    store(config, __ret=zeros, __range=zeros, __now=zeros)
    report = gather_report(config)
    assert [label.label for label in report.labels] == ["&-ret", "&-range", "&-now"]
    assert report.components == {}
    assert report.signals is None
    write_page(report, tmp_path / "page.html")
    print_skill(load_predictions(config))
    printed = capsys.readouterr().out
    assert "predicted against true &-ret 7 candle(s) ahead" in printed
    assert "predicted against true &-now of the present candle" in printed


def test_predictions_of_other_labels_are_refused(strategies: Any) -> None:
    store(strategies("Numbers", *NUMBERS), __ret=zeros, __range=zeros, __now=zeros)
    config = strategies("Renamed", 'dataframe["&-other"] = dataframe["close"].shift(-1)')
    with pytest.raises(
        SkillError, match="have the labels of Renamed, &-other; &-other was missing"
    ):
        load_predictions(config)


def test_a_strategy_must_be_named_and_set_labels(strategies: Any, config: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="strategy: must name the strategy's class"):
        load_labelling_strategy({**config, "strategy": None})
    empty = strategies("Empty", "pass")
    with pytest.raises(SettingsError, match="Empty: set_freqai_targets must set a label"):
        sample_labels(load_labelling_strategy(empty), empty)


def test_score_is_asked_for_in_place_of_its_components(config: dict[str, Any]) -> None:
    labels = sample_labels(load_labelling_strategy(config), config)
    assert labels[0] == "score"
    assert len(labels) == 10
    assert asked_for(labels) == ["score"]
    assert asked_for([*labels, "&-return"]) == ["score", "&-return"]
    assert asked_for(["&-score_w0", "&-return"]) == ["&-score_w0", "&-return"]
