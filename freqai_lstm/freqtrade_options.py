"""The options of freqtrade's commands that the commands of this package take as well."""

import argparse
from collections.abc import Mapping
from typing import Any

from freqtrade.configuration import setup_utils_configuration
from freqtrade.enums import RunMode
from freqtrade.exceptions import ConfigurationError


def add_freqtrade_options(parser: argparse.ArgumentParser, *, needs_timerange: bool = True) -> None:
    """Add the options that say which bot and which candles, by freqtrade's names."""
    add_bot_options(parser)
    parser.add_argument("--timerange", required=needs_timerange, metavar="YYYYMMDD-YYYYMMDD")


def add_bot_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which bot, by freqtrade's names."""
    parser.add_argument("-c", "--config", action="append", required=True, metavar="PATH")
    parser.add_argument("-p", "--pairs", nargs="+", metavar="PAIR")
    parser.add_argument("-d", "--datadir", metavar="DIR")
    parser.add_argument("--userdir", "--user-data-dir", dest="user_data_dir", metavar="DIR")


def freqai_configuration(options: Mapping[str, Any]) -> dict[str, Any]:
    """Load freqtrade's configuration for a bot with FreqAI.

    :param options: freqtrade's command line options by their names in its code.
    :raises ConfigurationError: If FreqAI is not enabled, or the configuration cannot be read.
    """
    config: dict[str, Any] = setup_utils_configuration(dict(options), RunMode.UTIL_NO_EXCHANGE)
    if not config.get("freqai", {}).get("enabled", False):
        raise ConfigurationError("freqai.enabled: must be true, was false or missing")
    return config
