"""The command ``freqai-lstm``: what freqtrade's own commands do not do."""

import argparse
import pkgutil
import sys
from collections.abc import Sequence

from freqtrade.exceptions import FreqtradeException

from freqai_lstm import __version__

# What adds the arguments of each command, and its help. Only the command that is run is imported:
# torch and freqtrade together take seconds.
_COMMANDS = {
    "install": (
        "freqai_lstm.install.cli:add_arguments",
        "copy the model, the strategy and the example configuration into a user directory",
    ),
    "doctor": (
        "freqai_lstm.doctor.cli:add_arguments",
        "check versions, device, configuration, candles and saved models",
    ),
    "replay": (
        "freqai_lstm.replay.cli:add_arguments",
        "run a local exchange that replays recorded or synthetic candles",
    ),
    "pretrain": (
        "freqai_lstm.pretrain.cli:add_arguments",
        "train all models of a walk-forward ahead, in parallel",
    ),
    "skill": (
        "freqai_lstm.report.cli:add_skill_arguments",
        "compare a backtest's predicted score with the true one, out of sample",
    ),
    "report": (
        "freqai_lstm.report.cli:add_report_arguments",
        "judge a finished backtest in a page with plots and a JSON file",
    ),
    "evaluate": (
        "freqai_lstm.evaluate.cli:add_arguments",
        "compare models walk-forward over seeds and horizons",
    ),
    "tune": (
        "freqai_lstm.tune.cli:add_arguments",
        "search parameters of network and training on walk-forward skill",
    ),
    "confirm": (
        "freqai_lstm.confirm.cli:add_arguments",
        "hyperopt on the first part of a timerange, and judge what it found on the rest",
    ),
    "parity": (
        "freqai_lstm.parity.cli:add_arguments",
        "check that a live bot predicted and signalled what a backtest does",
    ),
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
    """Return the arguments of a command, and as ``run`` the function that takes them.

    :param arguments: Command line without the program's name.
    """
    parser = argparse.ArgumentParser(
        prog="freqai-lstm", description="Tools around the FreqAI LSTM model."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True)
    for name, (add_arguments, help_line) in _COMMANDS.items():
        command = subparsers.add_parser(name, help=help_line)
        if name == next(iter(arguments), None):
            pkgutil.resolve_name(add_arguments)(command)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
