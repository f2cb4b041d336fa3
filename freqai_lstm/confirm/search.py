"""Searches parameters with freqtrade's hyperopt, and keeps what it found in a file."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from freqtrade.exceptions import OperationalException
from freqtrade.optimize.hyperopt_tools import HyperoptTools


def search_parameters(config: Mapping[str, Any], options: Sequence[str]) -> Path:
    """Run hyperopt, and write its best epoch's parameters into a file.

    Nothing is written into the strategy's folder.

    :param config: freqtrade's configuration, for its strategy and user directory.
    :param options: What follows ``freqtrade hyperopt`` on a command line.
    :return: A parameter file, beside hyperopt's own file of all epochs.
    :raises OperationalException: If hyperopt fails, or no epoch was any good.
    """
    folder = Path(config["user_data_dir"]) / "hyperopt_results"
    before = set(folder.glob("*.fthypt"))
    command = [sys.executable, "-m", "freqtrade", "hyperopt", *options, "--disable-param-export"]
    exit_code = subprocess.run(command, check=False).returncode
    if exit_code != 0:
        raise OperationalException(
            f"freqtrade hyperopt must succeed, had exit code {exit_code}. Its messages are above."
        )
    written = set(folder.glob("*.fthypt")) - before
    best = [epoch for file in written for epoch in _best_epochs(file)]
    if not best:
        raise OperationalException(
            "freqtrade hyperopt must find an epoch with trades, found none. Its messages are above."
        )
    parameter_file = written.pop().with_suffix(".json")
    HyperoptTools.export_params(best[-1], config["strategy"], parameter_file)
    return parameter_file


def _best_epochs(epochs_file: Path) -> list[dict[str, Any]]:
    """Return the epochs that were the best so far, oldest first."""
    epochs, _ = HyperoptTools.load_filtered_results(epochs_file, {"hyperopt_list_best": True})
    return list(epochs)
