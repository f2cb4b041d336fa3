"""What the commands share: freqtrade's own options, and tables for people."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from freqtrade.configuration import setup_utils_configuration
from freqtrade.enums import RunMode
from freqtrade.exceptions import ConfigurationError
from rich.console import Console
from rich.table import Table

# What is not a terminal has no width: rich would squeeze the table into 80 columns.
_FILE_WIDTH = 160


BOT_OPTIONS = (
    *("config", "pairs", "datadir", "user_data_dir", "strategy", "strategy_path"),
    *("freqaimodel", "freqaimodel_path"),
)
"""The options that say which bot, by their names in freqtrade's code; its commands take them."""

_OPTION_NAMES = {"user_data_dir": "userdir"}


def add_freqtrade_options(parser: argparse.ArgumentParser, *, needs_timerange: bool = True) -> None:
    """Add the options that say which bot and which candles, by freqtrade's names."""
    add_bot_options(parser)
    parser.add_argument("--timerange", required=needs_timerange, metavar="YYYYMMDD-YYYYMMDD")


def add_bot_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which bot, by freqtrade's names."""
    parser.add_argument("-c", "--config", action="append", required=True, metavar="PATH")
    parser.add_argument("-p", "--pairs", nargs="+", metavar="PAIR")
    parser.add_argument("-d", "--datadir", metavar="DIR")
    parser.add_argument("-s", "--strategy", metavar="NAME")
    parser.add_argument("--strategy-path", metavar="DIR")
    parser.add_argument("--freqaimodel", metavar="NAME")
    parser.add_argument("--freqaimodel-path", metavar="DIR")
    parser.add_argument("--userdir", "--user-data-dir", dest="user_data_dir", metavar="DIR")


def bot_arguments(args: argparse.Namespace) -> Iterator[str]:
    """Give the options that say which bot, as they stand on freqtrade's command line."""
    for name in BOT_OPTIONS:
        if value := getattr(args, name):
            option = f"--{_OPTION_NAMES.get(name, name.replace('_', '-'))}"
            for each in value if name == "config" else [value]:
                yield from (option, *(each if isinstance(each, list) else [each]))


def add_pool_options(parser: argparse.ArgumentParser, *, jobs: int | None = None) -> None:
    """Add the options that say where to work.

    :param jobs: Worker processes where nothing is said; one for each core if omitted.
    """
    usual = "one for each core" if jobs is None else str(jobs)
    parser.add_argument(
        "-j", "--jobs", type=positive, default=jobs, metavar="N", help=f"worker processes ({usual})"
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="work on the Ray cluster at this address; 'local' starts one on this machine",
    )
    add_cache_option(parser)


def add_cache_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that says whether features are kept."""
    parser.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="compute features and labels anew, and keep none",
    )


def positive(text: str) -> int:
    """Read a whole number of at least 1 from a command line."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, was {number}")
    return number


def freqai_configuration(options: Mapping[str, Any]) -> dict[str, Any]:
    """Load freqtrade's configuration for a bot with FreqAI.

    :raises ConfigurationError: If FreqAI is not enabled, or the configuration cannot be read.
    """
    config = setup_utils_configuration(dict(options), RunMode.UTIL_NO_EXCHANGE)
    if not config.get("freqai", {}).get("enabled", False):
        raise ConfigurationError("freqai.enabled: must be true, was false or missing")
    return config


def print_table(title: str, headers: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table whose first column is never cut."""
    table = Table(title=title)
    for position, header in enumerate(headers):
        table.add_column(header, justify="right", no_wrap=position == 0)
    for row in rows:
        table.add_row(*map(str, row))
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(table)
