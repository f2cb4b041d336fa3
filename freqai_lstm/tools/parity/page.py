"""Shows how a bot's trades compare with a backtest's: tables, and a page with plots beside JSON."""

import json
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

from freqai_lstm.files import replacing
from freqai_lstm.tools.command import print_table
from freqai_lstm.tools.drawing import MODEL, TRUTH, line_plot
from freqai_lstm.tools.pages import embedded, number, write_html
from freqai_lstm.tools.parity.comparison import TradeComparison
from freqai_lstm.tools.parity.matching import BOTH
from freqai_lstm.tools.parity.trades import TIME
from freqai_lstm.tools.statistics import plain

PAIR_HEADERS = (
    *("Pair", "Both", "Bot only", "Backtest only", "Entry, bp", "Exit, bp", "Exits apart"),
    *("Fees, bot", "Fees, backtest", "Profit, bot", "Profit, backtest"),
)
_FIELDS = (
    *("opened", "entry", "closed", "exit", "exit_reason", "is_open", "amount", "stake"),
    *("leverage", "fees", "funding", "profit", "enter_tag"),
)


def print_trades(comparison: TradeComparison) -> None:
    """Print the trades by pair, what makes the difference, and the trades of one side alone."""
    span, currency = comparison.span, comparison.currency
    print_table(
        f"TRADES: the bot's against a backtest's on its predictions, {span.start:{TIME}} to "
        f"{span.stop:{TIME}}, {currency}",
        PAIR_HEADERS,
        [[_cell(value) for value in astuple(pair)] for pair in comparison.pairs],
    )
    print_table(
        f"DIFFERENCE: what makes the bot's profit another one, {currency}",
        ("Cause", "Trades", "Money"),
        [(name, count, _cell(money)) for name, (count, money) in comparison.causes.items()],
    )
    alone = comparison.trades[comparison.trades["whose"] != BOTH]
    if len(alone):
        print_table(
            "ONE ONLY: trades that one of the two made",
            ("Candle", "Pair", "Side", "Of", "Profit", "Why the other one has none"),
            [
                (
                    f"{trade['candle']:{TIME}}",
                    trade["pair"],
                    _direction(trade),
                    trade["whose"],
                    _cell(trade[f"profit_{trade['whose']}"]),
                    trade["why"],
                )
                for trade in alone.to_dict("records")
            ],
        )
    if comparison.outside:
        print(f"{comparison.outside} trades of the bot were opened before or after that time.")


def write_trades(comparison: TradeComparison, config: Mapping[str, Any], file: Path) -> None:
    """Write a page that needs no network, and a JSON file of its name with the same figures."""
    file.parent.mkdir(parents=True, exist_ok=True)
    bot, backtest = comparison.equity["bot"], comparison.equity["backtest"]
    equity = {"bot": (MODEL, bot), "backtest": (TRUTH, backtest)}
    less = {"difference": (MODEL, (bot - backtest) * comparison.balance)}
    write_html(
        "parity.html",
        file,
        comparison=comparison,
        headers=PAIR_HEADERS,
        trades=comparison.trades.to_dict("records"),
        both=BOTH,
        identifier=config["freqai"]["identifier"],
        strategy=config["strategy"],
        timeframe=config["timeframe"],
        json_file=file.with_suffix(".json").name,
        figures={
            "Equity": embedded(line_plot(equity, "value, 1 at the start")),
            "Bot less backtest": embedded(line_plot(less, comparison.currency)),
        },
    )
    content = {
        "start": plain(comparison.span.start),
        "stop": plain(comparison.span.stop),
        "currency": comparison.currency,
        "balance": plain(comparison.balance),
        "outside": comparison.outside,
        "pairs": plain(comparison.pairs),
        "causes": {
            name: {"trades": count, "money": money}
            for name, (count, money) in comparison.causes.items()
        },
        "trades": [_plain_trade(trade) for trade in comparison.trades.to_dict("records")],
    }
    with replacing(file.with_suffix(".json")) as temporary:
        temporary.write_text(
            json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8"
        )


def _plain_trade(trade: Mapping[Any, Any]) -> dict[str, Any]:
    sides = ("bot", "backtest") if trade["whose"] == BOTH else (trade["whose"],)
    known = {name: trade[name] for name in ("pair", "candle", "whose", "entry_bp", "exit_bp")}
    return {
        **plain(known),
        "side": _direction(trade),
        "why": trade["why"],
        **{side: plain({name: trade[f"{name}_{side}"] for name in _FIELDS}) for side in sides},
    }


def _direction(trade: Mapping[Any, Any]) -> str:
    return "short" if trade["is_short"] else "long"


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return number(value, 2)
    return value
