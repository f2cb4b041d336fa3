"""The command line of the doctor."""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from freqtrade.data.dataprovider import DataProvider
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.resolvers import ExchangeResolver, StrategyResolver

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import FreqaiSettings, read_settings
from freqai_lstm.tools.command import add_freqtrade_options, freqai_configuration, print_table
from freqai_lstm.tools.doctor.checks import (
    Finding,
    check_device,
    check_identifier,
    check_user_directory,
    check_versions,
)
from freqai_lstm.tools.doctor.coverage import (
    Coverage,
    coverage,
    download_commands,
    needed_candles,
    utc_now,
)

_TIME = "%Y-%m-%d %H:%M"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``doctor``, and as ``run`` what takes them and gives the exit code."""
    parser.description = (
        "Check an installation. With --timerange, also whether every candle is there that a"
        " backtest of it reads, and how to get what is missing."
    )
    add_freqtrade_options(parser, needs_timerange=False)
    parser.set_defaults(run=run_doctor)


def run_doctor(args: argparse.Namespace) -> int:
    """Print what was found.

    :return: Exit code: 0 if nothing is wrong, 1 if something is.
    :raises ConfigurationError: If freqtrade cannot load the configuration or the strategy.
    """
    options = {name: value for name, value in vars(args).items() if name != "run"}
    # freqtrade says much about what it loads; here, only the findings count.
    logging.disable(logging.INFO)
    try:
        findings, incomplete = _examine(freqai_configuration(options), args)
    finally:
        logging.disable(logging.NOTSET)
    print_table(
        "INSTALLATION",
        ("Checked", "Found", "Verdict"),
        [(one.subject, one.found, "PROBLEM" if one.problem else "ok") for one in findings],
    )
    if incomplete:
        headers = ("Pair", "Timeframe", "Candles", "Needed from", "Needed to", "Missing", "Where")
        print_table("MISSING CANDLES", headers, map(_coverage_row, incomplete))
    problems = [one.problem for one in findings if one.problem]
    for problem in problems:
        print(f"\n{problem}")
    return 1 if problems else 0


def _examine(
    config: dict[str, Any], args: argparse.Namespace
) -> tuple[list[Finding], list[Coverage]]:
    """Return what was found, and what has missing candles."""
    findings = [*check_versions(), *check_user_directory(Path(config["user_data_dir"]))]
    incomplete: list[Coverage] = []
    strategy = StrategyResolver.load_strategy(config)
    try:
        settings = read_settings(config["freqai"], timeframe_to_seconds(config["timeframe"]))
    except SettingsError as error:
        findings.append(Finding("configuration", "wrong", str(error)))
    else:
        findings += _check_bot(config, settings, strategy)
        if config.get("timerange"):
            found = list(_candles(config, strategy))
            incomplete = [one for one in found if one.missing]
            findings.append(_candle_finding(found, incomplete, args))
    return findings, incomplete


def _check_bot(
    config: dict[str, Any], settings: FreqaiSettings, strategy: Any
) -> Iterator[Finding]:
    yield Finding("configuration", ", ".join(config["config_files"]))
    yield check_device(settings.model_training_parameters.trainer_kwargs.device)
    yield from check_identifier(config, settings, strategy)


def _candles(config: dict[str, Any], strategy: Any) -> Iterator[Coverage]:
    config["startup_candle_count"] = strategy.startup_candle_count
    exchange = ExchangeResolver.load_exchange(config, validate=False)
    try:
        provider = DataProvider(config, exchange)
        needed = list(needed_candles(config, provider, exchange, utc_now()))
    finally:
        exchange.close()
    for one in needed:
        yield coverage(config, one)


def _candle_finding(
    found: list[Coverage], incomplete: list[Coverage], args: argparse.Namespace
) -> Finding:
    complete = f"{len(found) - len(incomplete)} of {len(found)} complete"
    if not incomplete:
        return Finding("candle files", complete)
    options = [f"--config={path}" for path in args.config]
    if args.user_data_dir:
        options.append(f"--userdir={args.user_data_dir}")
    if args.datadir:
        options.append(f"--datadir={args.datadir}")
    commands = "\n".join(f"  {command}" for command in download_commands(incomplete, options))
    return Finding(
        "candle files",
        complete,
        f"Candles are missing. What the exchange has of them comes with\n{commands}",
    )


def _coverage_row(found: Coverage) -> list[Any]:
    needed = found.needed
    parts = {"before": found.before, "between": found.between, "after": found.after}
    where = ", ".join(f"{count} {part}" for part, count in parts.items() if count)
    if found.first is None or found.last is None:
        where = "no candles"
    elif found.before or found.after:
        where += f" ({found.first:{_TIME}} .. {found.last:{_TIME}})"
    return [
        needed.pair,
        needed.timeframe,
        needed.candle_type.value,
        f"{needed.start:{_TIME}}",
        f"{needed.stop:{_TIME}}",
        found.missing,
        where,
    ]
