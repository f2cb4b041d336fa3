"""Orders that are on their way to the exchange, on disk: a killed process leaves word of them."""

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from freqai_lstm.files import replacing

logger = logging.getLogger(__name__)

SENT_ORDERS_NAME = "sent_orders.json"


@dataclass(frozen=True)
class SentOrder:
    """An order that freqtrade is about to send.

    :param side: ``buy`` or ``sell``.
    :param reduces: Whether it leaves a position, or a part of it.
    :param rate: The price that is reckoned with, in the quote coin.
    :param tag: Why: the tag of the entry, or the reason of the exit.
    :param sent_at: When, in seconds since 1970.
    :param newest_known: Number of the newest order in freqtrade's database by then.
    """

    pair: str
    side: str
    reduces: bool
    rate: float
    tag: str | None
    sent_at: float
    newest_known: int


class SentOrders:
    """The orders on their way, at most one for each pair, in a file.

    :param path: The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._orders = {order.pair: order for order in _read(path)}

    def __iter__(self) -> Iterator[SentOrder]:
        return iter(list(self._orders.values()))

    def __contains__(self, pair: str) -> bool:
        return pair in self._orders

    def add(self, order: SentOrder) -> None:
        """Keep an order in place of the pair's former one.

        :raises OSError: If it cannot be written.
        """
        self._write(self._orders | {order.pair: order})

    def remove(self, order: SentOrder) -> None:
        """Forget an order.

        :raises OSError: If that cannot be written.
        """
        self._write({pair: kept for pair, kept in self._orders.items() if kept != order})

    def _write(self, orders: dict[str, SentOrder]) -> None:
        document = [asdict(order) for order in orders.values()]
        with replacing(self._path) as temporary:
            temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        self._orders = orders


def _read(path: Path) -> list[SentOrder]:
    try:
        return [SentOrder(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        logger.warning(f"{path} must hold a list of orders, none is taken from it: {error}")
        return []
