"""The ten coins of the synthetic market: their trading rules, and how their prices behave."""

from collections.abc import Sequence
from dataclasses import dataclass

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.market import Listing


@dataclass(frozen=True)
class Coin:
    """How one coin behaves.

    ``hourly_volatility`` is the standard deviation of hourly returns, ``common_share`` the part of
    its variance that all coins have in common, ``hourly_turnover`` is in USDT.
    """

    listing: Listing
    start_price: float
    hourly_volatility: float
    common_share: float
    hourly_turnover: float


COINS = (
    Coin(Listing("BTC", "USDT", 1, 3, 100.0), 16_540.0, 0.0055, 0.80, 4.0e8),
    Coin(Listing("ETH", "USDT", 2, 3, 20.0), 1_196.0, 0.0062, 0.78, 2.2e8),
    Coin(Listing("LTC", "USDT", 2, 3, 20.0), 70.1, 0.0075, 0.68, 1.8e7),
    Coin(Listing("BNB", "USDT", 2, 2, 5.0), 246.0, 0.0058, 0.68, 2.4e7),
    Coin(Listing("XRP", "USDT", 4, 1, 5.0), 0.3389, 0.0075, 0.66, 3.6e7),
    Coin(Listing("ADA", "USDT", 4, 0, 5.0), 0.2457, 0.0080, 0.70, 1.6e7),
    Coin(Listing("DOT", "USDT", 3, 1, 5.0), 4.311, 0.0078, 0.70, 9.0e6),
    Coin(Listing("SOL", "USDT", 3, 0, 5.0), 9.961, 0.0100, 0.66, 4.5e7),
    Coin(Listing("LINK", "USDT", 3, 2, 20.0), 5.558, 0.0082, 0.68, 1.1e7),
    Coin(Listing("AVAX", "USDT", 3, 0, 5.0), 10.87, 0.0088, 0.68, 1.2e7),
)


def choose_coins(pairs: Sequence[str] | None) -> Sequence[Coin]:
    """Find the coins of some pairs, such as ``BTC/USDT:USDT``; all coins by default.

    :raises ReplayError: If there is no such coin, or none is asked for.
    """
    if pairs is None:
        return COINS
    by_pair = {coin.listing.pair: coin for coin in COINS}
    unknown = sorted(set(pairs) - set(by_pair))
    if unknown or not pairs:
        raise ReplayError(
            f"The synthetic market has the pairs {', '.join(by_pair)};"
            f" was asked for {', '.join(unknown) or 'none'}."
        )
    return [coin for pair, coin in by_pair.items() if pair in pairs]
