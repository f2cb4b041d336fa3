"""Walking forward through freqtrade's own classes: what must hold of every backtest."""

import copy
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from freqtrade.exceptions import OperationalException
from freqtrade.freqai.freqai_interface import IFreqaiModel
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freqai_lstm.exceptions import PredictionError, SettingsError
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.score import DEFAULT_WEIGHTS, RETURN_LABEL, WEIGHT_NAMES, target_score
from freqai_lstm.trainer import PyTorchLSTMTrainer
from tests.conftest import PAIRS, candle_file, store_candles
from tests.integration.conftest import Backtest

LABELS = [f"&-score_{name}" for name in WEIGHT_NAMES]
BTC, ETH, SOL = PAIRS


def test_every_candle_of_every_slice_is_predicted(config: dict[str, Any], fits: list[str]) -> None:
    analysed = Backtest(config).run(BTC)
    assert len(analysed) == 10 * 24
    assert fits == [BTC, BTC]
    # The first rows of a slice take their history from the candles before it.
    assert (analysed["do_predict"] == 1).all()
    assert analysed[LABELS].std().min() > 0
    expected = target_score(analysed_candles(config, BTC)).loc[analysed["date"]]
    correlation = np.corrcoef(analysed["&-target"], expected)[0, 1]
    assert correlation > 0.8


def analysed_candles(config: dict[str, Any], pair: str) -> pd.DataFrame:
    return pd.read_feather(candle_file(config["datadir"], pair, "1h")).set_index("date")


def test_target_is_composed_of_the_predicted_components(config: dict[str, Any]) -> None:
    analysed = Backtest(config).run(BTC)
    weighted = analysed[LABELS].to_numpy() @ np.array(DEFAULT_WEIGHTS)
    np.testing.assert_allclose(analysed["&-target"], weighted * analysed["volatility"])
    np.testing.assert_allclose(analysed["score"], weighted * analysed["relative_volatility"])


def test_same_seed_same_predictions_and_another_seed_others(config: dict[str, Any]) -> None:
    predictions = []
    for identifier, seed in (("one", 1), ("two", 1), ("three", 2)):
        config["freqai"]["identifier"] = identifier
        config["freqai"]["model_training_parameters"]["trainer_kwargs"]["seed"] = seed
        predictions.append(Backtest(copy.deepcopy(config)).run(BTC)[LABELS])
    pd.testing.assert_frame_equal(predictions[0], predictions[1], check_exact=True)
    assert not predictions[0].equals(predictions[2])


def test_second_run_reuses_the_predictions_without_training(
    config: dict[str, Any], fits: list[str]
) -> None:
    first = Backtest(config).run(BTC)
    assert len(fits) == 2
    second = Backtest(config).run(BTC)
    assert len(fits) == 2
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_saved_models_predict_the_same_as_the_run_that_trained_them(
    config: dict[str, Any], fits: list[str]
) -> None:
    first = Backtest(config).run(BTC)
    shutil.rmtree(config["user_data_dir"] / "models" / "torch-lstm" / "backtesting_predictions")
    second = Backtest(config).run(BTC)
    assert len(fits) == 2
    # Label statistics went through JSON.
    pd.testing.assert_frame_equal(first, second, rtol=1e-12)
    pd.testing.assert_frame_equal(first[LABELS], second[LABELS], check_exact=True)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        (("model_training_parameters",), "learning_rate", 1e-4),
        (("model_training_parameters", "model_kwargs"), "window_size", 7),
        (("model_training_parameters", "trainer_kwargs"), "seed", 7),
        (("feature_parameters",), "label_period_candles", 3),
        (("feature_parameters",), "strong_trend_boost", 2.0),
        ((), "train_period_days", 19),
    ],
)
def test_changed_setting_under_the_same_identifier_is_refused(
    config: dict[str, Any], section: tuple[str, ...], key: str, value: float
) -> None:
    Backtest(config).run(BTC)
    holder = config["freqai"]
    for name in section:
        holder = holder[name]
    holder[key] = value
    with pytest.raises(SettingsError) as error:
        Backtest(config)
    path = ".".join(["freqai", *section, key])
    assert f"{path}: trained with" in str(error.value)
    assert f"was {value!r}" in str(error.value)


def test_hubers_error_of_a_label_that_there_is_not_is_refused(
    config: dict[str, Any], fits: list[str]
) -> None:
    deltas = {"&-y": 1.0, LABELS[0]: 1.0, "&-x": 1.0}
    config["freqai"]["model_training_parameters"]["trainer_kwargs"]["huber_delta"] = deltas
    required = f"huber_delta: must be of the labels {', '.join(LABELS)}, was &-x, &-y"
    with pytest.raises(SettingsError, match=f"{required}$"):
        Backtest(config).run(BTC)
    assert not fits


def test_prediction_of_a_candle_is_the_same_in_a_slice_and_alone(
    config: dict[str, Any], slices: list[tuple[pd.DataFrame, Any, Any]]
) -> None:
    backtest = Backtest(config)
    analysed = backtest.run(BTC)
    frame, dk, model = slices[-1]
    # The candle at the end of the timerange is predicted too, and not traded on.
    frame = frame.iloc[:-1]
    tail = analysed.tail(len(frame)).reset_index(drop=True)
    dk.history = frame.iloc[:0]
    backtest.freqai.model = model
    window = backtest.freqai.CONV_WIDTH
    assert window == config["freqai"]["model_training_parameters"]["model_kwargs"]["window_size"]
    for row in (window - 1, 20, 60, len(frame) - 1):
        alone, do_predict = backtest.freqai.predict(frame.iloc[row - window + 1 : row + 1], dk)
        assert do_predict.tolist() == [0] * (window - 1) + [1]
        assert alone.iloc[:-1].isna().all(axis=None)
        assert alone.iloc[-1].tolist() == tail.loc[row, LABELS].tolist()


def test_rows_over_a_gap_or_with_nan_features_are_not_predicted(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[pd.DataFrame, Any]] = []
    predict = LSTMRegressor.predict

    def spied(self: LSTMRegressor, frame: pd.DataFrame, dk: Any, **kwargs: Any) -> Any:
        calls.append((frame.copy(), dk))
        result = predict(self, frame, dk, **kwargs)
        calls_model.append(self.model)
        return result

    calls_model: list[Any] = []
    monkeypatch.setattr(LSTMRegressor, "predict", spied)
    backtest = Backtest(config)
    backtest.run(BTC)
    frame, dk = calls[-1]
    backtest.freqai.model = calls_model[-1]
    dk.history = frame.iloc[:0]
    window = backtest.freqai.CONV_WIDTH
    feature = next(column for column in frame.columns if column.startswith("%"))
    frame.loc[frame.index[50], feature] = np.nan
    gapped = frame.drop(index=frame.index[20])
    predictions, do_predict = backtest.freqai.predict(gapped, dk)
    expected = np.ones(len(gapped), dtype=int)
    expected[: window - 1] = 0
    expected[20 : 20 + window - 1] = 0
    expected[49 : 49 + window] = 0
    assert do_predict.tolist() == expected.tolist()
    assert predictions.isna().any(axis=1).tolist() == (expected == 0).tolist()


@pytest.mark.parametrize("return_head", [False, True])
def test_training_labels_end_at_the_training_window(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, return_head: bool
) -> None:
    config["freqai"]["feature_parameters"].update(label_period_candles=4, return_head=return_head)
    config["freqai"]["feature_parameters"]["buffer_train_data_candles"] = 0
    seen: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    fit = LSTMRegressor.fit

    def spied(self: LSTMRegressor, dd: dict[str, Any], dk: Any, **kwargs: Any) -> Any:
        newest = pd.Timestamp(int(dd["test_timestamps"].max()), unit="s", tz="UTC")
        seen.append((newest, pd.Timestamp(self.training_timerange.stopdt)))
        return fit(self, dd, dk, **kwargs)

    monkeypatch.setattr(LSTMRegressor, "fit", spied)
    analysed = Backtest(config).run(BTC)
    assert (RETURN_LABEL in analysed) == return_head
    assert not return_head or analysed[RETURN_LABEL].std() > 0
    assert len(seen) == 2
    for newest, end in seen:
        # The last candle before the end opens an hour before it; the label looks 4 candles ahead.
        assert newest == end - pd.Timedelta(hours=5)


def test_trainings_and_slices_are_those_of_freqais_own_kitchen(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, pd.DataFrame]] = []
    train, predict = LSTMRegressor.train_pair, LSTMRegressor.predict

    def spied_train(self: LSTMRegressor, frame: pd.DataFrame, *args: Any, **kwargs: Any) -> Any:
        seen.append(("train", frame.copy()))
        return train(self, frame, *args, **kwargs)

    def spied_predict(self: LSTMRegressor, frame: pd.DataFrame, *args: Any) -> Any:
        # Labels of what is to be predicted are nobody's business.
        seen.append(("predict", frame[[name for name in frame if not name.startswith("&")]]))
        return predict(self, frame, *args)

    monkeypatch.setattr(LSTMRegressor, "train_pair", spied_train)
    monkeypatch.setattr(LSTMRegressor, "predict", spied_predict)
    Backtest(copy.deepcopy(config)).indicators(ETH)
    ours, seen = seen, []
    config["freqai"]["identifier"] = "stock"
    stock = Backtest(config)
    monkeypatch.setattr(LSTMRegressor, "start_backtesting", IFreqaiModel.start_backtesting)
    stock.indicators(ETH)
    assert [kind for kind, _ in ours] == [kind for kind, _ in seen] == ["train", "predict"] * 2
    for (_, our_frame), (_, their_frame) in zip(ours, seen, strict=True):
        # Stock FreqAI leaves out the candle at the end of the timerange.
        pd.testing.assert_frame_equal(
            our_frame.head(len(their_frame)), their_frame, check_exact=True
        )
        assert len(our_frame) - len(their_frame) in (0, 1)


def test_labels_may_be_made_of_features(config: dict[str, Any]) -> None:
    backtest = Backtest(config)
    feature = "%-relative_volatility"
    backtest.strategy.set_freqai_targets = lambda dataframe, metadata: dataframe.assign(
        **{"&-next": dataframe[feature].shift(-1), "helper": 1.0}
    )
    analysed = backtest.indicators(BTC)
    assert (analysed["do_predict"].tail(24) == 1).all()
    assert analysed["&-next"].tail(24).std() > 0


def test_label_statistics_are_freqais(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config["freqai"]["fit_live_predictions_candles"] = 24
    ours = Backtest(config).run(BTC)
    monkeypatch.delattr(LSTMRegressor, "backtesting_fit_live_predictions")
    monkeypatch.delattr(LSTMRegressor, "fit_live_predictions")
    theirs = Backtest(config).run(BTC)
    columns = [f"{label}_{name}" for label in LABELS for name in ("mean", "std")]
    np.testing.assert_allclose(ours[columns], theirs[columns], rtol=1e-12, atol=1e-15)


def test_pair_without_a_timeframe_is_skipped_and_the_others_go_on(
    config: dict[str, Any], own_datadir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    candle_file(own_datadir, SOL, "4h").unlink()
    backtest = Backtest(config)
    with caplog.at_level(logging.ERROR):
        skipped = backtest.run(SOL)
    assert f"{SOL}: skipped, no candles of 4h" in caplog.text
    assert (skipped["do_predict"] == 0).all()
    assert "enter_long" not in skipped or skipped["enter_long"].sum() == 0
    assert (backtest.run(BTC)["do_predict"] == 1).all()


def test_missing_correlated_pair_is_an_error(config: dict[str, Any], own_datadir: Path) -> None:
    candle_file(own_datadir, ETH, "4h").unlink()
    with pytest.raises(OperationalException, match=r"include_corr_pairlist: ETH.*no candles of 4h"):
        Backtest(config).run(BTC)


@pytest.mark.parametrize("damage", ["short", "nan"])
def test_bad_candles_are_skipped_with_the_cause_and_the_others_go_on(
    config: dict[str, Any], own_datadir: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    for timeframe in config["freqai"]["feature_parameters"]["include_timeframes"]:
        candles = pd.read_feather(candle_file(own_datadir, SOL, timeframe))
        if damage == "short":
            candles = candles[candles["date"] >= "2024-02-08"].reset_index(drop=True)
        else:
            candles.loc[candles["date"] < "2024-02-16", "close"] = np.nan
        store_candles(own_datadir, SOL, timeframe, candles)
    backtest = Backtest(config)
    with caplog.at_level(logging.WARNING):
        analysed = backtest.run(SOL)
    assert "Training SOL/USDT:USDT raised exception" in caplog.text
    assert "SOL/USDT:USDT: " in caplog.text
    assert (analysed["do_predict"] == 0).all()
    assert analysed["score"].isna().all()
    assert "enter_long" not in analysed or analysed["enter_long"].sum() == 0
    assert (backtest.run(BTC)["do_predict"] == 1).all()


def damaged(own_datadir: Path, pair: str, damage: str, since: str) -> None:
    """Let a pair stand still, or nobody trade it, from a day on."""
    for timeframe in ("1h", "4h"):
        candles = pd.read_feather(candle_file(own_datadir, pair, timeframe))
        rows = candles["date"] >= since
        if damage == "flat":
            candles.loc[rows, ["open", "high", "low", "close"]] = 100.0
        candles.loc[rows, "volume"] = 0.0
        store_candles(own_datadir, pair, timeframe, candles)


@pytest.mark.parametrize("damage", ["flat", "volume"])
@pytest.mark.parametrize("since", ["2000-01-01", "2024-02-01", "2024-02-13"])
def test_correlated_pair_that_stands_still_costs_no_candle_of_the_others(
    config: dict[str, Any], own_datadir: Path, damage: str, since: str
) -> None:
    config["freqai"]["feature_parameters"]["DI_threshold"] = 0
    damaged(own_datadir, ETH, damage, since)
    assert (Backtest(config).run(BTC)["do_predict"] == 1).all()


def test_pair_that_stands_still_has_no_score_and_no_trade(
    config: dict[str, Any], own_datadir: Path
) -> None:
    damaged(own_datadir, SOL, "flat", "2000-01-01")
    backtest = Backtest(config)
    analysed = backtest.run(SOL)
    assert analysed["score"].isna().all()
    assert "enter_long" not in analysed or analysed["enter_long"].sum() == 0
    assert (backtest.run(BTC)["do_predict"] == 1).all()


def test_backtest_that_predicts_nothing_ends_with_the_cause(
    config: dict[str, Any], own_datadir: Path
) -> None:
    config["exchange"]["pair_whitelist"] = [BTC, SOL]
    for timeframe in ("1h", "4h"):
        candles = pd.read_feather(candle_file(own_datadir, ETH, timeframe))
        store_candles(own_datadir, ETH, timeframe, candles.assign(close=np.nan))
    backtest = Backtest(config)
    assert (backtest.run(BTC)["do_predict"] == 0).all()
    with pytest.raises(
        PredictionError, match=r"0 of 482 were predicted: \d training\(s\) failed wi"
    ):
        backtest.run(SOL)


def test_failed_training_is_tried_again_once_there_is_data(
    config: dict[str, Any], own_datadir: Path, datadir: Path
) -> None:
    file = candle_file(own_datadir, SOL, "1h")
    candles = pd.read_feather(file)
    store_candles(own_datadir, SOL, "1h", candles.assign(close=np.nan))
    assert (Backtest(config).run(SOL)["do_predict"] == 0).all()
    shutil.copy(candle_file(datadir, SOL, "1h"), file)
    assert (Backtest(config).run(SOL)["do_predict"] == 1).all()


def test_outlier_steps_leave_no_window_over_a_removed_row(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config["freqai"]["feature_parameters"]["use_SVM_to_remove_outliers"] = True
    config["freqai"]["feature_parameters"]["svm_params"] = {"shuffle": False, "nu": 0.1}
    splits: list[Any] = []
    load = PyTorchLSTMTrainer._load_split

    def spied(self: PyTorchLSTMTrainer, dd: dict[str, Any], split: str) -> Any:
        loaded = load(self, dd, split)
        splits.append((torch.as_tensor(dd[f"{split}_timestamps"]), loaded.ends, self.window_size))
        return loaded

    monkeypatch.setattr(PyTorchLSTMTrainer, "_load_split", spied)
    Backtest(config).run(BTC)
    timestamps, ends, window = splits[0]
    assert (timestamps.diff() > 3600).any()
    assert 0 < len(ends) < len(timestamps) - window + 1
    assert torch.equal(
        timestamps[ends] - timestamps[ends - window + 1], torch.full_like(ends, 3600 * (window - 1))
    )


@pytest.fixture
def strategy(config: dict[str, Any]) -> Any:
    """The strategy as a backtest loads it."""
    return Backtest(config).strategy


def features_of(strategy: Any, candles: pd.DataFrame, period: int = 10) -> pd.DataFrame:
    """Return every feature that the strategy computes on one timeframe."""
    metadata = {"pair": BTC}
    frame = strategy.feature_engineering_expand_all(candles.copy(), period, metadata=metadata)
    frame = strategy.feature_engineering_expand_basic(frame, metadata=metadata)
    return strategy.feature_engineering_standard(frame, metadata=metadata).filter(like="%")


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(last=st.integers(150, 399), factor=st.floats(0.5, 2.0), volume=st.floats(0, 1e6))
def test_candles_after_t_change_no_feature_at_or_before_t(
    strategy: Any, candles: Callable[..., pd.DataFrame], last: int, factor: float, volume: float
) -> None:
    history = candles(BTC).head(400)
    changed = history.copy()
    changed.loc[last + 1 :, ["open", "high", "low", "close"]] *= factor
    changed.loc[last + 1 :, "volume"] = volume
    pd.testing.assert_frame_equal(
        features_of(strategy, history).loc[:last],
        features_of(strategy, changed).loc[:last],
        check_exact=True,
    )


def test_startup_candles_cover_the_warm_up_of_every_feature(
    strategy: Any, candles: Callable[..., pd.DataFrame]
) -> None:
    history = candles(BTC)
    whole = features_of(strategy, history, period=20).iloc[-1]
    assert whole.notna().all()
    recent = history.tail(strategy.startup_candle_count + 1).reset_index(drop=True)
    short = features_of(strategy, recent, period=20).iloc[-1]
    np.testing.assert_allclose(short, whole, rtol=1e-5, atol=1e-6)
    too_short = features_of(strategy, recent.tail(100).reset_index(drop=True), period=20).iloc[-1]
    assert too_short.isna().any()


def test_features_keep_their_range_above_every_price_seen_before(
    strategy: Any, candles: Callable[..., pd.DataFrame]
) -> None:
    history = candles(BTC)
    prices = ["open", "high", "low", "close"]
    dear = history.assign(**{name: history[name] * 64 for name in prices})
    busy = dear.assign(volume=history["volume"] * 4)
    np.testing.assert_allclose(
        features_of(strategy, history).iloc[300:],
        features_of(strategy, busy).iloc[300:],
        rtol=1e-6,
        atol=1e-6,
    )
