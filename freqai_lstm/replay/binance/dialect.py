"""What differs between the markets of Binance: limits of requests, and the fields of answers."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from freqai_lstm.replay.market import TradingMode

Json = dict[str, Any]


@dataclass(frozen=True)
class Limit:
    """How many rows an answer has.

    :param usual: How many if the request does not say.
    :param allowed: How many it may ask for, rising.
    :param cuts: Whether asking for more gives the most there may be, instead of an error.
    """

    usual: int
    allowed: Sequence[int]
    cuts: bool = False


@dataclass(frozen=True)
class Dialect:
    """How Binance speaks of one kind of market.

    :param market_type: ccxt's name of the kind.
    :param candles: How many candles an answer has.
    :param book: How many levels an order book has.
    :param forms: The answers by the paths of their endpoints, in Binance's words: with what is
        always the same, and null where the market decides.
    """

    market_type: str
    candles: Limit
    book: Limit
    forms: Json

    def fill(self, path: str, values: Json) -> Json:
        """Fill in a form.

        :param path: Its endpoint, such as ``ticker/24hr``.
        :param values: The market's values by field, at least those that are null in the form; what
            the form does not have is left out. Where both have a list, the form's first entry is
            filled in with each entry of the values.
        :return: The answer.
        """
        return fill_form(self.forms[path], values)


def fill_form(form: Json, values: Json) -> Json:
    """Fill in a form, as :meth:`Dialect.fill`."""
    answer: Json = _filled(form, values)
    return answer


def _filled(form: Any, values: Json) -> Any:
    if isinstance(form, list):
        return [_filled(part, values) for part in form]
    if not isinstance(form, dict):
        return form
    filled = {}
    for field, part in form.items():
        if part is None:
            filled[field] = values[field]
        elif isinstance(part, list) and field in values:
            filled[field] = [_filled(part[0], document) for document in values[field]]
        else:
            filled[field] = _filled(part, values)
    return filled


def load_forms(name: str) -> Json:
    """Read the forms of a file, by their paths."""
    file = resources.files("freqai_lstm.replay.binance") / f"{name}.json"
    forms: Json = json.loads(file.read_text("utf-8"))
    return forms


DIALECTS: dict[TradingMode, Dialect] = {
    "futures": Dialect(
        market_type="linear",
        candles=Limit(500, range(1, 1501)),
        book=Limit(500, (5, 10, 20, 50, 100, 500, 1000)),
        forms=load_forms("futures"),
    ),
    "spot": Dialect(
        market_type="spot",
        candles=Limit(500, range(1, 1001), cuts=True),
        book=Limit(100, range(1, 5001), cuts=True),
        forms=load_forms("spot"),
    ),
}
