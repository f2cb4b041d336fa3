"""The account of what a backtest could not predict."""

import numpy as np
import pandas as pd
import pytest
from freqtrade.exceptions import OperationalException

from freqai_lstm.bridge.account import Account, complete_rows, incomplete_text
from freqai_lstm.exceptions import PredictionError

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def predicted(share: float) -> pd.Series:
    return pd.Series((np.arange(100) < 100 * share).astype(int))


def refused(account: Account, *pairs: str) -> str:
    with pytest.raises(PredictionError) as caught:
        account.check(pairs)
    return str(caught.value)


def test_a_tenth_of_the_candles_is_enough() -> None:
    account = Account()
    account.end(BTC, predicted(0.1))
    account.check([BTC])
    account.end(BTC, predicted(0.09))
    assert "9 of 100 were predicted: do_predict is not 1 in the predictions" in refused(
        account, BTC
    )


def test_nothing_is_said_before_all_pairs_are_through() -> None:
    account = Account()
    account.end(BTC, predicted(0))
    account.check([BTC, ETH])
    account.end(ETH, predicted(1))
    account.check([BTC, ETH])
    account.end(ETH, predicted(0.1))
    assert "10 of 200" in refused(account, BTC, ETH)


def test_most_frequent_failure_is_the_cause() -> None:
    account = Account()
    for error in ("WindowError: too few", "WindowError: too few", "TrainingError: diverged"):
        account.note_failure(BTC, error)
    account.end(BTC, predicted(0))
    message = refused(account, BTC)
    assert message.endswith(
        "2 training(s) failed with WindowError: too few (1 more failed otherwise)"
    )
    account.begin(BTC)
    account.note_failure(BTC, "TrainingError: diverged")
    assert refused(account, BTC).endswith("1 training(s) failed with TrainingError: diverged")


def test_features_without_values_and_gaps_are_the_cause() -> None:
    account = Account()
    frame = pd.DataFrame({"%-a": [1.0, np.nan, np.inf, 2.0], "%-b": [1.0, 1.0, 1.0, 1.0]})
    account.note_unpredicted(
        frame, ["%-a", "%-b"], {"window reaches over a gap": np.array([False, False, False, True])}
    )
    account.end(BTC, predicted(0))
    assert refused(account, BTC).endswith("%-a is NaN on 2, window reaches over a gap on 1")


def test_refusal_ends_freqtrade_with_its_message() -> None:
    assert issubclass(PredictionError, OperationalException)


def test_complete_rows_and_the_columns_that_cost_the_others() -> None:
    frame = pd.DataFrame(
        {
            "%-a": [1.0, np.nan, 3.0, np.inf],
            "&-label": [1.0, np.nan, np.nan, 4.0],
            "&s-class": ["up", None, "down", "up"],
        }
    )
    assert complete_rows(frame, ["%-a"]) == 2
    assert complete_rows(frame, ["%-a", "&-label"]) == 1
    assert complete_rows(frame, ["&s-class"]) == 3
    assert incomplete_text(frame, list(frame)) == (
        "%-a is NaN on 2 of 4 candles, &-label is NaN on 2 of 4 candles"
    )
    assert incomplete_text(frame.head(1), list(frame)) == ""
