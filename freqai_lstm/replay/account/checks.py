"""What an order must be like to be taken, in Binance's codes and words."""

from collections.abc import Iterable
from decimal import Decimal

from freqai_lstm.replay.account.brackets import brackets, largest_notional
from freqai_lstm.replay.account.orders import Order, OrderRequest, StopOrder
from freqai_lstm.replay.account.positions import Position
from freqai_lstm.replay.account.refusals import RefusalError
from freqai_lstm.replay.market import Listing

# How far from the market a limit may be on the losing side.
_FARTHEST = Decimal("0.05")


def check_precision(request: OrderRequest, listing: Listing) -> None:
    """Check quantity and price by themselves.

    :raises RefusalError: If one is not positive, or finer than its step.
    """
    if request.quantity <= 0:
        raise RefusalError(-4003, "Quantity less than or equal to zero.")
    _check_decimals(request.quantity, listing.quantity_decimals)
    if request.price is not None:
        check_price(request.price, listing)


def check_price(price: Decimal, listing: Listing) -> None:
    """Check a price by itself.

    :raises RefusalError: If it is not positive, or finer than its step.
    """
    if price <= 0:
        raise RefusalError(-4001, "Price less than 0.")
    _check_decimals(price, listing.price_decimals)


def _check_decimals(value: Decimal, decimals: int) -> None:
    if value != round(value, decimals):
        raise RefusalError(-1111, "Precision is over the maximum defined for this asset.")


def check_client_id(client_id: str, others: Iterable[Order | StopOrder]) -> None:
    """Check the client's name of an order, if it has one.

    :param others: The open orders, or stop orders.
    :raises RefusalError: If one has that name.
    """
    if client_id in [other.name for other in others]:
        raise RefusalError(-4116, "ClientOrderId is duplicated.")


def check_notional(request: OrderRequest, listing: Listing, price: Decimal) -> None:
    """Check that an order is large enough.

    :param price: What to reckon with if the order has no price.
    :raises RefusalError: If it is not, and may open a position.
    """
    notional = request.quantity * (request.price or price)
    if not request.reduce_only and notional < Decimal(str(listing.min_notional)):
        raise RefusalError(
            -4164,
            f"Order's notional must be no smaller than {listing.min_notional:g}"
            " (unless you choose reduce only).",
        )


def check_against_market(request: OrderRequest, listing: Listing, price: Decimal) -> None:
    """Check the limit of an order against the market's price.

    :raises RefusalError: If it is too far on the losing side, or would be taken though it must not.
    """
    if request.price is None:
        return
    bound = round(price * (1 + request.sign * _FARTHEST), listing.price_decimals)
    if request.sign * (request.price - bound) > 0:
        code, word = (-4016, "higher") if request.side == "BUY" else (-4024, "lower")
        raise RefusalError(code, f"Limit price can't be {word} than {bound}.")
    if request.time_in_force == "GTX" and request.sign * (request.price - price) >= 0:
        raise RefusalError(-5022, "The Post Only order would be executed as taker.")


def check_position(request: OrderRequest, position: Position, price: Decimal) -> None:
    """Check an order against the position that it changes.

    :param price: What to reckon with.
    :raises RefusalError: If there is nothing to reduce, or the position would be too large.
    """
    if request.reduce_only:
        if position.amount * request.sign >= 0:
            raise RefusalError(-2022, "ReduceOnly Order is rejected.")
        return
    amount = abs(position.amount + request.sign * request.quantity)
    if amount * price > largest_notional(position.listing, position.leverage):
        raise RefusalError(-2027, "Exceeded the maximum allowable position at current leverage.")


def check_leverage(leverage: int, position: Position) -> None:
    """Check a leverage.

    :raises RefusalError: If the pair does not have it, or the position does not allow it.
    """
    if not 1 <= leverage <= brackets(position.listing)[0]["initialLeverage"]:
        raise RefusalError(-4028, f"Leverage {leverage} is not valid")
    if position.is_isolated and position.amount and leverage < position.leverage:
        raise RefusalError(
            -4161,
            "Leverage reduction is not supported in Isolated Margin Mode with open positions.",
        )
