"""The command ``freqai-lstm``: what freqtrade's own commands do not do."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from freqtrade.exceptions import FreqtradeException

from freqai_lstm import __version__

_COMMANDS = {
    "install": "copy the model, the strategy and the example configuration into a user directory",
    "doctor": "check versions, device, configuration, candles and saved models",
    "replay": "run a local exchange that replays recorded or synthetic candles",
    "pretrain": "train all models of a walk-forward ahead, in parallel",
    "skill": "compare a backtest's predicted score with the true one, out of sample",
    "report": "judge a finished backtest in a page with plots and a JSON file",
    "evaluate": "compare models walk-forward over seeds and horizons",
    "tune": "search parameters of network and training on walk-forward skill",
    "confirm": "hyperopt on the first part of a timerange, and judge what it found on the rest",
    "cache": "show or remove the features and labels that the other commands keep",
    "parity": "check that a live bot predicted, signalled and traded what a backtest does",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    :param arguments: Command line without the program's name; the process's own by default.
    :return: Exit code: 0 on success, 2 on an error that the user can mend.
    """
    args = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        return int(args.run(args))
    except FreqtradeException as error:
        print(f"freqai-lstm: {error}", file=sys.stderr)
        return 2


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command, and as ``run`` the function that takes them."""
    parser = argparse.ArgumentParser(
        prog="freqai-lstm", description="Tools around the FreqAI LSTM model."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True)
    for name, help_line in _COMMANDS.items():
        command = subparsers.add_parser(name, help=help_line)
        # Only the command that is run is imported: torch and freqtrade together take seconds.
        if name == next(iter(arguments), None):
            module = _module(name)
            command.description = module.__doc__
            module.add_arguments(command)
    return parser.parse_args(arguments)


def _module(command: str) -> Any:
    """Return the module of a command: that of its name in ``tools``, or ``cli`` in its folder.

    Its docstring is what ``--help`` says; its ``add_arguments(parser)`` adds the arguments, and as
    ``run`` the function that takes them and gives the exit code.
    """
    place = "freqai_lstm.replay" if command == "replay" else f"freqai_lstm.tools.{command}"
    module = importlib.import_module(place)
    return importlib.import_module(f"{place}.cli") if hasattr(module, "__path__") else module


if __name__ == "__main__":
    sys.exit(main())
