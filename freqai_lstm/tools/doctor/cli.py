"""Check an installation: versions, device, configuration, drop-ins, labels, candles, saved models.

Of the candles with --timerange those that a backtest of it reads, and how to get what is missing;
else all that are stored of the pairs.
"""

import argparse
import copy
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.regressor import LSTMRegressor
from freqai_lstm.tools.command import add_freqtrade_options, print_table
from freqai_lstm.tools.doctor import stored
from freqai_lstm.tools.doctor.configuration import (
    check_consistency,
    check_freqai,
    load_configuration,
)
from freqai_lstm.tools.doctor.dropins import load_model, load_strategy
from freqai_lstm.tools.doctor.findings import Finding
from freqai_lstm.tools.doctor.installation import (
    check_device,
    check_identifier,
    check_user_directory,
    check_versions,
)
from freqai_lstm.tools.doctor.labels import check_labels
from freqai_lstm.tools.doctor.pairs import check_pairs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_freqtrade_options(parser, needs_timerange=False)
    parser.set_defaults(run=run_doctor)


def run_doctor(args: argparse.Namespace) -> int:
    """Print what was found.

    :return: Exit code: 0 if nothing is wrong, 1 if something is.
    :raises ConfigurationError: If freqtrade cannot load the configuration.
    """
    options = {name: value for name, value in vars(args).items() if name != "run"}
    # freqtrade says much about what it loads; here, only the findings count.
    logging.disable(logging.INFO)
    try:
        findings, examined = _examine(load_configuration(options), args)
    finally:
        logging.disable(logging.NOTSET)
    print_table(
        "INSTALLATION",
        ("Checked", "Found", "Verdict"),
        [(one.subject, one.found, "PROBLEM" if one.problem else "ok") for one in findings],
    )
    if incomplete := stored.incomplete_files(examined):
        headers = ("Pair", "Timeframe", "Candles", "Needed from", "Needed to", "Missing", "Where")
        print_table("MISSING CANDLES", headers, map(stored.coverage_row, incomplete))
    if rows := [*stored.fault_rows(examined)]:
        print_table("CANDLES", ("Pair", "Timeframe", "Candles", "What", "Count", "First"), rows)
    problems = [one.problem for one in findings if one.problem]
    for problem in problems:
        print(f"\n{problem}")
    return 1 if problems else 0


def _examine(
    config: dict[str, Any], args: argparse.Namespace
) -> tuple[list[Finding], list[stored.Examined]]:
    """Return what was found, and what the files of candles hold."""
    findings = [*check_versions(), *check_user_directory(Path(config["user_data_dir"]))]
    pairs, finding = check_pairs(config)
    findings.append(finding)
    config["pairs"] = config["exchange"]["pair_whitelist"] = pairs
    strategy, found = load_strategy(config)
    findings += found
    if wrong := [*check_consistency(config, strategy)]:
        return findings + wrong, []
    with TemporaryDirectory(prefix="freqai-lstm-") as folder:
        # What FreqAI writes while it is tried goes there.
        trial = copy.deepcopy(config) | {"user_data_dir": Path(folder)}
        try:
            model, finding = load_model(config, trial)
        except SettingsError as error:
            return [*findings, Finding("configuration", "wrong", str(error))], []
        settings = model.settings if isinstance(model, LSTMRegressor) else None
        findings += [finding, *check_identifier(config, settings, strategy)]
        if settings is not None:
            findings.append(check_device(settings.model_training_parameters.trainer_kwargs.device))
        elif wrong := [*check_freqai(config)]:
            return findings + wrong, []
        findings.append(Finding("configuration", ", ".join(config["config_files"])))
        examined = stored.examine_candles(config, strategy)
        findings += stored.candle_findings(examined, _bot_options(args))
        if strategy is not None and model is not None:
            findings += check_labels(trial, strategy, model)
    return findings, examined


def _bot_options(args: argparse.Namespace) -> list[str]:
    """Return freqtrade's options that say which bot and which data directory."""
    folders = {"userdir": args.user_data_dir, "datadir": args.datadir}
    return [
        *(f"--config={path}" for path in args.config),
        *(f"--{name}={folder}" for name, folder in folders.items() if folder),
    ]
