"""A strategy that loses no order: the hooks of freqtrade in which its account is looked at."""

import logging
from datetime import datetime
from typing import Any

from freqtrade.enums import RunMode
from freqtrade.persistence import Trade
from freqtrade.strategy import IStrategy

from freqai_lstm.bridge.reconciliation import Reconciliation

logger = logging.getLogger(__name__)


class ReconcilingStrategy(IStrategy):
    """What a FreqAI strategy subclasses in place of freqtrade's ``IStrategy``.

    Live with futures it hands freqtrade the orders whose answers were lost, and opens no trade
    where the account holds a position already. A strategy that overrides a method below calls it as
    well; one that adjusts positions calls :meth:`note_order` when it does.
    """

    _reconciliation: Reconciliation | None = None

    def bot_loop_start(self, current_time: datetime, **kwargs: Any) -> None:
        """Compare trades and account."""
        is_live = self.config["runmode"] == RunMode.LIVE
        # In spot trading the balance of a coin does not say which of it the trades bought.
        if is_live and self.config.get("trading_mode") == "futures":
            self._reconciliation = self._reconciliation or Reconciliation(self)
            self._reconciliation.look()

    def confirm_trade_entry(
        self,
        pair: str,
        order_type: str,
        amount: float,
        rate: float,
        time_in_force: str,
        current_time: datetime,
        entry_tag: str | None,
        side: str,
        **kwargs: Any,
    ) -> bool:
        """Refuse an entry where the account holds a position, else note it."""
        if self._reconciliation is None:
            return True
        bought = "buy" if side == "long" else "sell"
        return self._reconciliation.may_enter(pair) and self.note_order(
            pair, bought, rate, entry_tag
        )

    def confirm_trade_exit(
        self,
        pair: str,
        trade: Trade,
        order_type: str,
        amount: float,
        rate: float,
        time_in_force: str,
        exit_reason: str,
        current_time: datetime,
        **kwargs: Any,
    ) -> bool:
        """Note an exit; none is refused."""
        self.note_order(pair, trade.exit_side, rate, exit_reason, reduces=True)
        return True

    def note_order(
        self, pair: str, side: str, rate: float, tag: str | None = None, *, reduces: bool = False
    ) -> bool:
        """Note an order that is about to be sent.

        :param side: ``buy`` or ``sell``.
        :param rate: The price that is reckoned with, in the quote coin.
        :param tag: Why it is sent.
        :param reduces: Whether it leaves a position, or a part of it.
        :return: Whether it could be noted.
        """
        try:
            if self._reconciliation is not None:
                self._reconciliation.note(pair, side, rate, tag, reduces=reduces)
        except OSError as error:
            logger.warning(f"{pair}: the order to {side} could not be noted: {error}")
            return False
        return True
