"""A bot that is killed after the exchange took an order and before the bot read the answer."""

import os
import signal
from collections import Counter
from pathlib import Path

import ccxt
import pytest

from .account import agree, books_of_exchange
from .rig import Rig
from .seeds import chance

KILLS = int(os.environ.get("ORDER_KILLS", "30"))

pytestmark = [pytest.mark.long, pytest.mark.timeout(7_200)]

PAIRS = ["BTC/USDT:USDT", "SOL/USDT:USDT"]
# Limits that wait, and are cancelled after a minute, for there to be cancels.
PRICING = {"price_side": "same", "use_order_book": True, "order_book_top": 1}
TRADING = {
    "leverage": 5,
    "stake_amount": 1000,
    "stoploss": -0.02,
    "minimal_roi": {"0": 0.01, "6": -1},
    "entry_pricing": PRICING,
    "exit_pricing": PRICING,
    "unfilledtimeout": {"entry": 1, "exit": 1, "unit": "minutes"},
}
ORDER, STOP = "/fapi/v1/order", "/fapi/v1/algoOrder"
MOMENTS = [("POST", ORDER), ("POST", ORDER), ("POST", STOP), ("DELETE", ORDER), ("DELETE", STOP)]


def lost(exchange: ccxt.binance, method: str, path: str) -> str:
    """Name what happened last on the exchange: that is what the bot never learned of."""
    if path == STOP:
        return "stop placed" if method == "POST" else "stop cancelled"
    if method == "DELETE":
        return "order cancelled"
    orders = [order for pair in PAIRS for order in exchange.fetch_orders(pair)]
    newest = max(orders, key=lambda order: int(order["id"]))
    kind = "exit of a" if newest["reduceOnly"] else "entry of a"
    bought = newest["side"] == "buy"
    return f"{kind} {'long' if bought != newest['reduceOnly'] else 'short'}"


def is_single(exchange: ccxt.binance) -> bool:
    """Tell whether no pair has two orders, two stops, or a stop without a position."""
    for pair in PAIRS:
        orders = exchange.fetch_open_orders(pair)
        stops = exchange.fetch_open_orders(pair, params={"stop": True})
        is_held = pair in books_of_exchange(exchange, [pair]).held
        if len(orders) > 1 or len(stops) > is_held:
            return False
    return True


def test_killed_between_order_and_answer(tmp_path: Path) -> None:
    rng = chance("order kills")
    requests = (MOMENTS * KILLS)[:KILLS]
    rng.shuffle(requests)
    moments: Counter[str] = Counter()
    with Rig(tmp_path, speed=240, pairs=PAIRS, timeout_ms=30_000) as rig:
        # Trainings are not what this is about.
        rig.configure(TRADING, live_retrain_hours=2, expiration_hours=6)
        # The protections would end the trading after a few stops.
        with (rig.userdir / "strategies" / "live_strategy.py").open("a") as strategy:
            strategy.write("\n    protections = []\n")
        rig.start_exchange(
            "--orders", "--deposit", "20000", "--partial-fills", "0.5", "--late-fills", "10"
        )
        exchange = rig.exchange()
        bot = rig.start_bot()
        rig.wait(lambda: len(rig.seen()) > 0, 240)
        for number, (method, path) in enumerate(requests):
            rig.fault(
                kind="lost_answer",
                method=method,
                path=path,
                probability=rng.choice([0.5, 1.0]),
                seconds=60,
            )
            rig.wait(lambda: rig.fault_hits() > 0, 1_200)
            moment = lost(exchange, method, path)
            moments[moment] += 1
            rig.stop(bot, signal.SIGKILL)
            rig.end_faults()
            rig.clock.advance(rng.choice([0.0, 20.0, 200.0]))
            count, bot = len(rig.seen()), rig.start_bot()
            rig.wait(lambda before=count: len(rig.seen()) > before, 240)
            rig.wait(lambda: agree(rig, exchange), 60)
            rig.wait(lambda: is_single(exchange), 60)
            told = rig.log().count("was on the exchange and not known here")
            print(f"{number + 1}: {moment}; handed over: {told}")
            assert "Look at this position" not in rig.log()
            assert "Fatal exception" not in rig.log()
        assert rig.stop(bot) == 130
        trades = rig.trades()
        print(f"{dict(moments)}, {len(trades)} trades, {len(rig.orders())} orders of the bot")
        assert set(trades["is_short"]) == {0, 1}
