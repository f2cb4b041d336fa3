"""What the exchange's answers say, in Binance's field names.

An answer that futures and spot both have is described with all fields of either: their dialects
choose their own. Prices and quantities are strings with the listing's decimals, as Binance writes
them.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from freqai_lstm.replay.binance.dialect import Json
from freqai_lstm.replay.candles import HOUR_MS, candle_end_ms
from freqai_lstm.replay.feed import Feed
from freqai_lstm.replay.market import Candles, FundingRates, Listing

_MEAN_TRADE_TURNOVER = 2_000.0


def price_klines(candles: Candles, timeframe: str, listing: Listing) -> bytes:
    """Write last price candles as the JSON array of arrays that Binance sends."""
    price, quantity = f'"%.{listing.price_decimals}f"', f'"%.{listing.quantity_decimals}f"'
    template = f'[%d,{price},{price},{price},{price},{quantity},%d,"%.2f",%d,{quantity},"%.2f","0"]'
    turnover = candles.volume * (candles.open + candles.high + candles.low + candles.close) / 4.0
    rows = zip(
        *_time_and_prices(candles),
        candles.volume.tolist(),
        (candle_end_ms(candles.open_ms, timeframe) - 1).tolist(),
        turnover.tolist(),
        np.ceil(turnover / _MEAN_TRADE_TURNOVER).tolist(),
        (candles.volume / 2.0).tolist(),
        (turnover / 2.0).tolist(),
        strict=True,
    )
    return _json_array([template % row for row in rows])


def _time_and_prices(candles: Candles) -> Iterator[list[Any]]:
    for values in (candles.open_ms, candles.open, candles.high, candles.low, candles.close):
        yield values.tolist()


def mark_klines(candles: Candles, timeframe: str) -> bytes:
    """Write mark price candles as the JSON array of arrays that Binance sends."""
    template = '[%d,"%.8f","%.8f","%.8f","%.8f","0",%d,"0",%d,"0","0","0"]'
    end_ms = candle_end_ms(candles.open_ms, timeframe)
    rows = zip(
        *_time_and_prices(candles),
        (end_ms - 1).tolist(),
        ((end_ms - candles.open_ms) // 1000).tolist(),
        strict=True,
    )
    return _json_array([template % row for row in rows])


def funding_rates(rates: FundingRates, listing: Listing) -> list[Json]:
    """Describe settled funding rates."""
    return [
        {"symbol": listing.symbol, "fundingTime": time_ms, "fundingRate": f"{rate:.8f}"}
        for time_ms, rate in zip(rates.time_ms.tolist(), rates.rate.tolist(), strict=True)
    ]


def exchange_info(listings: Sequence[Listing], server_ms: int, start_ms: int) -> Json:
    """Describe the exchange and its trading rules."""
    quotes = sorted({listing.quote for listing in listings})
    return {
        "serverTime": server_ms,
        "assets": [{"asset": quote} for quote in quotes],
        "symbols": [_symbol_info(listing, start_ms) for listing in listings],
    }


def _symbol_info(listing: Listing, start_ms: int) -> Json:
    tick, step = _smallest(listing.price_decimals), _smallest(listing.quantity_decimals)
    return {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "onboardDate": start_ms,
        "baseAsset": listing.base,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": listing.price_decimals,
        "quantityPrecision": listing.quantity_decimals,
        "minPrice": tick,
        "tickSize": tick,
        "minQty": step,
        "stepSize": step,
        "notional": f"{listing.min_notional:g}",
    }


def day_ticker(feed: Feed, listing: Listing) -> Json:
    """Describe the last 24 hours."""
    day = feed.last_day(listing.symbol)
    first, last, now_ms = float(day.open[0]), float(day.close[-1]), feed.now_ms()
    volume = float(day.volume.sum())
    turnover = float((day.volume * (day.open + day.high + day.low + day.close) / 4.0).sum())
    trades = int(np.ceil(turnover / _MEAN_TRADE_TURNOVER))
    return book_ticker(feed, listing) | {
        "priceChange": _price(last - first, listing),
        "priceChangePercent": f"{100.0 * (last / first - 1.0):.3f}",
        "weightedAvgPrice": _price(turnover / volume if volume else last, listing),
        "prevClosePrice": _price(first, listing),
        "lastPrice": _price(last, listing),
        "lastQty": _smallest(listing.quantity_decimals),
        "openPrice": _price(first, listing),
        "highPrice": _price(float(day.high.max()), listing),
        "lowPrice": _price(float(day.low.min()), listing),
        "volume": f"{volume:.{listing.quantity_decimals}f}",
        "quoteVolume": f"{turnover:.2f}",
        "openTime": int(day.open_ms[0]),
        "closeTime": now_ms,
        "lastId": trades,
        "count": trades,
    }


def price_ticker(feed: Feed, listing: Listing) -> Json:
    """Describe the last price."""
    price = feed.last_price(listing.symbol)
    return {"symbol": listing.symbol, "price": _price(price, listing), "time": feed.now_ms()}


def book_ticker(feed: Feed, listing: Listing) -> Json:
    """Describe the best bid and ask: the first level of :func:`order_book`."""
    book = order_book(feed, listing, levels=1)
    [[bid, bid_quantity]], [[ask, ask_quantity]] = book["bids"], book["asks"]
    best = {"bidPrice": bid, "bidQty": bid_quantity, "askPrice": ask, "askQty": ask_quantity}
    return {"symbol": listing.symbol, **best, "time": book["T"]}


def order_book(feed: Feed, listing: Listing, levels: int) -> Json:
    """Describe an order book around the last price, one tick wide, that changes every second."""
    now_ms = feed.now_ms()
    last = round(feed.last_price(listing.symbol) / listing.tick_size)
    rng = np.random.default_rng([crc32(listing.symbol.encode()), now_ms // 1000])
    best_bid = max(1, last - int(rng.integers(2)))
    day = feed.last_day(listing.symbol)
    hours = max(1.0, (now_ms - int(day.open_ms[0])) / HOUR_MS)
    usual_quantity = float(day.volume.sum()) / hours / 2_000.0
    gaps = rng.integers(1, 4, (2, 1000))
    gaps[:, 0] = 0
    quantities = usual_quantity * rng.lognormal(0.0, 1.0, (2, 1000))
    smallest = 10.0**-listing.quantity_decimals

    def side(ticks: Sequence[int], drawn: Sequence[float]) -> list[list[str]]:
        return [
            [
                _price(tick * listing.tick_size, listing),
                f"{max(quantity, smallest):.{listing.quantity_decimals}f}",
            ]
            for tick, quantity in zip(ticks, drawn, strict=True)
            if tick > 0
        ]

    bids = (best_bid - gaps[0].cumsum())[:levels]
    asks = (best_bid + 1 + gaps[1].cumsum())[:levels]
    return {
        "lastUpdateId": now_ms,
        "E": now_ms,
        "T": now_ms,
        "bids": side(bids.tolist(), quantities[0, :levels].tolist()),
        "asks": side(asks.tolist(), quantities[1, :levels].tolist()),
    }


def premium_index(feed: Feed, listing: Listing, settled: FundingRates) -> Json:
    """Describe the mark price and the funding rate that was settled last."""
    mark = feed.last_price(listing.symbol, "mark")
    index = feed.last_price(listing.symbol)
    return {
        "symbol": listing.symbol,
        "markPrice": f"{mark:.8f}",
        "indexPrice": f"{index:.8f}",
        "estimatedSettlePrice": f"{index:.8f}",
        "lastFundingRate": f"{float(settled.rate[-1]) if len(settled.rate) else 0.0:.8f}",
        "nextFundingTime": feed.next_funding_ms(),
        "time": feed.now_ms(),
    }


def _price(value: float, listing: Listing) -> str:
    return f"{value:.{listing.price_decimals}f}"


def _smallest(decimals: int) -> str:
    return f"{10.0**-decimals:.{decimals}f}"


def _json_array(rows: Sequence[str]) -> bytes:
    return f"[{','.join(rows)}]".encode()
