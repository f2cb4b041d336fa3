"""No label that is trained on is made of candles that a test row's label is made of."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from hypothesis import given
from hypothesis import strategies as st
from unit_settings import HOUR, make_section

from freqai_lstm.bridge.splits import split_rows
from freqai_lstm.classifier import LSTMClassifier
from freqai_lstm.exceptions import WindowError
from freqai_lstm.regressor import LSTMRegressor

PAIR = "BTC/USDT:USDT"
TEST_SIZE = "data_split_parameters.test_size"
HORIZON = "feature_parameters.label_period_candles"


def kitchen_of(**changes: Any) -> FreqaiDataKitchen:
    """Make FreqAI's data kitchen, which weighs newer rows higher."""
    parameters = {
        "weight_factor": 0.9,
        "shuffle_after_split": False,
        "reverse_train_test_order": changes.pop("reverse", False),
    }
    section = {"feature_parameters": parameters, "data_split_parameters": changes}
    kitchen = FreqaiDataKitchen.__new__(FreqaiDataKitchen)
    kitchen.config, kitchen.freqai_config = {"freqai": section}, section
    kitchen.train_dates = pd.Series(dtype="datetime64[ns, UTC]")
    return kitchen


def split(kitchen: FreqaiDataKitchen, hours: list[int], horizon: int) -> dict[str, Any]:
    """Split rows of these hours, each of which has its hour as feature and label."""
    rows = pd.DataFrame({"hour": hours}, index=range(100, 100 + len(hours)))
    stamps = rows["hour"] * HOUR
    return split_rows(kitchen, rows, rows.set_axis(["&-hour"], axis=1), stamps, horizon * HOUR)


@given(
    hours=st.sets(st.integers(0, 60), min_size=8, max_size=40),
    horizon=st.integers(0, 12),
    test_size=st.floats(0.15, 0.6),
    reverse=st.booleans(),
)
def test_no_label_that_is_trained_on_reaches_a_test_row(
    hours: set[int], horizon: int, test_size: float, reverse: bool
) -> None:
    options = {"test_size": test_size, "shuffle": False, "reverse": reverse}
    made = split(kitchen_of(**options), sorted(hours), horizon)
    whole = kitchen_of(**options).make_train_test_datasets(
        pd.DataFrame({"hour": sorted(hours)}), pd.DataFrame({"&-hour": sorted(hours)})
    )
    tested = made["test_features"]["hour"].tolist()
    assert tested == whole["test_features"]["hour"].tolist()
    trained = whole["train_features"]["hour"].tolist()
    kept = [
        (hour, weight)
        for hour, weight in zip(trained, whole["train_weights"], strict=True)
        if not any(hour - horizon <= other <= hour + horizon for other in tested)
    ]
    assert made["train_features"]["hour"].tolist() == [hour for hour, _ in kept]
    assert made["train_labels"]["&-hour"].tolist() == [hour for hour, _ in kept]
    assert made["train_weights"].tolist() == [weight for _, weight in kept]


def test_as_many_candles_as_the_horizon_are_left_out() -> None:
    made = split(kitchen_of(test_size=0.2, shuffle=False), list(range(50)), 4)
    assert made["train_features"]["hour"].tolist() == list(range(36))
    assert made["test_features"]["hour"].tolist() == list(range(40, 50))


def test_without_a_test_split_nothing_changes() -> None:
    made = split(kitchen_of(test_size=0), list(range(50)), 4)
    assert made["train_features"]["hour"].tolist() == list(range(50))
    np.testing.assert_array_equal(
        made["train_weights"], kitchen_of().set_weights_higher_recent(len(made["train_weights"]))
    )


class Trained:
    """What a regressor's network would be trained on."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "models").mkdir()
        self.folder = folder
        self.seen: dict[str, list[int]] = {"train": [], "test": []}
        monkeypatch.setattr(LSTMRegressor, "fit", self._note)

    def _note(self, data_dictionary: dict[str, Any], dk: Any, **_: Any) -> None:
        for name in self.seen:
            stamps = data_dictionary.get(f"{name}_timestamps", ())
            self.seen[name] = [int(stamp) // HOUR for stamp in stamps]

    def hours(self, model: type[LSTMRegressor], **changes: Any) -> dict[str, list[int]]:
        """Train on 60 candles, the first of them at hour 0."""
        config = {
            "freqai": make_section(changes | {"feature_parameters.shuffle_after_split": False}),
            "timeframe": "1h",
            "user_data_dir": self.folder,
            "exchange": {"name": "binance", "pair_whitelist": [PAIR]},
            "pairs": [PAIR],
        }
        regressor = model(config=config)
        regressor.class_names = ["up", "down"] if model is LSTMClassifier else []
        kitchen = FreqaiDataKitchen(config, live=True, pair=PAIR)
        kitchen.set_paths(PAIR, 1_704_412_800)
        random = np.random.default_rng(0)
        values = random.normal(size=60)
        label = np.where(values > 0, "up", "down") if model is LSTMClassifier else values
        frame = pd.DataFrame(
            {
                "date": pd.to_datetime(np.arange(60) * HOUR, unit="s", utc=True),
                "%-value": random.normal(size=60),
                "&-label": label,
            }
        )
        kitchen.find_features(frame)
        kitchen.find_labels(frame)
        regressor.train(frame, PAIR, kitchen)
        return self.seen


@pytest.mark.parametrize("model", [LSTMRegressor, LSTMClassifier])
def test_models_are_trained_with_the_gap(
    model: type[LSTMRegressor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = Trained(tmp_path, monkeypatch)
    changes = {HORIZON: 7, TEST_SIZE: 0.2, "identifier": "gap"}
    seen = trained.hours(model, **changes)
    assert seen == {"train": [*range(48 - 7)], "test": [*range(48, 60)]}
    seen = trained.hours(model, **changes | {TEST_SIZE: 0, "identifier": "whole"})
    assert seen == {"train": [*range(60)], "test": []}


def test_gap_that_leaves_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = Trained(tmp_path, monkeypatch)
    with pytest.raises(WindowError, match=r"more than label_period_candles \(48\) .* 60 candles"):
        trained.hours(LSTMRegressor, **{HORIZON: 48, TEST_SIZE: 0.2})
