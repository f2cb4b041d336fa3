"""Loads freqtrade's configuration, and checks what freqtrade itself reads without checking."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from freqtrade.configuration.config_validation import validate_config_consistency
from freqtrade.exceptions import FreqtradeException

from freqai_lstm.bridge.incidents import described
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.command import freqai_configuration
from freqai_lstm.tools.doctor.findings import Finding, listening

# Lists of feature_parameters, what they must hold, and whether they may be empty.
_LISTS: dict[str, tuple[type | tuple[type, ...], str, bool]] = {
    "include_timeframes": (str, "timeframes", False),
    "include_corr_pairlist": (str, "pairs", True),
    "indicator_periods_candles": ((int, float), "numbers of candles", False),
}


def load_configuration(options: Mapping[str, Any]) -> dict[str, Any]:
    """Load freqtrade's configuration; what is wrong with it takes one line.

    :raises SettingsError: If freqtrade refuses it, or FreqAI is not enabled.
    """
    # freqtrade logs its whole schema beside an error.
    schema = logging.getLogger("freqtrade.configuration.config_validation")
    disabled, schema.disabled = schema.disabled, True
    try:
        return freqai_configuration(options)
    except Exception as error:
        raise SettingsError(_reason(error)) from error
    finally:
        schema.disabled = disabled


def check_consistency(config: dict[str, Any], strategy: Any) -> Iterator[Finding]:
    """Report what freqtrade refuses once it knows the strategy.

    :param config: freqtrade's configuration; the timeframe joins those of the features.
    :param strategy: None if it cannot be loaded.
    """
    if not config.get("timeframe"):
        problem = "timeframe: must be set in the configuration or the strategy, was missing"
        known = strategy is not None
        yield Finding("configuration", "no timeframe", problem if known else "")
        return
    try:
        with listening():
            validate_config_consistency(config)
    except Exception as error:  # noqa: BLE001 - ccxt refuses a timeframe in its own way
        yield Finding("configuration", "wrong", _reason(error))


def _reason(error: Exception) -> str:
    """Return in one line why freqtrade cannot use a configuration."""
    # The path of the key is known to the validation alone.
    cause: Any = error.__context__
    if path := ".".join(map(str, getattr(cause, "absolute_path", ()))):
        return f"{path}: {cause.message}"
    if isinstance(error, FreqtradeException):
        return str(error)
    return f"--config: must be a configuration that freqtrade can use, was: {described(error)}"


def check_freqai(config: Mapping[str, Any]) -> Iterator[Finding]:
    """Report the periods and lists of the ``freqai`` section that FreqAI cannot walk through."""
    section = config["freqai"]
    parameters = section["feature_parameters"]
    for key in ("train_period_days", "backtest_period_days"):
        if section[key] <= 0:
            problem = f"freqai.{key}: must be greater than 0, was {section[key]}"
            yield Finding("configuration", "wrong", problem)
    for key, (kind, what, may_be_empty) in _LISTS.items():
        value = parameters.get(key)
        whole = isinstance(value, list) and all(isinstance(one, kind) for one in value)
        if not whole or not (value or may_be_empty):
            least = "" if may_be_empty else ", at least one"
            was = "missing" if value is None else repr(value)
            problem = f"freqai.feature_parameters.{key}: must be a list of {what}{least}, was {was}"
            yield Finding("configuration", "wrong", problem)
