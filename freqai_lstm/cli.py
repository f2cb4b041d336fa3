"""The command ``freqai-lstm``: what freqtrade's own commands do not do."""

import argparse
import sys
from collections.abc import Sequence

from freqtrade.exceptions import FreqtradeException

from freqai_lstm import __version__
from freqai_lstm.confirm.cli import add_confirm_parser
from freqai_lstm.doctor.cli import add_doctor_parser
from freqai_lstm.evaluate.cli import add_evaluate_parser
from freqai_lstm.install.cli import add_install_parser
from freqai_lstm.parity.cli import add_parity_parser
from freqai_lstm.pretrain.cli import add_pretrain_parser
from freqai_lstm.replay.cli import add_replay_parser
from freqai_lstm.report.cli import add_report_parser, add_skill_parser
from freqai_lstm.tune.cli import add_tune_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand.

    :param arguments: Command line without the program's name; the process's own by default.
    :return: Exit code: 0 on success, 2 on an error that the user can mend.
    """
    args = make_parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except FreqtradeException as error:
        print(f"freqai-lstm: {error}", file=sys.stderr)
        return 2


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands; each sets ``run`` to what it does."""
    parser = argparse.ArgumentParser(
        prog="freqai-lstm", description="Tools around the FreqAI LSTM model."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(title="commands", required=True)
    add_install_parser(subparsers)
    add_doctor_parser(subparsers)
    add_replay_parser(subparsers)
    add_pretrain_parser(subparsers)
    add_skill_parser(subparsers)
    add_report_parser(subparsers)
    add_evaluate_parser(subparsers)
    add_tune_parser(subparsers)
    add_confirm_parser(subparsers)
    add_parity_parser(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
