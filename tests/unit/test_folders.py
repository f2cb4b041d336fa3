"""Names of FreqAI's files, as FreqAI itself makes them."""

from pathlib import Path

import pytest
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.folders import (
    check_coins,
    identifier_folder,
    model_filename,
    model_folder,
    prediction_file,
)

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
