"""Check an installation: versions, device, configuration, drop-ins, saved models.

With --timerange, also whether every candle is there that a backtest of it reads, and how to get
what is missing.
"""

import argparse
import logging
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from freqtrade.data.dataprovider import DataProvider
from freqtrade.exchange import timeframe_to_seconds
from freqtrade.resolvers import ExchangeResolver, StrategyResolver

from freqai_lstm import __version__
from freqai_lstm.bridge.digest import featured_by
from freqai_lstm.bridge.folders import HISTORY, identifier_folder, saved_models, saved_predictions
from freqai_lstm.bridge.manifest import IdentifierGuard, trained_with
from freqai_lstm.bridge.versions import TESTED, untested
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import FreqaiSettings, read_settings
from freqai_lstm.tools.command import add_freqtrade_options, freqai_configuration, print_table
from freqai_lstm.tools.doctor.coverage import Coverage, coverage, download_commands, needed_candles
from freqai_lstm.tools.install import DROP_INS, State, copies, shipped_files

_TIME = "%Y-%m-%d %H:%M"


@dataclass(frozen=True)
class Finding:
    """A line of the report.

    :param found: What was found.
    :param problem: What is wrong with it and how to mend it; empty if nothing is.
    """

    subject: str
    found: Any
    problem: str = ""


def check_versions() -> Iterator[Finding]:
    """Report the versions that matter."""
    yield Finding("python", platform.python_version())
    yield Finding("freqai-lstm", __version__)
    yield Finding("torch", version("torch"))
    problems = untested()
    for name in TESTED:
        yield Finding(name, version(name), problems.get(name, ""))


def check_device(requested: str) -> Finding:
    """Report where networks are trained.

    :param requested: ``trainer_kwargs.device``.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    available = [*(name for name in present if present[name]), "cpu"]
    device = available[0] if requested == "auto" else requested
    if device not in available:
        problem = (
            f"freqai.model_training_parameters.trainer_kwargs.device: must be one of "
            f"{', '.join(available)} with this torch and machine, was {requested!r}"
        )
        return Finding("device", device, problem)
    name = f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
    return Finding("device", f"{name}, asked for {requested}")


def check_user_directory(folder: Path) -> Iterator[Finding]:
    """Report the drop-ins of a user directory; a changed one is somebody's own and no problem."""
    drop_ins = {place: file for place, file in shipped_files().items() if str(place) in DROP_INS}
    for copy in copies(drop_ins, folder):
        problem = ""
        if copy.state is State.MISSING:
            problem = (
                f"{copy.target}: must be there, was missing; freqai-lstm install --userdir {folder}"
            )
        found = {State.SAME: "as shipped", State.CHANGED: "changed", State.MISSING: "missing"}
        yield Finding(copy.target.name, found[copy.state], problem)


def check_identifier(
    config: Mapping[str, Any], settings: FreqaiSettings, strategy: Any
) -> Iterator[Finding]:
    """Report the models of the identifier, and whether the present settings fit them.

    :param settings: Its ``freqai`` section.
    """
    folder = identifier_folder(config)
    present = trained_with(settings, config["timeframe"], config["freqaimodel"])
    problem = ""
    try:
        IdentifierGuard(folder).refuse_changed(present | featured_by(strategy))
    except SettingsError as error:
        problem = str(error)
    yield Finding("identifier", settings.identifier, problem)
    windows = {coin: len(models) for coin, models in saved_models(folder).items()}
    each = ", ".join(f"{coin} {count}" for coin, count in windows.items())
    yield Finding("saved models", f"{sum(windows.values())}{f' ({each})' if each else ''}")
    yield Finding("saved predictions", f"{len(saved_predictions(folder))} backtest window(s)")
    yield Finding("live predictions", "yes" if (folder / HISTORY).is_file() else "none")


def add_arguments(parser: argparse.ArgumentParser) -> None:
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
        findings.append(Finding("configuration", ", ".join(config["config_files"])))
        findings.append(check_device(settings.model_training_parameters.trainer_kwargs.device))
        findings += check_identifier(config, settings, strategy)
        if config.get("timerange"):
            found = _candles(config, strategy)
            incomplete = [one for one in found if one.missing]
            findings.append(_candle_finding(found, incomplete, args))
    return findings, incomplete


def _candles(config: dict[str, Any], strategy: Any) -> list[Coverage]:
    config["startup_candle_count"] = strategy.startup_candle_count
    exchange = ExchangeResolver.load_exchange(config, validate=False)
    try:
        provider = DataProvider(config, exchange)
        needed = list(needed_candles(config, provider, exchange, datetime.now(UTC)))
    finally:
        exchange.close()
    return [coverage(config, one) for one in needed]


def _candle_finding(
    found: list[Coverage], incomplete: list[Coverage], args: argparse.Namespace
) -> Finding:
    complete = f"{len(found) - len(incomplete)} of {len(found)} complete"
    if not incomplete:
        return Finding("candle files", complete)
    options = [f"--config={path}" for path in args.config]
    folders = {"userdir": args.user_data_dir, "datadir": args.datadir}
    options += [f"--{name}={folder}" for name, folder in folders.items() if folder]
    commands = "\n".join(f"  {command}" for command in download_commands(incomplete, options))
    problem = f"Candles are missing. What the exchange has of them comes with\n{commands}"
    return Finding("candle files", complete, problem)


def _coverage_row(found: Coverage) -> list[Any]:
    needed = found.needed
    parts = {"before": found.before, "between": found.between, "after": found.after}
    where = ", ".join(f"{count} {part}" for part, count in parts.items() if count)
    if found.first is None or found.last is None:
        where = "no candles"
    elif found.before or found.after:
        where += f" ({found.first:{_TIME}} .. {found.last:{_TIME}})"
    return [
        *(needed.pair, needed.timeframe, needed.candle_type.value),
        *(f"{needed.start:{_TIME}}", f"{needed.stop:{_TIME}}", found.missing, where),
    ]
