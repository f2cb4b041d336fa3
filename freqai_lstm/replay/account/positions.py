"""A position in one pair, and the money in it."""

from dataclasses import dataclass
from decimal import Decimal

from freqai_lstm.replay.account.brackets import maintenance
from freqai_lstm.replay.market import Listing

_ZERO = Decimal(0)


@dataclass
class Position:
    """A position, long above 0 and short below; money is in the quote coin.

    :param leverage: How many times its margin a position is worth when it is opened.
    :param is_isolated: Whether its own margin alone answers for it, and not the whole balance.
    :param amount: In base coins.
    :param entry_price: The mean price of what is held.
    :param margin: What was put aside for it, if it is isolated.
    :param funded_ms: When funding was settled last.
    """

    listing: Listing
    leverage: int = 20
    is_isolated: bool = False
    amount: Decimal = _ZERO
    entry_price: Decimal = _ZERO
    margin: Decimal = _ZERO
    update_ms: int = 0
    funded_ms: int = 0

    def fill(self, quantity: Decimal, price: Decimal, time_ms: int) -> Decimal:
        """Buy, or sell if the quantity is below 0.

        :return: The profit of what was closed.
        """
        before, self.update_ms = self.amount, time_ms
        closed = _ZERO
        if before * quantity < 0:
            closed = min(abs(before), abs(quantity)).copy_sign(quantity)
        opened = quantity - closed
        realized = -closed * (price - self.entry_price)
        if closed:
            self.margin *= (before + closed) / before
        held = before + closed
        self.amount = held + opened
        if opened:
            self.entry_price = (held * self.entry_price + opened * price) / self.amount
            if self.is_isolated:
                self.margin += abs(opened) * price / self.leverage
        elif not self.amount:
            self.entry_price = _ZERO
        return realized

    def unrealized(self, mark_price: Decimal) -> Decimal:
        """Tell the profit if it was closed at this price."""
        return self.amount * (mark_price - self.entry_price)

    def initial_margin(self, mark_price: Decimal) -> Decimal:
        """Tell what it would take to open it at this price."""
        return abs(self.amount) * mark_price / self.leverage

    def liquidation_price(self, wallet: Decimal) -> Decimal | None:
        """Tell the price at which the maintenance margin is all that is left.

        :param wallet: The money that answers for it.
        :return: Nothing if no price is that bad.
        """
        if not self.amount:
            return None
        notional = abs(self.amount) * self.entry_price
        ratio, deduction = maintenance(self.listing, notional)
        price = (wallet + deduction - self.amount * self.entry_price) / (
            abs(self.amount) * ratio - self.amount
        )
        return price if price > 0 else None
