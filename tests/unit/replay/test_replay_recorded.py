"""The recorded market: what it reads, and what it refuses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from replay_markets import START_MS, day_of, frame, hours

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.candles import DAY_MS, HOUR_MS, aggregate
from freqai_lstm.replay.feed import Clock, Feed, Span
from freqai_lstm.replay.recorded import RecordedMarket

EVERYTHING = Span(limit=1_000_000)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "futures").mkdir()
    return tmp_path / "futures"


def store(folder: Path, name: str, table: pd.DataFrame) -> None:
    table.to_feather(folder / name)


def test_candles_are_served_as_they_were_stored(folder: Path) -> None:
    stored = hours(days=40)
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(stored))
    market = RecordedMarket(folder.parent)
    read = market.candles("BTCUSDT", "last", "1h")
    for name, values in vars(stored).items():
        np.testing.assert_array_equal(getattr(read, name), values)
    assert (market.start_ms, market.end_ms) == (START_MS, START_MS + 40 * DAY_MS)
    assert str(market) == "1 pair, 1h candles, 2024-01-01 to 2024-02-09"


@pytest.mark.parametrize("unit", ["ns", "us", "ms", "s"])
def test_dates_may_have_any_resolution(folder: Path, unit: str) -> None:
    table = frame(hours(days=1))
    table["date"] = table["date"].dt.as_unit(unit)
    store(folder, "BTC_USDT_USDT-1h-futures.feather", table)
    assert RecordedMarket(folder.parent).start_ms == START_MS


def test_each_timeframe_comes_from_its_own_file(folder: Path) -> None:
    stored = hours(days=70)
    days = aggregate(hours(days=70, seed=1), "1d")
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(stored))
    store(folder, "BTC_USDT_USDT-1d-futures.feather", frame(days))
    store(folder, "BTC_USDT_USDT-15m-futures.feather", frame(hours(days=2, seed=2)))
    market = RecordedMarket(folder.parent)
    feed = Feed(market, Clock())
    assert market.timeframes("BTCUSDT", "last") == ["15m", "1h", "1d"]
    assert feed.candles("BTCUSDT", "last", "1d", EVERYTHING).close.tolist() == days.close.tolist()
    assert len(feed.candles("BTCUSDT", "last", "2h", EVERYTHING)) == 70 * 12
    assert len(feed.candles("BTCUSDT", "last", "5m", EVERYTHING)) == 0
    months = feed.candles("BTCUSDT", "last", "1M", EVERYTHING)
    assert months.high[:2].tolist() == aggregate(days, "1M").high[:2].tolist()


def test_months_are_stored_under_the_name_that_freqtrade_gives_them(folder: Path) -> None:
    months = aggregate(hours(days=60), "1M")
    store(folder, "BTC_USDT_USDT-1Mo-futures.feather", frame(months))
    market = RecordedMarket(folder.parent)
    assert market.timeframes("BTCUSDT", "last") == ["1M"]
    assert market.end_ms == day_of("20240301")


def test_mark_prices_and_funding_rates(folder: Path) -> None:
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(hours(days=2)))
    store(folder, "BTC_USDT_USDT-1h-mark.feather", frame(hours(days=2, seed=3)))
    dates = pd.date_range("2024-01-01", periods=6, freq="8h", tz="UTC")
    rates = pd.DataFrame({"date": dates, "funding_rate": np.arange(6) / 10_000})
    store(folder, "BTC_USDT_USDT-1h-funding_rate.feather", rates)
    market = RecordedMarket(folder.parent)
    mark = market.candles("BTCUSDT", "mark", "1h")
    assert mark.close.tolist() == hours(days=2, seed=3).close.tolist()
    assert market.funding_rates("BTCUSDT").rate.tolist() == rates["funding_rate"].tolist()
    assert market.funding_rates("BTCUSDT").time_ms[1] == START_MS + 8 * HOUR_MS


def test_funding_rates_of_older_versions_are_in_the_column_open(folder: Path) -> None:
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(hours(days=2)))
    store(folder, "BTC_USDT_USDT-8h-funding_rate.feather", frame(hours(days=2, seed=3)))
    market = RecordedMarket(folder.parent)
    expected = hours(days=2, seed=3).open.tolist()
    assert market.funding_rates("BTCUSDT").rate.tolist() == expected


def test_what_was_not_recorded_is_not_served(folder: Path) -> None:
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(hours(days=2)))
    feed = Feed(RecordedMarket(folder.parent), Clock())
    assert len(feed.candles("BTCUSDT", "mark", "1h", EVERYTHING)) == 0
    assert len(feed.funding_rates("BTCUSDT", EVERYTHING).rate) == 0
    assert feed.last_price("BTCUSDT", "mark") == feed.last_price("BTCUSDT")


def test_trading_rules_follow_the_candles(folder: Path) -> None:
    table = frame(hours(days=2))
    store(folder, "BTC_USDT_USDT-1h-futures.feather", table)
    table["high"] = (table["high"] + 0.00025).round(5)
    table["volume"] = (table["volume"] / 3 * 3).where(table.index > 5, table["volume"])
    store(folder, "PEPE_USDC_USDC-1h-futures.feather", table)
    bitcoin, pepe = RecordedMarket(folder.parent).listings
    assert (bitcoin.price_decimals, bitcoin.quantity_decimals, bitcoin.min_notional) == (1, 3, 100)
    assert pepe.pair == "PEPE/USDC:USDC"
    assert (pepe.price_decimals, pepe.quantity_decimals, pepe.min_notional) == (5, 3, 5)


def test_spot_candles_lie_beside_the_folder_of_futures(folder: Path) -> None:
    datadir = folder.parent
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(hours(days=2, seed=1)))
    store(datadir, "BTC_USDT-1h.feather", frame(hours(days=3)))
    store(datadir, "BTC_USDT-1d.feather", frame(aggregate(hours(days=3), "1d")))
    store(datadir, "PEPE_USDC-1h.feather", frame(hours(days=4)))
    for other in ("BTC_USDT-trades.feather", "BTC_USDT_USDT-1h-mark.feather", "notes.feather"):
        (datadir / other).write_bytes(b"not candles of spot")
    market = RecordedMarket(datadir, trading_mode="spot")
    bitcoin, pepe = market.listings
    assert (bitcoin.pair, pepe.pair) == ("BTC/USDT", "PEPE/USDC")
    assert (bitcoin.trading_mode, pepe.trading_mode) == ("spot", "spot")
    assert market.timeframes("BTCUSDT", "last") == ["1h", "1d"]
    assert market.candles("BTCUSDT", "last", "1h").close.tolist() == hours(days=3).close.tolist()
    assert market.end_ms == START_MS + 4 * DAY_MS


def test_only_the_wanted_pairs_are_read(folder: Path) -> None:
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(hours(days=2)))
    (folder / "ETH_USDT_USDT-1h-futures.feather").write_bytes(b"broken")
    (folder / "notes.feather").write_bytes(b"not candles")
    market = RecordedMarket(folder.parent, pairs=["BTC/USDT:USDT"])
    assert [listing.symbol for listing in market.listings] == ["BTCUSDT"]


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReplayError, match=r"missing must be a directory .*was not found"):
        RecordedMarket(tmp_path / "missing")


def test_a_directory_without_futures_says_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "spot").mkdir()
    with pytest.raises(ReplayError, match=r"must have a folder futures in it; has spot\."):
        RecordedMarket(tmp_path)


def test_an_empty_folder_says_what_it_needs(folder: Path) -> None:
    with pytest.raises(ReplayError, match=r"futures must have files such as BTC_.*; has nothing\."):
        RecordedMarket(folder.parent)


def test_a_directory_without_spot_says_what_it_needs_and_has(folder: Path) -> None:
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(hours(days=2)))
    with pytest.raises(
        ReplayError, match=r"must have files such as BTC_USDT-1h\.feather, .*; has futures\."
    ):
        RecordedMarket(folder.parent, trading_mode="spot")
    store(folder.parent, "BTC_USDT-1s.feather", frame(hours(days=2)))
    with pytest.raises(ReplayError, match=r"has BTC_USDT-1s\.feather, futures\."):
        RecordedMarket(folder.parent, trading_mode="spot")
    store(folder.parent, "BTC_USDT-1h.feather", frame(hours(days=2)))
    with pytest.raises(ReplayError, match=r"candles of BTC/USDT:USDT \(.*\); has none"):
        RecordedMarket(folder.parent, trading_mode="spot", pairs=["BTC/USDT:USDT"])


def test_mark_prices_alone_are_no_market(folder: Path) -> None:
    store(folder, "BTC_USDT_USDT-1h-mark.feather", frame(hours(days=2)))
    with pytest.raises(ReplayError, match=r"has BTC_USDT_USDT-1h-mark\.feather\."):
        RecordedMarket(folder.parent)


def test_missing_pairs_are_named(folder: Path) -> None:
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(hours(days=2)))
    with pytest.raises(ReplayError, match=r"candles of ETH/USDT:USDT .*; has BTC/USDT:USDT\."):
        RecordedMarket(folder.parent, pairs=["BTC/USDT:USDT", "ETH/USDT:USDT"])
    with pytest.raises(ReplayError, match="has none of the pairs asked for"):
        RecordedMarket(folder.parent, pairs=[])


Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.iloc[:0], "must have at least one row; has none"),
        (lambda table: table.drop(columns="close"), "must have the columns date, open.*; has date"),
        (lambda table: table.drop(columns="date"), "must have the columns date"),
        (lambda table: table.iloc[::-1].reset_index(drop=True), "must have rising dates"),
        (lambda table: pd.concat([table, table[-1:]], ignore_index=True), "some are equal"),
        (lambda table: table.assign(low=table["low"].where(table.index != 3)), "'low' has gaps"),
        (
            lambda table: table.assign(date=table["date"].dt.tz_localize(None)),
            "must have UTC dates",
        ),
    ],
)
def test_an_unusable_table_is_refused(folder: Path, change: Change, message: str) -> None:
    store(folder, "BTC_USDT_USDT-1h-futures.feather", change(frame(hours(days=2))))
    with pytest.raises(ReplayError, match=rf"BTC_USDT_USDT-1h-futures\.feather .*{message}"):
        RecordedMarket(folder.parent)


@pytest.mark.parametrize("content", [b"", b"garbage", b"ARROW1 and then nothing useful" * 20])
def test_an_unreadable_file_is_named(folder: Path, content: bytes) -> None:
    (folder / "BTC_USDT_USDT-1h-futures.feather").write_bytes(content)
    with pytest.raises(ReplayError, match=r"1h-futures\.feather must be a feather file"):
        RecordedMarket(folder.parent)


def test_a_cut_off_file_is_named(folder: Path) -> None:
    store(folder, "BTC_USDT_USDT-1h-futures.feather", frame(hours(days=20)))
    path = folder / "BTC_USDT_USDT-1h-futures.feather"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ReplayError, match="must be a feather file"):
        RecordedMarket(folder.parent)
