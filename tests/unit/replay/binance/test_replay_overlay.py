"""The configuration that points freqtrade at the replay exchange."""

from collections.abc import Iterator

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest

from freqai_lstm.replay.binance.dialect import Json
from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.market import TradingMode

URL = "http://127.0.0.1:8123"


def addresses_in(values: Json) -> Iterator[str]:
    for value in values.values():
        if isinstance(value, dict):
            yield from addresses_in(value)
        else:
            yield value


@pytest.mark.parametrize(
    "library", [ccxt.binance, ccxt.async_support.binance, ccxt.pro.binance], ids=str
)
def test_every_address_of_ccxt_is_on_this_machine(library: type[ccxt.Exchange]) -> None:
    exchange = library(exchange_overlay(URL)["exchange"]["ccxt_config"])
    addresses = list(addresses_in(exchange.urls["api"]))
    assert len(addresses) > 20
    assert {address.split("/")[2] for address in addresses} == {"127.0.0.1:8123"}
    assert exchange.urls["api"]["fapiPublic"] == f"{URL}/fapi/v1"
    assert exchange.urls["api"]["fapiPublicV2"] == f"{URL}/fapi/v2"
    assert exchange.urls["api"]["public"] == f"{URL}/api/v3"


@pytest.mark.parametrize(("trading_mode", "kind"), [("futures", "linear"), ("spot", "spot")])
def test_only_the_own_markets_are_loaded_and_nothing_else_is_contacted(
    trading_mode: TradingMode, kind: str
) -> None:
    exchange = exchange_overlay(URL, trading_mode)["exchange"]
    assert exchange["name"] == "binance"
    assert exchange["only_from_ccxt"] is True
    assert exchange["enable_ws"] is False
    options = exchange["ccxt_config"]["options"]
    assert options == {"fetchMarkets": {"types": [kind]}, "fetchCurrencies": False}
    assert exchange["ccxt_config"]["enableRateLimit"] is False


def test_a_slash_at_the_end_does_not_matter() -> None:
    assert exchange_overlay(URL + "/") == exchange_overlay(URL)
