"""Finds out which pairs a bot trades, as far as its configuration alone says so."""

from collections.abc import Mapping
from typing import Any

from freqtrade.data.history import get_datahandler
from freqtrade.plugins.pairlist.pairlist_helpers import expand_pairlist

from freqai_lstm.tools.doctor.findings import Finding

_STATIC = "StaticPairList"


def check_pairs(config: Mapping[str, Any]) -> tuple[list[str], Finding]:
    """Return the pairs that can be examined, and what is wrong with where they come from.

    A pattern such as ``.*/USDT`` stands for the pairs whose candles are stored.

    :param config: freqtrade's configuration, ``pairs`` those of the command line or the whitelist.
    """
    named = config["pairs"] or []
    method = (config.get("pairlists") or [{"method": _STATIC}])[0]["method"]
    stored = _stored_pairs(config)
    try:
        found = {name: expand_pairlist([name], stored, keep_invalid=True) for name in named}
    except (TypeError, ValueError) as error:
        problem = f"exchange.pair_whitelist: must be a list of pairs, was {named!r}: {error}"
        return [], Finding("pairs", "none", problem)
    pairs = list(dict.fromkeys(pair for expanded in found.values() for pair in expanded))
    problems = [
        f"exchange.pair_whitelist: must name pairs, or patterns of pairs with candles in "
        f"{config['datadir']}, was {name!r}, which is none"
        for name, expanded in found.items()
        if not expanded
    ]
    if method != _STATIC:
        problems.append(
            f"pairlists: must begin with {_STATIC}, was {method!r}, for all pairs to be checked. "
            f"The pairs that {method} chooses could not be checked; checked, of "
            f"exchange.pair_whitelist or --pairs: {', '.join(pairs) or 'none'}"
        )
    elif not named:
        problems.append("exchange.pair_whitelist: must name at least one pair, was empty")
    count = len(pairs) if method == _STATIC else f"{len(pairs)}, without those of {method}"
    return pairs, Finding("pairs", count, "\n".join(problems))


def _stored_pairs(config: Mapping[str, Any]) -> list[str]:
    """Return the pairs whose candles are stored, in order."""
    handler = get_datahandler(config["datadir"], config["dataformat_ohlcv"])
    found = handler.ohlcv_get_available_data(config["datadir"], config["trading_mode"])
    return sorted(
        {pair for pair, _, candle_type in found if candle_type == config["candle_type_def"]}
    )
