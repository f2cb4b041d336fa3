"""Orders that the exchange has and freqtrade does not know: finds them, and hands them over.

freqtrade gets them as open orders of a trade: it asks what became of them, books it and goes on, as
with any other.
"""

from datetime import UTC, datetime
from typing import Any

from freqtrade.enums import ExitType
from freqtrade.exceptions import InvalidOrderException
from freqtrade.exchange import timeframe_to_minutes
from freqtrade.persistence import Order, Trade
from freqtrade.strategy import IStrategy

from freqai_lstm.bridge.internals import (
    as_open_order,
    exchange_of,
    fetch_leverage,
    fetch_open_stops,
)
from freqai_lstm.bridge.sent_orders import SentOrder

CcxtOrder = dict[str, Any]


class LostOrders:
    """The orders of a running bot's account that its database lacks.

    :param strategy: The bot's strategy.
    """

    def __init__(self, strategy: IStrategy) -> None:
        self._strategy, self._exchange = strategy, exchange_of(strategy)

    def orders(self, pair: str, since: datetime) -> list[CcxtOrder]:
        """Return those of a pair that are open or filled, stop orders left aside.

        :raises ExchangeError: If the exchange does not answer.
        """
        since_ms = since.timestamp() * 1000
        return [
            order
            for order in self._exchange.fetch_orders(pair, since)
            if order["timestamp"] >= since_ms
            and (order["status"] == "open" or order["filled"])
            and _is_unknown(order, pair)
        ]

    def stops(self, pair: str) -> list[CcxtOrder]:
        """Return the stop orders of a pair that wait for their price.

        :raises ExchangeError: If the exchange does not answer.
        """
        found = fetch_open_stops(self._strategy, pair)
        return [stop for stop in found if _is_unknown(stop, pair)]

    def has_touched(self, trade: Trade) -> bool:
        """Tell whether a stop order of a trade was reached or is gone: freqtrade will learn of it.

        :raises ExchangeError: If the exchange does not answer.
        """
        try:
            stops = [
                self._exchange.fetch_stoploss_order(stop.order_id, trade.pair)
                for stop in trade.open_sl_orders
            ]
        except InvalidOrderException:
            return True
        return any(
            stop["status"] != "open" or stop.get("status_stop") == "triggered" for stop in stops
        )

    def append(
        self, trade: Trade, order: CcxtOrder, *, tag: str | None = None, is_stop: bool = False
    ) -> None:
        """Make an order an open one of a trade."""
        side = "stoploss" if is_stop else order["side"]
        price = order.get("average") or order.get("price") or order.get("triggerPrice")
        trade.orders.append(as_open_order(order, trade.pair, side, price or trade.open_rate, tag))
        if side == trade.exit_side:
            trade.exit_reason = tag or ExitType.SOLD_ON_EXCHANGE.value
        Trade.commit()

    def open_trade(self, sent: SentOrder, order: CcxtOrder) -> Trade:
        """Make the trade that freqtrade makes once it has sent an entry.

        :raises ExchangeError: If the exchange does not tell the leverage.
        """
        exchange, config, pair = self._exchange, self._strategy.config, sent.pair
        is_short = sent.side == "sell"
        leverage = fetch_leverage(self._strategy, pair, is_short=is_short)
        rate = order.get("average") or order.get("price") or sent.rate
        fee = exchange.get_fee(symbol=pair, taker_or_maker="maker")
        trade = Trade(
            pair=pair,
            base_currency=exchange.get_pair_base_currency(pair),
            stake_currency=config["stake_currency"],
            stake_amount=order["amount"] * rate / leverage,
            amount=0,
            is_open=True,
            amount_requested=order["amount"],
            fee_open=fee,
            fee_close=fee,
            open_rate=rate,
            open_rate_requested=sent.rate,
            open_date=datetime.fromtimestamp(order["timestamp"] / 1000, UTC),
            exchange=exchange.id,
            strategy=self._strategy.get_strategy_name(),
            enter_tag=sent.tag,
            timeframe=timeframe_to_minutes(config["timeframe"]),
            leverage=leverage,
            is_short=is_short,
            trading_mode=exchange.trading_mode,
            funding_fees=0.0,
            amount_precision=exchange.get_precision_amount(pair),
            price_precision=exchange.get_precision_price(pair),
            precision_mode=exchange.precisionMode,
            precision_mode_price=exchange.precision_mode_price,
            contract_size=exchange.get_contract_size(pair),
        )
        trade.adjust_stop_loss(rate, self._strategy.stoploss, initial=True)
        Trade.session.add(trade)
        return trade


def _is_unknown(order: CcxtOrder, pair: str) -> bool:
    return Order.order_by_id(str(order["id"]), pair) is None
