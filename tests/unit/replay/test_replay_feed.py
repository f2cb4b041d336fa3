"""What the exchange shows: which rows of a request, and in live mode nothing after now."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replay_markets import LISTING, StoredMarket, day_of, random_candles

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.binance import payloads
from freqai_lstm.replay.candles import DAY_MS, HOUR_MS, TIMEFRAMES, aggregate, can_build
from freqai_lstm.replay.feed import Clock, Feed, Span
from freqai_lstm.replay.market import Candles, FundingRates, Market
from freqai_lstm.replay.synthetic import SyntheticMarket

SetTime = Callable[[int], None]
STEP_MS = 300_000
EVERYTHING = Span(limit=1_000_000)
NOW_MS = day_of("20260513", 0.53) + 1234


def five_minutes(days: int, seed: int = 0) -> StoredMarket:
    start_ms = day_of("20240101")
    open_ms = np.arange(start_ms, start_ms + days * DAY_MS, STEP_MS, dtype=np.int64)
    time_ms = np.arange(start_ms, start_ms + days * DAY_MS, 8 * HOUR_MS, dtype=np.int64)
    return StoredMarket(
        {"5m": random_candles(open_ms, seed)},
        start_ms,
        start_ms + days * DAY_MS,
        FundingRates(time_ms, np.round(np.sin(time_ms) / 1000, 8)),
    )


def same(left: Candles, right: Candles) -> bool:
    pairs = zip(vars(left).values(), vars(right).values(), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    ("span", "rows"),
    [
        (Span(3), [7, 8, 9]),
        (Span(100), list(range(10))),
        (Span(3, start_ms=0), [0, 1, 2]),
        (Span(3, start_ms=40), [4, 5, 6]),
        (Span(3, start_ms=41), [5, 6, 7]),
        (Span(3, start_ms=39), [4, 5, 6]),
        (Span(5, start_ms=80), [8, 9]),
        (Span(5, start_ms=91), []),
        (Span(3, end_ms=50), [3, 4, 5]),
        (Span(3, end_ms=49), [2, 3, 4]),
        (Span(9, start_ms=20, end_ms=40), [2, 3, 4]),
        (Span(2, start_ms=20, end_ms=40), [2, 3]),
        (Span(9, start_ms=20, end_ms=20), [2]),
        (Span(9, start_ms=21, end_ms=29), []),
        (Span(9, start_ms=30, end_ms=20), []),
    ],
)
def test_spans_choose_rows_as_binance_does(span: Span, rows: list[int]) -> None:
    times = np.arange(0, 100, 10, dtype=np.int64)
    assert list(range(10))[span.rows(times)] == rows


@pytest.mark.parametrize("timeframe", [name for name in TIMEFRAMES if can_build("5m", name)])
def test_history_is_all_candles_of_the_market(timeframe: str) -> None:
    market = five_minutes(days=45)
    shown = Feed(market, Clock()).candles("BTCUSDT", "last", timeframe, EVERYTHING)
    assert same(shown, aggregate(market.stored["5m"], timeframe))


def test_history_has_no_candles_shorter_than_the_stored_ones() -> None:
    feed = Feed(five_minutes(days=2), Clock())
    assert len(feed.candles("BTCUSDT", "last", "1m", EVERYTHING)) == 0
    assert len(feed.candles("BTCUSDT", "last", "3m", EVERYTHING)) == 0


def test_a_span_of_history_may_be_anywhere() -> None:
    market = five_minutes(days=3)
    feed = Feed(market, Clock())
    start_ms = day_of("20240102", 0.5)
    shown = feed.candles("BTCUSDT", "last", "1h", Span(4, start_ms=start_ms))
    assert shown.open_ms.tolist() == [start_ms + hour * HOUR_MS for hour in range(4)]
    newest = feed.candles("BTCUSDT", "last", "1h", Span(2))
    assert newest.open_ms.tolist() == [market.end_ms - 2 * HOUR_MS, market.end_ms - HOUR_MS]


def test_longer_candles_come_from_the_longest_that_make_them_up() -> None:
    long, short = five_minutes(days=60), five_minutes(days=45, seed=1)
    hours = aggregate(long.stored["5m"], "1h")
    market = replace(long, stored={"5m": short.stored["5m"], "1h": hours})
    feed = Feed(market, Clock())
    assert same(feed.candles("BTCUSDT", "last", "4h", EVERYTHING), aggregate(hours, "4h"))
    assert same(feed.candles("BTCUSDT", "last", "1h", EVERYTHING), hours)
    assert len(feed.candles("BTCUSDT", "last", "15m", EVERYTHING)) == 45 * 96


def live(market: Market, set_time: SetTime, now_ms: int = NOW_MS) -> Feed:
    set_time(now_ms)
    return Feed(market, Clock.live(market))


def test_a_live_market_keeps_boundaries_and_reaches_far_ahead(set_time: SetTime) -> None:
    market = five_minutes(days=120)
    for day in range(0, 50, 3):
        feed = live(market, set_time, NOW_MS + day * DAY_MS)
        ahead_days = (feed.end_ms - feed.now_ms()) / DAY_MS
        assert 30 <= ahead_days < 51
        assert feed.clock.shift_ms % (21 * DAY_MS) == 0
        weeks = feed.candles("BTCUSDT", "last", "1w", EVERYTHING).open_ms
        assert ((weeks // DAY_MS + 3) % 7 == 0).all()


def test_a_live_market_can_come_from_the_future(set_time: SetTime) -> None:
    feed = live(five_minutes(days=120), set_time, day_of("20200101"))
    assert feed.clock.shift_ms < 0
    assert 30 <= (feed.end_ms - feed.now_ms()) / DAY_MS < 51


def test_stored_months_are_not_used_by_a_live_market(set_time: SetTime) -> None:
    market = five_minutes(days=120)
    months = aggregate(market.stored["5m"], "1M")
    both = replace(market, stored={**market.stored, "1M": months})
    shown = live(both, set_time).candles("BTCUSDT", "last", "1M", EVERYTHING)
    expected = live(market, set_time).candles("BTCUSDT", "last", "1M", EVERYTHING)
    assert same(shown, expected)
    assert same(Feed(both, Clock()).candles("BTCUSDT", "last", "1M", EVERYTHING), months)


def test_a_short_market_cannot_be_live() -> None:
    market = five_minutes(days=51)
    with pytest.raises(ReplayError, match=r"more than 51 days .*was 2024-01-01 to 2024-02-20"):
        Clock.live(market)
    Clock.live(market, future_days=20)


def everything_shown(feed: Feed) -> list[object]:
    """Collect the newest of all that can be asked for."""
    listing = feed.listings()[0]
    answers: list[object] = [
        payloads.price_klines(
            feed.candles("BTCUSDT", "last", timeframe, Span(200)), timeframe, listing
        )
        for timeframe in TIMEFRAMES
    ]
    answers += [
        payloads.mark_klines(feed.candles("BTCUSDT", "mark", timeframe, Span(200)), timeframe)
        for timeframe in TIMEFRAMES
    ]
    rates = feed.funding_rates("BTCUSDT", Span(200))
    answers += [payloads.funding_rates(rates, listing)]
    answers += [payloads.premium_index(feed, listing, rates)]
    answers += [payloads.day_ticker(feed, listing), payloads.price_ticker(feed, listing)]
    answers += [payloads.order_book(feed, listing, 1000), payloads.book_ticker(feed, listing)]
    return answers


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(offset_ms=st.integers(0, 5 * DAY_MS))
def test_live_shows_nothing_from_the_future(set_time: SetTime, offset_ms: int) -> None:
    """Changing all candles that open after now changes nothing that is shown."""
    market = five_minutes(days=70)
    feed = live(market, set_time, NOW_MS + offset_ms)
    now_ms = feed.now_ms()
    past = feed.clock.shift_ms + market.stored["5m"].open_ms <= now_ms
    wild = random_candles(market.stored["5m"].open_ms, seed=99)
    mixed = Candles(
        wild.open_ms,
        *(
            np.where(past, old, new)
            for old, new in zip(
                list(vars(market.stored["5m"]).values())[1:],
                list(vars(wild).values())[1:],
                strict=True,
            )
        ),
    )
    settled = feed.clock.shift_ms + market.rates.time_ms <= now_ms
    rates = FundingRates(market.rates.time_ms, np.where(settled, market.rates.rate, 0.5))
    changed = Feed(replace(market, stored={"5m": mixed}, rates=rates), feed.clock)
    assert everything_shown(changed) == everything_shown(feed)
    for timeframe in TIMEFRAMES:
        for price in ("last", "mark"):
            shown = feed.candles("BTCUSDT", price, timeframe, EVERYTHING)
            assert (shown.open_ms <= now_ms).all()
    assert feed.funding_rates("BTCUSDT", EVERYTHING).time_ms[-1] <= now_ms
    assert feed.next_funding_ms() > now_ms


def test_a_forming_candle_grows_into_the_stored_one(set_time: SetTime) -> None:
    market = five_minutes(days=70)
    feed = live(market, set_time, NOW_MS)
    open_ms = NOW_MS // STEP_MS * STEP_MS
    row = int(np.searchsorted(market.stored["5m"].open_ms, open_ms - feed.clock.shift_ms))
    stored = market.stored["5m"][row : row + 1].shifted(feed.clock.shift_ms)
    seen = []
    for time_ms in range(open_ms + 1, open_ms + STEP_MS, 5_000):
        set_time(time_ms)
        seen.append(feed.candles("BTCUSDT", "last", "5m", Span(1)))
        assert seen[-1].open_ms.tolist() == [open_ms]
        assert seen[-1].open[0] == stored.open[0]
    for before, after in pairwise(seen):
        assert before.high[0] <= after.high[0] <= stored.high[0]
        assert before.low[0] >= after.low[0] >= stored.low[0]
        assert before.volume[0] < after.volume[0] < stored.volume[0]
    assert len({float(candle.close[0]) for candle in seen}) > 3
    for time_ms in (open_ms + STEP_MS, open_ms + STEP_MS + 1, open_ms + 2 * STEP_MS + 7):
        set_time(time_ms)
        finished = feed.candles("BTCUSDT", "last", "5m", Span(1, start_ms=open_ms))
        assert same(finished, stored)


@pytest.mark.parametrize("timeframe", ["15m", "1h", "4h", "1d", "1w"])
def test_a_longer_forming_candle_is_made_of_what_happened(
    set_time: SetTime, timeframe: str
) -> None:
    market = five_minutes(days=70)
    feed = live(market, set_time)
    short = feed.candles("BTCUSDT", "last", "5m", EVERYTHING)
    long = feed.candles("BTCUSDT", "last", timeframe, EVERYTHING)
    np.testing.assert_allclose(long.volume, aggregate(short, timeframe).volume)
    assert same(
        replace(long, volume=long.open), replace(aggregate(short, timeframe), volume=long.open)
    )
    newest = feed.candles("BTCUSDT", "last", timeframe, Span(2))
    assert same(newest, long[-2:])
    first = feed.candles("BTCUSDT", "last", timeframe, Span(1, end_ms=int(long.open_ms[0])))
    assert same(first, long[:1])
    assert feed.last_price("BTCUSDT") == long.close[-1] == newest.close[-1]


def test_tickers_follow_the_forming_candle(set_time: SetTime) -> None:
    feed = live(five_minutes(days=70), set_time)
    prices = set()
    for minute in range(0, 60, 7):
        set_time(NOW_MS + minute * 60_000)
        now = feed.candles("BTCUSDT", "last", "5m", Span(1))
        ticker = payloads.day_ticker(feed, LISTING)
        book = payloads.order_book(feed, LISTING, 5)
        assert float(ticker["lastPrice"]) == now.close[0]
        assert float(book["bids"][0][0]) <= now.close[0] <= float(book["asks"][0][0])
        assert ticker["closeTime"] == NOW_MS + minute * 60_000
        prices.add(ticker["lastPrice"])
    assert len(prices) > 3


def test_a_finer_timeframe_that_ended_leaves_the_forming_candle_to_the_next(
    set_time: SetTime,
) -> None:
    whole, start_ms = five_minutes(days=80), day_of("20240101")
    hours = aggregate(whole.stored["5m"], "1h")
    ended = whole.stored["5m"].open_ms < start_ms + 20 * DAY_MS
    market = replace(whole, stored={"5m": whole.stored["5m"][ended], "1h": hours})
    feed = live(market, set_time)
    assert len(feed.candles("BTCUSDT", "last", "5m", EVERYTHING)) == 20 * 288
    newest = feed.candles("BTCUSDT", "last", "1h", Span(1))
    assert newest.open_ms.tolist() == [NOW_MS // HOUR_MS * HOUR_MS]
    assert feed.last_price("BTCUSDT") == newest.close[0]


def test_a_market_that_ran_out_keeps_its_last_price(set_time: SetTime) -> None:
    market = five_minutes(days=70)
    feed = live(market, set_time)
    set_time(feed.end_ms + 3 * DAY_MS)
    last_close = market.stored["5m"].close[-1]
    assert feed.last_price("BTCUSDT") == feed.last_price("BTCUSDT", "mark") == last_close
    assert float(payloads.day_ticker(feed, LISTING)["lastPrice"]) == last_close
    assert feed.candles("BTCUSDT", "last", "1h", Span(1)).open_ms[0] == feed.end_ms - HOUR_MS


def test_a_pair_is_listed_when_its_candles_begin(
    set_time: SetTime, two_months: SyntheticMarket
) -> None:
    market = five_minutes(days=70)
    feed = live(market, set_time)
    late = market.stored["5m"].open_ms > feed.now_ms() - feed.clock.shift_ms
    not_yet = Feed(replace(market, stored={"5m": market.stored["5m"][late]}), feed.clock)
    assert feed.listings() == [LISTING]
    assert not_yet.listings() == []
    set_time(feed.now_ms() + DAY_MS)
    assert not_yet.listings() == [LISTING]
