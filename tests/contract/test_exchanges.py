"""The pairs of the example configurations are what other exchanges call them, through ccxt."""

import json
from typing import Any

import ccxt
import pytest
from freqtrade.exchange import Bybit, Hyperliquid, Kraken, Okx

from tests.conftest import ROOT


def pairs(name: str) -> list[str]:
    config = json.loads((ROOT / name).read_text(encoding="utf-8"))
    listed: list[str] = config["exchange"]["pair_whitelist"]
    return [*listed, *config["freqai"]["feature_parameters"]["include_corr_pairlist"]]


FUTURES, SPOT = pairs("config-torch.json"), pairs("user_data/config-spot.json")


def okx_market(coin: str, kind: str) -> Any:
    """Read an instrument as OKX describes it."""
    of_kind = {
        "SWAP": {"instId": f"{coin}-USDT-SWAP", "uly": f"{coin}-USDT", "settleCcy": "USDT"},
        "SPOT": {"instId": f"{coin}-USDT", "baseCcy": coin, "quoteCcy": "USDT"},
    }[kind]
    instrument = {
        "instType": kind,
        "ctVal": "0.01",
        "ctMult": "1",
        "ctValCcy": coin,
        "ctType": "linear",
        "lever": "100",
        "lotSz": "1",
        "minSz": "1",
        "tickSz": "0.1",
        "state": "live",
        "listTime": "1573557408000",
        "expTime": "",
        **of_kind,
    }
    return ccxt.okx().parse_market(instrument)


def bybit_market(coin: str, kind: str) -> Any:
    """Read an instrument as Bybit describes it."""
    exchange = ccxt.bybit()
    instrument = {
        "symbol": f"{coin}USDT",
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": coin,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.1", "maxPrice": "1999999", "tickSize": "0.1"},
        "lotSizeFilter": {
            "minOrderQty": "0.001",
            "maxOrderQty": "1190",
            "qtyStep": "0.001",
            "basePrecision": "0.000001",
            "quotePrecision": "0.0000001",
            "minOrderAmt": "1",
            "maxOrderAmt": "4000000",
        },
    }

    def answer(params: dict[str, Any]) -> dict[str, Any]:
        listed = [instrument] if params.get("category") in ("linear", "spot") else []
        return {"result": {"category": params.get("category"), "list": listed}}

    exchange.publicGetV5MarketInstrumentsInfo = answer
    if kind == "SPOT":
        return exchange.fetch_spot_markets({"category": "spot"})[0]
    return exchange.fetch_future_markets({"category": "linear"})[0]


@pytest.mark.parametrize("read", [okx_market, bybit_market])
@pytest.mark.parametrize(("kind", "listed"), [("SWAP", FUTURES), ("SPOT", SPOT)])
def test_pairs_have_the_names_of_the_exchange(read: Any, kind: str, listed: list[str]) -> None:
    for pair in dict.fromkeys(listed):
        market = read(pair.split("/")[0], kind)
        assert market["symbol"] == pair
        assert market["quote"] == "USDT"
        assert market["swap"] is (kind == "SWAP")


@pytest.mark.parametrize(
    ("exchange", "has_history"), [(Bybit, True), (Okx, True), (Hyperliquid, False), (Kraken, False)]
)
def test_documented_histories_are_freqtrades(exchange: Any, has_history: bool) -> None:
    assert exchange._ft_has.get("ohlcv_has_history", True) is has_history
