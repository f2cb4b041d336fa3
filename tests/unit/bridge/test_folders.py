"""Names of FreqAI's files, as FreqAI itself makes them."""

import json
from pathlib import Path

import pandas as pd
import pytest
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from unit_windows import DATES, START, artefacts, window

from freqai_lstm.bridge.folders import (
    PAIRS,
    IdentifierFolder,
    check_coins,
    identifier_folder,
    model_filename,
    model_folder,
    prediction_file,
    saved_models,
    saved_predictions,
)
from freqai_lstm.exceptions import SettingsError

PAIR = "BTC/USDT:USDT"


def test_names_are_freqais(tmp_path: Path) -> None:
    config = {"user_data_dir": tmp_path, "freqai": {"identifier": "some"}}
    kitchen = FreqaiDataKitchen.__new__(FreqaiDataKitchen)
    kitchen.full_path = kitchen.get_full_models_path(config)
    kitchen.backtest_predictions_folder = "backtesting_predictions"
    kitchen.set_new_model_names(PAIR, 1700000000)
    kitchen.check_if_backtest_prediction_is_valid(0)
    folder = identifier_folder(config)
    assert folder == kitchen.full_path
    assert model_folder(folder, PAIR, 1700000000) == kitchen.data_path
    assert model_filename(PAIR, 1700000000) == kitchen.model_filename
    assert prediction_file(folder, PAIR, 1700000000) == kitchen.backtesting_results_path


@pytest.mark.parametrize("other", ["BTC/USDC:USDC", "btc/USDT:USDT"])
def test_two_pairs_of_one_coin_are_refused(other: str) -> None:
    pairs = [PAIR, "ETH/USDT:USDT"]
    check_coins(pairs)
    with pytest.raises(SettingsError, match=rf"pair_whitelist: .*was {PAIR} and {other}"):
        check_coins([*pairs, other])


# What a pretraining puts there

BTC = PAIR


def test_stored_model_is_held(stored: IdentifierFolder, tmp_path: Path) -> None:
    assert not stored.holds(window(), DATES)
    stored.store(window(), artefacts(tmp_path, window()))
    assert stored.holds(window(), DATES)
    assert not stored.holds(window(1), DATES)
    assert (
        model_folder(stored.path, BTC, START) / "tensorboard" / "events"
    ).read_bytes() == b"events"


def test_predictions_of_other_candles_are_not_held(
    stored: IdentifierFolder, tmp_path: Path
) -> None:
    stored.store(window(), artefacts(tmp_path, window()))
    assert not stored.holds(window(), DATES.drop(index=5))
    assert not stored.holds(window(), DATES + pd.Timedelta(minutes=30))


def test_newest_model_is_noted_for_a_bot(stored: IdentifierFolder) -> None:
    stored.note_newest([window(1), window(0)])
    stored.note_newest([window(0, "ETH/USDT:USDT")])
    noted = json.loads((stored.path / PAIRS).read_text())
    assert noted["BTC/USDT:USDT"] == {
        "model_filename": window(1).model_filename,
        "trained_timestamp": window(1).trained_timestamp,
        "data_path": str(model_folder(stored.path, BTC, window(1).start)),
        "extras": {},
    }
    assert noted["ETH/USDT:USDT"]["model_filename"] == window(0, "ETH/USDT:USDT").model_filename
    # What a live training has noted is newer, and stays.
    before = (stored.path / PAIRS).read_bytes()
    stored.note_newest([window(0)])
    stored.note_newest([])
    assert (stored.path / PAIRS).read_bytes() == before


def test_models_and_predictions_are_counted(stored: IdentifierFolder, tmp_path: Path) -> None:
    assert saved_models(stored.path) == {}
    assert saved_predictions(stored.path) == []
    for one in (window(), window(1), window(0, "ETH/USDT:USDT")):
        stored.store(one, artefacts(tmp_path, one))
    (stored.path / "sub-train-SOL_1").mkdir()
    assert {coin: len(models) for coin, models in saved_models(stored.path).items()} == {
        "BTC": 2,
        "ETH": 1,
    }
    assert len(saved_predictions(stored.path)) == 3
