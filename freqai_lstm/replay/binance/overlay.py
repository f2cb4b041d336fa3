"""The freqtrade configuration that points an unmodified freqtrade at the replay exchange."""

from urllib.parse import urlsplit

import ccxt.pro

from freqai_lstm.replay.binance.dialect import DIALECTS, Json
from freqai_lstm.replay.binance.signing import Credentials
from freqai_lstm.replay.market import Market, TradingMode


def exchange_overlay(url: str, trading_mode: TradingMode = "futures") -> Json:
    """Build a configuration to load after the bot's own.

    Every address that ccxt knows for Binance, websockets included, is replaced: what the replay
    exchange does not answer fails on this machine instead of reaching the internet.

    :param url: Where the replay exchange answers, such as ``http://127.0.0.1:8000``.
    :param trading_mode: What it trades, the only markets that ccxt loads.
    :return: A freqtrade configuration with the key ``exchange`` alone.
    """
    addresses = ccxt.pro.binance().urls["api"]
    market_types = [DIALECTS[trading_mode].market_type]
    return {
        "exchange": {
            "name": "binance",
            "only_from_ccxt": True,
            "enable_ws": False,
            "ccxt_config": {
                "enableRateLimit": False,
                "urls": {"api": _redirected(addresses, url.rstrip("/"))},
                "options": {"fetchMarkets": {"types": market_types}, "fetchCurrencies": False},
            },
        }
    }


def replay_overlay(url: str, market: Market, credentials: Credentials | None = None) -> Json:
    """Build the configuration for a run on one market.

    FreqAI keeps models by its ``identifier`` alone, so each market gets one of its own, as futures
    and as spot: models of one market are never mistaken for those of another.

    :param url: Where the replay exchange answers.
    :param credentials: The key of its account, if it takes orders: no dry-run then.
    :return: A freqtrade configuration with the keys ``exchange`` and ``freqai``, and with an
        account ``dry_run``.
    """
    identifier = f"replay-{market.trading_mode}-{market.identity}"
    overlay = exchange_overlay(url, market.trading_mode) | {"freqai": {"identifier": identifier}}
    if credentials is not None:
        overlay["exchange"] |= {"key": credentials.key, "secret": credentials.secret}
        overlay["dry_run"] = False
    return overlay


def _redirected(addresses: Json, url: str) -> Json:
    redirected: Json = {}
    for name, address in addresses.items():
        if isinstance(address, dict):
            redirected[name] = _redirected(address, url)
        else:
            parts = urlsplit(address)
            server = url.replace("http", "ws", 1) if parts.scheme == "wss" else url
            redirected[name] = server + parts.path
    return redirected
