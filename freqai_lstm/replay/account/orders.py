"""Orders, stop orders, and the fills of orders."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Side = Literal["BUY", "SELL"]
OPEN = ("NEW", "PARTIALLY_FILLED")
# The seconds between two parts of an order.
_BETWEEN_PARTS = (5.0, 60.0)


@dataclass(frozen=True)
class OrderRequest:
    """What is asked for.

    :param kind: ``LIMIT`` or ``MARKET``, of a stop order what it becomes.
    :param quantity: In base coins.
    :param price: Of a limit order, in the quote coin.
    :param time_in_force: ``GTC``, ``IOC``, ``FOK`` or ``GTX`` (post only).
    :param reduce_only: Whether it may only make a position smaller.
    :param client_id: The client's own name of it, unique among open orders.
    """

    symbol: str
    side: Side
    kind: Literal["LIMIT", "MARKET"]
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: str = "GTC"
    reduce_only: bool = False
    client_id: str = ""

    @property
    def sign(self) -> int:
        """1 for buying, -1 for selling."""
        return 1 if self.side == "BUY" else -1


@dataclass(frozen=True)
class StopRequest:
    """An order to be placed when the price reaches a level.

    :param trigger_price: The level.
    :param takes_profit: Whether the level is on the winning side: a stop buys when the price rises.
    :param by_mark_price: Whether the mark price decides, and not the last price.
    """

    order: OrderRequest
    trigger_price: Decimal
    takes_profit: bool = False
    by_mark_price: bool = False

    @property
    def falls(self) -> bool:
        """Whether the price reaches it from above."""
        return (self.order.side == "SELL") != self.takes_profit


@dataclass(frozen=True)
class Fill:
    """A part of an order that was filled; money is in the quote coin.

    :param fee: What it cost.
    :param realized: What closing a position with it gained.
    :param is_maker: Whether the order waited for it.
    """

    id: int
    order_id: int
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    realized: Decimal
    is_maker: bool
    time_ms: int


@dataclass(frozen=True)
class Part:
    """A part of an order that can be filled ``delay_ms`` after the order, or the part before it."""

    quantity: Decimal
    delay_ms: int


@dataclass
class Order:
    """An order and what became of it.

    :param parts: What is still to be filled.
    :param is_maker: Whether it waits in the book.
    :param status: ``NEW``, ``PARTIALLY_FILLED``, ``FILLED``, ``CANCELED`` or ``EXPIRED``.
    """

    id: int
    request: OrderRequest
    time_ms: int
    parts: list[Part]
    is_maker: bool
    status: str = "NEW"
    update_ms: int = 0
    fills: list[Fill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.update_ms = self.time_ms

    @property
    def name(self) -> str:
        """The client's name of it, or one that the exchange gave it."""
        return self.request.client_id or f"web_{self.id}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def filled(self) -> Decimal:
        """The quantity filled."""
        return sum((fill.quantity for fill in self.fills), Decimal(0))

    @property
    def cost(self) -> Decimal:
        """The price of all that was filled."""
        return sum((fill.quantity * fill.price for fill in self.fills), Decimal(0))


@dataclass
class StopOrder:
    """A stop order and what became of it.

    :param order: The order that it became.
    :param status: ``NEW``, ``FINISHED`` (the order is placed), ``REJECTED`` or ``CANCELED``.
    """

    id: int
    request: StopRequest
    time_ms: int
    status: str = "NEW"
    update_ms: int = 0
    trigger_ms: int = 0
    order: Order | None = None

    def __post_init__(self) -> None:
        self.update_ms = self.time_ms

    @property
    def name(self) -> str:
        """The client's name of it, or one that the exchange gave it."""
        return self.request.order.client_id or f"web_{self.id}"

    @property
    def is_open(self) -> bool:
        return self.status == "NEW"


@dataclass(frozen=True)
class FillStyle:
    """How orders are filled once their price is reached.

    :param seed: Decides which ones, and how.
    :param partly: The probability that an order is filled in two or three parts, some time apart.
    :param late_seconds: How late after it was placed an order can be filled, at most.
    """

    seed: int = 0
    partly: float = 0.0
    late_seconds: float = 0.0

    def parts(self, order_id: int, quantity: Decimal, step: Decimal) -> list[Part]:
        """Divide an order into parts.

        :param step: The smallest step of a quantity.
        """
        rng = random.Random(f"{self.seed} {order_id}")
        delays = [rng.uniform(0.0, self.late_seconds)]
        cuts: Sequence[float] = ()
        if rng.random() < self.partly:
            cuts = sorted(rng.uniform(0.1, 0.9) for _ in range(rng.randint(1, 2)))
            delays += [rng.uniform(*_BETWEEN_PARTS) for _ in cuts]
        ends = [int(Decimal(cut) * quantity / step) * step for cut in cuts]
        quantities = [
            end - start for start, end in zip([Decimal(0), *ends], [*ends, quantity], strict=True)
        ]
        return [
            Part(part, round(1000 * delay))
            for part, delay in zip(quantities, delays, strict=True)
            if part
        ]
