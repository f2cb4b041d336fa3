"""A bot without dry-run: strategy, model, ccxt and freqtrade against the exchange's account."""

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from .account import agree
from .rig import Rig

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

PAIRS = ["BTC/USDT:USDT", "SOL/USDT:USDT"]
# Funding is settled in half an hour.
START = datetime(2026, 5, 13, 7, 30, tzinfo=UTC)
DEPOSIT = 20_000
TRADING = {
    "leverage": 5,
    "stake_amount": 1000,
    # A fifth of that in the price.
    "stoploss": -0.015,
    "minimal_roi": {"0": 0.015, "20": -1},
}


def test_bot_and_exchange_agree_after_every_candle(tmp_path: Path) -> None:
    with Rig(tmp_path, speed=240, pairs=PAIRS, start=START.timestamp()) as rig:
        rig.configure(TRADING)
        # The protections would end the trading after a few stops.
        with (rig.userdir / "strategies" / "live_strategy.py").open("a") as strategy:
            strategy.write("\n    protections = []\n")
        fills = ["--partial-fills", "0.5", "--late-fills", "10"]
        rig.start_exchange("--orders", "--deposit", str(DEPOSIT), *fills)
        assert "This is a simulation" in rig.log("exchange.log")
        exchange = rig.exchange()

        def has_done_all() -> bool:
            trades = rig.trades()
            closed = trades[trades["is_open"] == 0]
            return (
                set(closed["is_short"]) == {0, 1}
                and "stoploss_on_exchange" in set(closed["exit_reason"])
                and len(set(closed["exit_reason"])) > 1
                and len(booked) > 0
            )

        bot = rig.start_bot()
        rig.wait(lambda: len(rig.seen()) > 0, 240)
        candles, booked = 0, {}
        while not has_done_all():
            assert candles < 600, rig.trades().to_string()
            rig.candles(1, 60)
            # Orders fill while the bot sleeps: it learns of them when it wakes up.
            rig.wait(lambda: agree(rig, exchange), 60)
            candles += 1
            trades = rig.trades()
            # While it is open: freqtrade forgets the funding of a trade that is stopped.
            funded = trades[(trades["is_open"] == 1) & (trades["funding_fees"].fillna(0.0) != 0.0)]
            booked |= {trade.id: trade for trade in funded.itertuples()}
        assert "Fatal exception" not in rig.log()
        assert rig.stop(bot) == 130

        trades = rig.trades()
        closed = trades[trades["is_open"] == 0]
        assert set(trades["leverage"]) == {5.0}
        for position in exchange.fetch_positions(PAIRS, {"useV2": True}):
            assert (position["leverage"], position["marginMode"]) == (5, "isolated")
        fills_of = pd.concat(pd.DataFrame(exchange.fetch_my_trades(pair)) for pair in PAIRS)
        assert (fills_of.groupby("order").size() > 1).any()
        paid = pd.concat(pd.DataFrame(exchange.fetch_funding_history(pair)) for pair in PAIRS)
        paid["time"] = pd.to_datetime(paid["timestamp"], unit="ms")
        for trade in booked.values():
            since = paid["time"] > pd.Timestamp(trade.open_date)
            settled = paid[(paid["symbol"] == trade.pair) & since]
            assert trade.funding_fees == pytest.approx(settled["amount"].iloc[0])
        print(
            f"{candles} candles, {len(closed)} trades closed, {len(fills_of)} fills,"
            f" {len(paid)} fundings, {closed['exit_reason'].value_counts().to_dict()},"
            f" {closed['close_profit_abs'].sum():.2f} USDT"
        )
