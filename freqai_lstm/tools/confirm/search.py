"""freqtrade's hyperopt, run as a command, and what it found."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from freqtrade.exceptions import OperationalException
from freqtrade.optimize.hyperopt_tools import HyperoptTools

from freqai_lstm.bridge.internals import own_parameters
from freqai_lstm.bridge.offline import load_labelling_strategy
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.confirm.backtests import daily_returns
from freqai_lstm.tools.luck import Luck, count_luck


@dataclass(frozen=True)
class Found:
    """What a search found.

    :ivar parameters: The best epoch's parameter file, beside hyperopt's own file of all epochs.
    :ivar luck: How much of the best epoch's result is luck.
    """

    parameters: Path
    luck: Luck


def check_spaces(config: Mapping[str, Any], spaces: Sequence[str]) -> None:
    """Refuse a search of parameters that the strategy does not have.

    :raises SettingsError: If it has none in one of the spaces.
    """
    own = {
        parameter.space for parameter in own_parameters(load_labelling_strategy(config)).values()
    }
    known = {*own, "roi", "stoploss", "trailing", "trades", "all", "default"}
    if unknown := sorted(set(spaces) - known):
        found = f"has parameters in {', '.join(sorted(map(str, own)))}" if own else "has none"
        raise SettingsError(
            f"--spaces: must be spaces that the strategy has parameters in, or of freqtrade's own "
            f"(roi, stoploss, trailing, trades), {config['strategy']} {found}, was "
            f"{', '.join(unknown)}"
        )


def search_parameters(config: Mapping[str, Any], options: Sequence[str]) -> Found:
    """Run hyperopt, and write its best epoch's parameters into a file.

    Nothing is written into the strategy's folder.

    :param config: freqtrade's configuration, for its strategy and user directory.
    :param options: What follows ``freqtrade hyperopt`` on a command line.
    :raises OperationalException: If hyperopt fails, or no epoch was any good.
    """
    folder = Path(config["user_data_dir"]) / "hyperopt_results"
    before = set(folder.glob("*.fthypt"))
    command = [sys.executable, "-m", "freqtrade", "hyperopt", *options, "--disable-param-export"]
    if exit_code := subprocess.run(command, check=False).returncode:
        raise OperationalException(
            f"freqtrade hyperopt must succeed, had exit code {exit_code}. Its messages are above."
        )
    written = set(folder.glob("*.fthypt")) - before
    returns: list[pd.Series] = []
    best, chosen = None, 0
    for epoch in (epoch for file in written for epoch in _epochs(file)):
        if epoch["is_best"]:
            best, chosen = epoch, len(returns)
        returns.append(daily_returns(epoch["results_metrics"]))
    if best is None:
        raise OperationalException(
            "freqtrade hyperopt must find an epoch with trades, found none. Its messages are above."
        )
    parameters = written.pop().with_suffix(".json")
    HyperoptTools.export_params(best, config["strategy"], parameters)
    return Found(parameters, count_luck(np.column_stack(returns), chosen))


def _epochs(file: Path) -> Iterator[dict[str, Any]]:
    """Give the epochs one by one: each has all its trades, and all together may fill the memory."""
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
