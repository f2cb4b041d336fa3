"""Run a local exchange that answers like Binance, for a bot without network.

Without --datadir the market is synthetic.
"""

import argparse
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from freqai_lstm.exceptions import ReplayError
from freqai_lstm.replay.account.orders import FillStyle
from freqai_lstm.replay.account.state import AccountTerms
from freqai_lstm.replay.candles import DAY_MS, parse_day_ms
from freqai_lstm.replay.faults.plan import KINDS, Fault, FaultPlan
from freqai_lstm.replay.feed import Clock
from freqai_lstm.replay.market import TRADING_MODES, Market
from freqai_lstm.replay.recorded import RecordedMarket
from freqai_lstm.replay.server import DEFAULT_PORT, serve
from freqai_lstm.replay.synthetic import (
    BASE_TIMEFRAMES,
    DEFAULT_END_MS,
    DEFAULT_START_MS,
    SyntheticMarket,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--datadir",
        type=Path,
        metavar="DIR",
        help="serve the candles of a freqtrade data directory, such as user_data/data/binance",
    )
    source.add_argument(
        "--seed", type=int, metavar="N", help="serve the synthetic market of this seed (default: 0)"
    )
    parser.add_argument(
        "--trading-mode",
        choices=TRADING_MODES,
        default="futures",
        help="answer like Binance USD-M futures or like its spot market (%(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help="port, 0 for a free one (%(default)s)"
    )
    parser.add_argument(
        "--allow-remote", action="store_true", help="allow a host that other machines can reach"
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="move the market in time so that it goes on now, for dry-run trading",
    )
    parser.add_argument(
        "--orders",
        action="store_true",
        help="take signed orders of futures with made-up money, for trading without dry-run;"
        " needs --live",
    )
    parser.add_argument(
        "--deposit",
        type=_amount,
        metavar="AMOUNT",
        help="made-up money of the account for --orders (default: 10000)",
    )
    parser.add_argument(
        "--partial-fills",
        type=_amount,
        metavar="PROBABILITY",
        help="how often an order is filled in parts, 0 to 1 (default: 0)",
    )
    parser.add_argument(
        "--late-fills",
        type=_amount,
        metavar="SECONDS",
        help="how late an order is filled, at most (default: 0)",
    )
    parser.add_argument(
        "--base-timeframe",
        choices=BASE_TIMEFRAMES,
        help="shortest candles of the synthetic market (default: 5m)",
    )
    parser.add_argument(
        "--start", metavar="YYYYMMDD", help="first day of the synthetic market (default: 20230101)"
    )
    parser.add_argument(
        "--end", metavar="YYYYMMDD", help="last day of the synthetic market (default: 20240630)"
    )
    parser.add_argument(
        "--pairs",
        nargs="+",
        metavar="PAIR",
        help="list only these, such as BTC/USDT:USDT, in spot BTC/USDT",
    )
    parser.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="write the port here when ready"
    )
    parser.add_argument(
        "--overlay",
        type=Path,
        metavar="FILE",
        help="write a freqtrade configuration here when ready, to load after the bot's own",
    )
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[,KEY=VALUE...]",
        help=(
            "let something go wrong, such as http_5xx,probability=0.1,path=klines; may be repeated;"
            f" kinds: {', '.join(KINDS)}"
        ),
    )
    parser.set_defaults(run=run_replay)


def run_replay(args: argparse.Namespace) -> int:
    """Serve until Ctrl+C or SIGTERM.

    :return: Exit code, 0.
    :raises ReplayError: If there is no such market, or no way to listen.
    """
    market = _market(args)
    serve(
        market,
        host=args.host,
        port=args.port,
        clock=Clock.live(market) if args.live else Clock(),
        faults=FaultPlan(map(Fault.parse, args.fault), seed=args.seed or 0),
        terms=_terms(args),
        ready_file=args.ready_file,
        overlay_file=args.overlay,
        allow_remote=args.allow_remote,
    )
    return 0


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as error:
        raise argparse.ArgumentTypeError(f"must be a number; was {text!r}") from error
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"must not be negative or endless; was {text!r}")
    return amount


def _terms(args: argparse.Namespace) -> AccountTerms | None:
    """Read how the account is, if there is one.

    :raises ReplayError: If there is none and something is said about it, or a probability is not.
    """
    about = {
        "--deposit": args.deposit,
        "--partial-fills": args.partial_fills,
        "--late-fills": args.late_fills,
    }
    if not args.orders:
        _refuse(about, "without --orders.")
        return None
    if (args.partial_fills or 0) > 1:
        raise ReplayError(f"--partial-fills must be from 0 to 1; was {args.partial_fills}.")
    style = FillStyle(
        args.seed or 0,
        partly=float(args.partial_fills or 0),
        late_seconds=float(args.late_fills or 0),
    )
    return AccountTerms(AccountTerms.deposit if args.deposit is None else args.deposit, style)


def _refuse(options: Mapping[str, Any], where: str) -> None:
    """Refuse options that have no meaning there.

    :raises ReplayError: If one of them is given.
    """
    if given := [option for option, value in options.items() if value is not None]:
        raise ReplayError(f"{', '.join(given)} must not be given {where}")


def _market(args: argparse.Namespace) -> Market:
    if args.datadir is None:
        return SyntheticMarket(
            args.seed or 0,
            start_ms=DEFAULT_START_MS if args.start is None else parse_day_ms(args.start),
            end_ms=DEFAULT_END_MS if args.end is None else parse_day_ms(args.end) + DAY_MS,
            base_timeframe=args.base_timeframe or "5m",
            trading_mode=args.trading_mode,
            pairs=args.pairs,
        )
    synthetic_only = {
        "--start": args.start,
        "--end": args.end,
        "--base-timeframe": args.base_timeframe,
    }
    _refuse(synthetic_only, "with --datadir: recorded candles are served as they are.")
    return RecordedMarket(args.datadir, trading_mode=args.trading_mode, pairs=args.pairs)
