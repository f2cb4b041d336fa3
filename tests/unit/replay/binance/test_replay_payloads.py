"""The documents: trading rules, funding rates, tickers and order books."""

from collections.abc import Callable

import pytest
import requests
from replay_markets import day_of

from freqai_lstm.replay.candles import HOUR_MS
from freqai_lstm.replay.synthetic import SyntheticMarket
from tests.replay_server import ReplayServer

Ask = Callable[..., requests.Response]
TICKS = {"BTCUSDT": 0.1, "ETHUSDT": 0.01}


def test_trading_rules(ask: Ask) -> None:
    bitcoin, ether = ask("exchangeInfo").json()["symbols"]
    assert (bitcoin["symbol"], ether["symbol"]) == ("BTCUSDT", "ETHUSDT")
    assert (ether["baseAsset"], ether["quoteAsset"], ether["status"]) == ("ETH", "USDT", "TRADING")
    filters = {rule["filterType"]: rule for rule in bitcoin["filters"]}
    assert filters["PRICE_FILTER"]["tickSize"] == filters["PRICE_FILTER"]["minPrice"] == "0.1"
    assert filters["LOT_SIZE"]["stepSize"] == filters["LOT_SIZE"]["minQty"] == "0.001"


def test_trading_rules_of_futures(ask_futures: Ask) -> None:
    info = ask_futures("exchangeInfo").json()
    bitcoin, ether = info["symbols"]
    filters = {rule["filterType"]: rule for rule in bitcoin["filters"]}
    assert filters["MIN_NOTIONAL"]["notional"] == "100"
    assert filters["MARKET_LOT_SIZE"]["stepSize"] == "0.001"
    assert bitcoin["contractType"] == "PERPETUAL"
    assert bitcoin["deliveryDate"] == ether["deliveryDate"]
    assert bitcoin["onboardDate"] == day_of("20240101")
    assert [asset["asset"] for asset in info["assets"]] == ["USDT"]


def test_trading_rules_of_spot(ask_spot: Ask) -> None:
    bitcoin, _ = ask_spot("exchangeInfo").json()["symbols"]
    filters = {rule["filterType"]: rule for rule in bitcoin["filters"]}
    assert filters["NOTIONAL"]["minNotional"] == "5.00000000"
    assert bitcoin["isSpotTradingAllowed"]
    # ccxt takes what has one of these for a contract.
    assert not {"contractType", "deliveryDate", "marginAsset"} & set(bitcoin)


def test_funding_rates_are_those_of_the_market(
    ask_futures: Ask, two_months: SyntheticMarket
) -> None:
    expected = two_months.funding_rates("ETHUSDT")
    rows = ask_futures("fundingRate", symbol="ETHUSDT", startTime=0, limit=1000).json()
    assert [row["fundingTime"] for row in rows] == expected.time_ms.tolist()
    assert [float(row["fundingRate"]) for row in rows] == expected.rate.tolist()
    newest = ask_futures("fundingRate", symbol="ETHUSDT").json()
    assert newest == rows[-100:]
    one = ask_futures("fundingRate", symbol="ETHUSDT", startTime=rows[3]["fundingTime"], limit=1)
    assert one.json() == [rows[3]]


def test_the_day_ticker_sums_up_the_last_24_hours(ask: Ask, two_months: SyntheticMarket) -> None:
    day = two_months.candles("BTCUSDT", "last", "5m")[-288:]
    ticker = ask("ticker/24hr", symbol="BTCUSDT").json()
    assert float(ticker["openPrice"]) == day.open[0]
    assert float(ticker["lastPrice"]) == day.close[-1]
    assert float(ticker["highPrice"]) == day.high.max()
    assert float(ticker["lowPrice"]) == day.low.min()
    assert float(ticker["volume"]) == pytest.approx(day.volume.sum(), abs=0.001)
    assert float(ticker["priceChange"]) == pytest.approx(day.close[-1] - day.open[0])
    assert day.low.min() < float(ticker["weightedAvgPrice"]) < day.high.max()
    assert ask("ticker/24hr").json()[0] == ticker


@pytest.mark.parametrize("path", ["ticker/24hr", "ticker/price", "ticker/bookTicker"])
def test_tickers_come_for_one_some_or_all(ask: Ask, path: str) -> None:
    bitcoin, ether = ask(path).json()
    assert ask(path, symbol="ETHUSDT").json() == ether
    assert ask(path, symbols='["ETHUSDT","BTCUSDT"]').json() == [ether, bitcoin]
    assert ask(path, symbols="[]").json() == []


def test_ccxt_tells_spot_from_futures_by_the_fields(ask_futures: Ask, ask_spot: Ask) -> None:
    best, day = (ask_spot(path).json()[0] for path in ("ticker/bookTicker", "ticker/24hr"))
    assert "time" not in best
    assert {field: day[field] for field in best} == best
    assert float(day["prevClosePrice"]) == float(day["openPrice"])
    assert "time" in ask_futures("ticker/bookTicker").json()[0]
    assert "bidQty" not in ask_futures("ticker/24hr").json()[0]


@pytest.mark.parametrize("symbol", TICKS)
def test_tickers_and_book_agree(ask: Ask, symbol: str) -> None:
    last = float(ask("ticker/price", symbol=symbol).json()["price"])
    best = ask("ticker/bookTicker", symbol=symbol).json()
    book = ask("depth", symbol=symbol, limit=1000).json()
    bids, asks = ([float(level[0]) for level in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 1000
    assert [best["bidPrice"], best["bidQty"]] == book["bids"][0]
    assert [best["askPrice"], best["askQty"]] == book["asks"][0]
    assert asks[0] - bids[0] == pytest.approx(TICKS[symbol])
    assert bids[0] <= last <= asks[0]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert all(float(level[1]) > 0 for side in ("bids", "asks") for level in book[side])


def test_futures_have_the_price_at_a_second_address(server: ReplayServer, ask_futures: Ask) -> None:
    second = requests.get(f"{server.url}/fapi/v2/ticker/price", timeout=10).json()
    assert second == ask_futures("ticker/price").json()


@pytest.mark.parametrize("symbol", TICKS)
def test_the_mark_price_is_near_the_last_price(ask_futures: Ask, symbol: str) -> None:
    last = float(ask_futures("ticker/price", symbol=symbol).json()["price"])
    mark = ask_futures("premiumIndex", symbol=symbol).json()
    assert float(mark["indexPrice"]) == last
    assert float(mark["markPrice"]) == pytest.approx(last, rel=0.002)
    assert mark["nextFundingTime"] == day_of("20240301") + 8 * HOUR_MS
    assert float(mark["lastFundingRate"]) == pytest.approx(0.0001, abs=0.0005)


@pytest.mark.parametrize(("mode", "usual"), [("futures", 500), ("spot", 100)])
def test_a_short_book_is_the_top_of_a_long_one(
    mode: str, usual: int, request: pytest.FixtureRequest
) -> None:
    ask: Ask = request.getfixturevalue(f"ask_{mode}")
    short = ask("depth", symbol="BTCUSDT", limit=5).json()
    long = ask("depth", symbol="BTCUSDT").json()
    assert len(short["bids"]) == 5
    assert len(long["asks"]) == usual
    assert short["bids"] == long["bids"][:5]
    assert short["asks"] == long["asks"][:5]


def test_a_book_of_spot_has_any_number_of_levels(ask_spot: Ask) -> None:
    seven, most = (ask_spot("depth", symbol="BTCUSDT", limit=limit).json() for limit in (7, 9_999))
    assert len(seven["bids"]) == 7
    assert len(most["bids"]) == 1000
    assert set(seven) == {"lastUpdateId", "bids", "asks"}
