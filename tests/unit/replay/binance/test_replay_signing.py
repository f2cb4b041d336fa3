"""Who may ask, and what for."""

import hmac
from decimal import Decimal
from hashlib import sha256

import pytest

from freqai_lstm.replay.account.orders import OrderRequest, StopRequest
from freqai_lstm.replay.binance.order_requests import order_request, stop_request
from freqai_lstm.replay.binance.parameters import BinanceError
from freqai_lstm.replay.binance.signing import Credentials

NOW_MS = 1_700_000_000_000
MADE_UP = Credentials.made_up(3)


def signed(text: str) -> str:
    signature = hmac.new(MADE_UP.secret.encode(), text.encode(), sha256).hexdigest()
    return f"{text}&signature={signature}"


def refused(query: str, body: str = "", key: str = MADE_UP.key) -> int:
    with pytest.raises(BinanceError) as error:
        MADE_UP.check(key, query, body, NOW_MS)
    return error.value.code


def test_keys_are_made_of_the_seed() -> None:
    assert Credentials.made_up(3) == MADE_UP
    assert len({MADE_UP.key, MADE_UP.secret, Credentials.made_up(4).key}) == 3


def test_query_and_body_are_signed_together() -> None:
    query, body = "symbol=BTCUSDT", f"timestamp={NOW_MS}&note=a%20b&empty="
    signature = signed(query + body).rpartition("&")[2]
    read = MADE_UP.check(MADE_UP.key, query, f"{body}&{signature}", NOW_MS)
    read.pop("signature")
    expected = {"symbol": "BTCUSDT", "timestamp": str(NOW_MS), "note": "a b", "empty": ""}
    assert read == expected
    assert refused(f"{query}&extra=1", f"{body}&{signature}") == -1022


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"timestamp={NOW_MS}", -1102),
        (f"timestamp={NOW_MS}&signature=%C3%A9", -1022),
        (signed("a=1"), -1102),
        (signed("timestamp=now"), -1100),
        (signed(f"timestamp={NOW_MS - 5001}"), -1021),
        (signed(f"timestamp={NOW_MS + 1000}"), -1021),
        (signed(f"timestamp={NOW_MS}&recvWindow=60001"), -1131),
    ],
    ids=["unsigned", "letters", "timeless", "word", "old", "early", "window"],
)
def test_what_is_wrong_with_a_request(query: str, code: int) -> None:
    assert refused(query) == code
    assert refused(query, key="") == -2014
    assert refused(query, key="x" * 64) == -2015


ORDER = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.5"}
STOP = {"algoType": "CONDITIONAL", "type": "TAKE_PROFIT", "triggerPrice": "90", "price": "91.5"}


def test_orders_are_read() -> None:
    limit = {"type": "LIMIT", "price": "90.1", "timeInForce": "GTX", "newClientOrderId": "mine"}
    assert order_request({**ORDER, **limit, "reduceOnly": "True"}) == OrderRequest(
        "BTCUSDT", "SELL", "LIMIT", Decimal("0.5"), Decimal("90.1"), "GTX", True, "mine"
    )
    mark = {"workingType": "MARK_PRICE", "clientAlgoId": "other"}
    becomes = OrderRequest(
        "BTCUSDT", "SELL", "LIMIT", Decimal("0.5"), Decimal("91.5"), client_id="other"
    )
    assert stop_request({**ORDER, **STOP, **mark}) == StopRequest(becomes, Decimal(90), True, True)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "TRAILING_STOP_MARKET"}, -1116),
        ({"side": "HOLD"}, -1117),
        ({"timeInForce": "GTD"}, -1115),
        ({"quantity": "much"}, -1100),
        ({"quantity": "NaN"}, -1100),
        ({"quantity": ""}, -1102),
        ({"positionSide": "LONG"}, -4061),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
def test_orders_that_cannot_be_read(changes: dict[str, str], code: int) -> None:
    for read, order in ((order_request, {"type": "MARKET"}), (stop_request, STOP)):
        with pytest.raises(BinanceError) as error:
            read({**ORDER, **order, **changes})
        assert error.value.code == code
