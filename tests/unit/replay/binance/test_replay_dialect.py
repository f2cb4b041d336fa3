"""Forms that are filled in."""

import pytest

from freqai_lstm.replay.binance.dialect import DIALECTS, Dialect, Limit

FORMS = {
    "rules": {
        "always": "same",
        "time": None,
        "list": [1, 2],
        "symbols": [{"name": None, "filters": [{"type": "PRICE", "tick": None}, {"type": "LOT"}]}],
    }
}
DIALECT = Dialect("linear", Limit(1, (1,)), Limit(1, (1,)), FORMS)


def test_a_form_is_filled_in_where_it_is_null() -> None:
    symbols = [{"name": "BTC", "tick": 0.1, "other": 1}, {"name": "ETH", "tick": 0.01}]
    assert DIALECT.fill("rules", {"time": 5, "symbols": symbols, "another": 2}) == {
        "always": "same",
        "time": 5,
        "list": [1, 2],
        "symbols": [
            {"name": "BTC", "filters": [{"type": "PRICE", "tick": 0.1}, {"type": "LOT"}]},
            {"name": "ETH", "filters": [{"type": "PRICE", "tick": 0.01}, {"type": "LOT"}]},
        ],
    }
    # The form itself stays empty.
    assert DIALECT.fill("rules", {"time": 6, "symbols": []})["symbols"] == []


def test_every_value_of_a_form_is_needed() -> None:
    with pytest.raises(KeyError, match="tick"):
        DIALECT.fill("rules", {"time": 5, "symbols": [{"name": "BTC"}]})


def test_spot_has_forms_for_what_futures_have_too() -> None:
    assert set(DIALECTS["futures"].forms) - set(DIALECTS["spot"].forms) == {"premiumIndex"}
    assert set(DIALECTS["spot"].forms) < set(DIALECTS["futures"].forms)
