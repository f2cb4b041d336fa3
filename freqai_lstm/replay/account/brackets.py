"""Leverage brackets: the larger a position, the less leverage and the more maintenance margin."""

import json
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from freqai_lstm.replay.market import Listing

Bracket = dict[str, Any]

# Of pairs that Binance did not list.
_USUAL: list[Bracket] = [
    {"bracket": 1, "initialLeverage": 20, "notionalFloor": 0, "notionalCap": 100_000}
    | {"maintMarginRatio": 0.025, "cum": 0.0},
    {"bracket": 2, "initialLeverage": 5, "notionalFloor": 100_000, "notionalCap": 5_000_000}
    | {"maintMarginRatio": 0.1, "cum": 7_500.0},
]


@cache
def _recorded() -> dict[str, list[Bracket]]:
    """Read Binance's brackets by pair, which freqtrade brings along."""
    file = resources.files("freqtrade.exchange") / "binance_leverage_tiers.json"
    tiers: dict[str, list[Bracket]] = json.loads(file.read_text("utf-8"))
    return {pair: [tier["info"] for tier in rows] for pair, rows in tiers.items()}


def brackets(listing: Listing) -> list[Bracket]:
    """Give the brackets of a pair, smallest first, in Binance's words."""
    return _recorded().get(listing.pair, _USUAL)


def largest_notional(listing: Listing, leverage: int) -> Decimal:
    """Tell how large a position may be with a leverage, in the quote coin; 0 if there is none."""
    caps = [row["notionalCap"] for row in brackets(listing) if leverage <= row["initialLeverage"]]
    return Decimal(str(max(caps, default=0)))


def bracket_of(listing: Listing, notional: Decimal) -> Bracket:
    """Find the bracket of a position of this size."""
    rows = brackets(listing)
    return next((row for row in rows if notional <= row["notionalCap"]), rows[-1])


def maintenance_margin(listing: Listing, notional: Decimal) -> Decimal:
    """Tell the margin below which a position of this size is liquidated, in the quote coin."""
    ratio, amount = maintenance(listing, notional)
    return notional * ratio - amount


def maintenance(listing: Listing, notional: Decimal) -> tuple[Decimal, Decimal]:
    """Give the maintenance margin's ratio of the notional, and what is taken off it."""
    row = bracket_of(listing, notional)
    return Decimal(str(row["maintMarginRatio"])), Decimal(str(row["cum"]))
