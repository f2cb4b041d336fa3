"""A live bot's trades are what its account holds, also where an answer of the exchange was lost.

Between an order that reached the exchange and the answer to it a process can be killed, or its
connection break. freqtrade does not know such an order: it would send another one, and nobody would
look after what the first one bought. Here each order is noted before it is sent, and one that was
lost is handed to freqtrade. What differs all the same is told.
"""

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import isclose

from freqtrade.exceptions import ExchangeError, TemporaryError
from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy

from freqai_lstm.bridge.folders import identifier_folder
from freqai_lstm.bridge.internals import knows_later_order, newest_order
from freqai_lstm.bridge.lost_orders import CcxtOrder, LostOrders
from freqai_lstm.bridge.sent_orders import SENT_ORDERS_NAME, SentOrder, SentOrders

logger = logging.getLogger(__name__)

_COMPARE_SECONDS = 60.0
# No exchange takes a request that is older; its clock may be a little off.
_ON_THE_WAY_SECONDS, _SKEW_SECONDS = 60.0, 10.0


class Reconciliation:
    """Compares the trades of a running bot with its account.

    :param strategy: The bot's strategy.
    """

    def __init__(self, strategy: IStrategy) -> None:
        self._strategy, self._lost = strategy, LostOrders(strategy)
        self._sent = SentOrders(identifier_folder(strategy.config) / SENT_ORDERS_NAME)
        self._compared_at = 0.0
        # By pair, what is held and what the trades say.
        self._differing: dict[str, tuple[float, float]] = {}
        self._told: dict[str, tuple[float, float]] = {}

    def look(self) -> None:
        """Hand lost orders to freqtrade, and tell what differs all the same.

        To be called before freqtrade looks at its orders and trades.
        """
        try:
            for sent in self._sent:
                if self._is_settled(sent):
                    self._sent.remove(sent)
            for trade in Trade.get_open_trades():
                self._find_stops(trade)
            if time.time() >= self._compared_at + _COMPARE_SECONDS:
                self._compare()
        except ExchangeError as error:
            logger.warning(f"Trades and account could not be compared: {error}")

    def note(self, pair: str, side: str, rate: float, tag: str | None, *, reduces: bool) -> None:
        """Keep word of an order that is about to be sent.

        :raises OSError: If it cannot be written.
        """
        self._sent.add(SentOrder(pair, side, reduces, rate, tag, time.time(), newest_order()))

    def may_enter(self, pair: str) -> bool:
        """Tell whether a trade can be opened: nobody holds anything of the pair.

        The positions are those that freqtrade has asked for to know its stake.
        """
        if pair in self._sent:
            logger.info(f"{pair}: no entry, it is not known yet what became of the order before")
            return False
        if held := self._held().get(pair):
            self._tell(pair, held, 0.0)
            return False
        return True

    def _is_settled(self, sent: SentOrder) -> bool:
        """Tell whether it is known what became of an order; hand it over if it was lost."""
        if knows_later_order(sent.pair, sent.side, sent.newest_known):
            return True
        latest = sent.sent_at + _ON_THE_WAY_SECONDS
        since = datetime.fromtimestamp(sent.sent_at, UTC) - timedelta(seconds=_SKEW_SECONDS)
        for order in self._lost.orders(sent.pair, since):
            is_it = order["side"] == sent.side and order["timestamp"] <= latest * 1000
            if is_it and order.get("reduceOnly") in (None, sent.reduces):
                return self._hand_over(sent, order)
        return time.time() > latest

    def _hand_over(self, sent: SentOrder, order: CcxtOrder) -> bool:
        """Give freqtrade an order that it sent and knows nothing of."""
        opened = [Trade.pair == sent.pair, Trade.is_open.is_(True)]
        trade = Trade.get_trades(opened).first()
        if trade is None and not sent.reduces:
            try:
                trade = self._lost.open_trade(sent, order)
            except TemporaryError:
                raise
            except ExchangeError as error:
                # Then its position is told of.
                self._say(f"{sent.pair}: order {order['id']} cannot become a trade: {error}")
        elif trade is not None and self._lost.has_touched(trade):
            return False
        if trade is not None:
            self._append(trade, order, tag=sent.tag)
        return True

    def _find_stops(self, trade: Trade) -> None:
        """Give a trade the stop order that it has on the exchange before it gets another one."""
        is_due = trade.has_open_position and not trade.has_open_sl_orders
        if is_due and self._strategy.order_types.get("stoploss_on_exchange"):
            for stop in self._lost.stops(trade.pair):
                if stop["side"] == trade.exit_side and _equal(stop["amount"], trade.amount):
                    self._append(trade, stop, is_stop=True)

    def _compare(self) -> None:
        """Compare what is held with what freqtrade knows of; the same difference twice is told."""
        self._strategy.wallets.update()
        held, trades = self._held(), Trade.get_open_trades()
        known = dict.fromkeys(self._strategy.dp.current_whitelist(), 0.0)
        for trade in trades:
            filled = sum(_signed(order.side, order.safe_filled) for order in trade.orders)
            known[trade.pair] = known.get(trade.pair, 0.0) + filled
        differing = {
            pair: (held.get(pair, 0.0), amount)
            for pair, amount in known.items()
            if not _equal(held.get(pair, 0.0), amount)
        }
        for trade in trades:
            if trade.pair in differing:
                self._find_fills(trade, *differing[trade.pair])
        for pair, amounts in differing.items():
            # Of what was filled a moment ago freqtrade learns in the meantime.
            if self._differing.get(pair) == amounts:
                self._tell(pair, *amounts)
        self._told = {pair: told for pair, told in self._told.items() if pair in differing}
        if differing == self._differing:
            self._compared_at = time.time()
        self._differing = differing

    def _find_fills(self, trade: Trade, held: float, known: float) -> None:
        """Give a trade the orders that explain why another amount is held."""
        if self._lost.has_touched(trade):
            return
        orders = self._lost.orders(trade.pair, trade.open_date_utc)
        filled = [order for order in orders if order["filled"]]
        if filled and _equal(_total(filled), held - known):
            for order in filled:
                self._append(trade, order)

    def _append(
        self, trade: Trade, order: CcxtOrder, *, tag: str | None = None, is_stop: bool = False
    ) -> None:
        self._lost.append(trade, order, tag=tag, is_stop=is_stop)
        kind = "stop order" if is_stop else "order"
        self._say(
            f"{trade.pair}: {kind} {order['id']} ({order['side']} {order['amount']:g}) was on the "
            f"exchange and not known here; it belongs to trade {trade.id} now"
        )

    def _held(self) -> dict[str, float]:
        """Return the positions of the account as freqtrade saw them last, shorts below 0."""
        positions = self._strategy.wallets.get_all_positions().values()
        sides = {"long": "buy", "short": "sell"}
        return {place.symbol: _signed(sides[place.side], place.position) for place in positions}

    def _tell(self, pair: str, held: float, known: float) -> None:
        """Say once that somebody has to look at a position."""
        if self._told.get(pair) != (held, known):
            self._told[pair] = held, known
            self._say(
                f"{pair}: the account holds {held:g}, the open trades {known:g}. Look at this "
                "position on the exchange: close what no trade knows there, or /reload_trade a "
                "trade that is over. Nothing is entered while a position has no trade"
            )

    def _say(self, message: str) -> None:
        logger.warning(message)
        self._strategy.dp.send_msg(message, always_send=True)


def _total(orders: Iterable[CcxtOrder]) -> float:
    return sum(_signed(order["side"], order["filled"]) for order in orders)


def _signed(side: str, amount: float) -> float:
    return amount if side == "buy" else -amount


def _equal(one: float, other: float) -> bool:
    return isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
