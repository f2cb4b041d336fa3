"""What an account on the exchange has, beside what the bot's database knows of it."""

from dataclasses import dataclass

import ccxt
import pytest

from .rig import Rig


@dataclass(frozen=True)
class Books:
    """The orders and positions of one side.

    :ivar waiting: Open orders and stop orders, by their numbers.
    :ivar filled: Orders with fills.
    :ivar held: Positions by pair, shorts below 0.
    """

    waiting: set[str]
    filled: set[str]
    held: dict[str, float]


def books_of_bot(rig: Rig) -> Books:
    """Read the bot's database."""
    orders = rig.orders()
    filled = orders["filled"].fillna(0.0)
    signed = filled * orders["side"].map({"buy": 1, "sell": -1})
    held = signed.groupby(orders["ft_pair"]).sum()
    return Books(
        set(orders.loc[orders["ft_is_open"] == 1, "order_id"]),
        set(orders.loc[filled > 0, "order_id"]),
        held[held.abs() > 1e-9].to_dict(),
    )


def books_of_exchange(exchange: ccxt.binance, pairs: list[str]) -> Books:
    """Ask the exchange."""
    stop, sides = {"stop": True}, {"long": 1, "short": -1}
    orders = [order for pair in pairs for order in exchange.fetch_orders(pair)]
    stops = [order for pair in pairs for order in exchange.fetch_orders(pair, params=stop)]
    # freqtrade calls what a stop order became by the number of the stop order.
    became = {order["info"]["actualOrderId"]: order["id"] for order in stops}
    return Books(
        {
            became.get(order["id"], order["id"])
            for order in [*orders, *stops]
            if order["status"] == "open"
        },
        {became.get(order["id"], order["id"]) for order in orders if order["filled"]},
        {
            position["symbol"]: sides[position["side"]] * position["contracts"]
            for position in exchange.fetch_positions()
        },
    )


def agree(rig: Rig, exchange: ccxt.binance) -> bool:
    """Tell whether bot and exchange have the same open orders, fills and positions."""
    bot, account = books_of_bot(rig), books_of_exchange(exchange, rig.pairs)
    return (
        bot.waiting == account.waiting
        and bot.filled == account.filled
        and bot.held == pytest.approx(account.held)
    )
