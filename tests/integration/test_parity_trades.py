"""A bot's trades against a backtest on its recorded predictions, any model and market."""

import base64
import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import rapidjson
from freqtrade.commands.data_commands import start_download_data
from freqtrade.persistence import LocalTrade, Trade
from freqtrade.persistence.base import ModelBase
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from freqai_lstm.cli import main, parse_arguments
from freqai_lstm.replay.binance.overlay import exchange_overlay
from freqai_lstm.replay.candles import parse_day_ms
from freqai_lstm.replay.synthetic import SyntheticMarket
from freqai_lstm.tools.parity.replayed import read_history
from freqai_lstm.tools.parity.retraded import Retraded, retrade
from tests.conftest import ROOT
from tests.replay_server import ReplayServer

PAIRS = {"futures": ["BTC/USDT:USDT", "ETH/USDT:USDT"], "spot": ["BTC/USDT", "ETH/USDT"]}
STRATEGY = """
from freqtrade.strategy import IStrategy

class Waves(IStrategy):
    timeframe = "1h"
    stoploss = -0.05
    minimal_roi = {"720": -1}
    startup_candle_count = 20
    can_short = CAN_SHORT

    def feature_engineering_expand_all(self, dataframe, period, metadata, **kwargs):
        dataframe["%-change-period"] = dataframe["close"].pct_change(period)
        return dataframe

    def set_freqai_targets(self, dataframe, metadata, **kwargs):
        dataframe["&-move"] = dataframe["close"].shift(-4) / dataframe["close"] - 1
        return dataframe

    def populate_indicators(self, dataframe, metadata):
        return self.freqai.start(dataframe, metadata, self)

    def populate_entry_trend(self, dataframe, metadata):
        known = dataframe["do_predict"] == 1
        dataframe.loc[known & (dataframe["&-move"] > 0.9), "enter_long"] = 1
        dataframe.loc[known & (dataframe["&-move"] < -0.9), "enter_short"] = 1
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        dataframe.loc[dataframe["&-move"] < 0, "exit_long"] = 1
        dataframe.loc[dataframe["&-move"] > 0, "exit_short"] = 1
        return dataframe
"""


def values(drawn: Any) -> list[float]:
    """Return the numbers of a plot, which plotly packs."""
    if isinstance(drawn, dict):
        return list(np.frombuffer(base64.b64decode(drawn["bdata"]), drawn["dtype"]))
    return list(drawn)


class Bot:
    """A user directory in which a bot has predicted, and where what it traded is made up."""

    def __init__(self, folder: Path, mode: str, url: str) -> None:
        self.folder, self.pairs = folder, PAIRS[mode]
        self.database = folder / "trades.sqlite"
        (folder / "strategies").mkdir()
        can_short = str(mode == "futures")
        strategy = STRATEGY.replace("CAN_SHORT", can_short)
        (folder / "strategies" / "waves.py").write_text(strategy)
        config = json.loads((ROOT / "config-torch.json").read_text())
        config.update(
            strategy="Waves",
            freqaimodel="LightGBMRegressor",
            stake_amount=100,
            max_open_trades=2,
            trading_mode=mode,
            margin_mode="isolated" if mode == "futures" else "",
        )
        config["exchange"]["pair_whitelist"] = self.pairs
        config["freqai"].update(train_period_days=2, identifier="waves")
        config["freqai"]["feature_parameters"].update(
            include_timeframes=["1h"], include_corr_pairlist=[], indicator_periods_candles=[10]
        )
        config["freqai"].pop("model_training_parameters")
        config["freqai"]["model_training_parameters"] = {}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "overlay.json").write_text(json.dumps(exchange_overlay(url, mode)))
        configs = [
            "--config",
            str(folder / "config.json"),
            "--config",
            str(folder / "overlay.json"),
        ]
        self.options = [*configs, "--userdir", str(folder)]
        (folder / "models").mkdir()
        start_download_data(
            {
                "config": configs[1::2],
                "user_data_dir": str(folder),
                "timeframes": ["1h"],
                "timerange": "20240207-20240222",
            }
        )
        self.predict()

    def predict(self) -> None:
        """Record predictions that go up and down, as FreqAI does live."""
        dates = pd.date_range("2024-02-10", "2024-02-20", freq="h", tz="UTC").as_unit("ms")
        history = {}
        for shift, pair in enumerate(self.pairs):
            wave = np.sin(np.arange(len(dates)) / (5 + shift) + shift)
            history[pair] = pd.DataFrame(
                {
                    "&-move": wave,
                    "&-move_mean": 0.0,
                    "&-move_std": 1.0,
                    "do_predict": 1,
                    "high_price": 1.0,
                    "low_price": 1.0,
                    "close_price": 1.0,
                    "date_pred": dates,
                }
            )
        models = self.folder / "models" / "waves"
        models.mkdir(exist_ok=True)
        (models / "historic_predictions.pkl").write_bytes(cloudpickle.dumps(history))

    def parity(self, *arguments: str) -> int:
        url = f"sqlite:///{self.database}"
        return main(["parity", *self.options, "--db-url", url, *arguments])

    def figures(self) -> dict[str, Any]:
        """Return what the JSON file says, and the last values of the page's equity."""
        page = self.folder / "plot" / "parity-waves.html"
        plots = re.findall(r'application/json">(.*?)</script>', page.read_text())
        lines = json.loads(plots[0])["data"]
        found: dict[str, Any] = json.loads(page.with_suffix(".json").read_text())
        return found | {"equity": {line["name"]: values(line["y"])[-1] for line in lines}}

    def backtest(self) -> Retraded:
        args = parse_arguments(["parity", *self.options])
        return retrade(args, read_history(self.folder / "models" / "waves"))

    def trade(self, trades: list[dict[str, Any]]) -> None:
        """Write trades, as freqtrade tells them, into the bot's database."""
        self.database.unlink(missing_ok=True)
        engine = create_engine(f"sqlite:///{self.database}")
        ModelBase.metadata.create_all(engine)
        with Session(engine) as session:
            for trade in trades:
                session.add(
                    Trade.from_json(
                        rapidjson.dumps(trade | {"strategy": trade["strategy"] or "Waves"})
                    )
                )
            session.commit()
        engine.dispose()


@pytest.fixture(scope="module", params=["futures", "spot"])
def bot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bot]:
    mode = request.param
    days = {"start_ms": parse_day_ms("20240201"), "end_ms": parse_day_ms("20240225")}
    market = SyntheticMarket(5, **days, trading_mode=mode, pairs=PAIRS[mode])
    with ReplayServer(market) as server:
        yield Bot(tmp_path_factory.mktemp(mode), mode, server.url)


@pytest.fixture(scope="module")
def traded(bot: Bot) -> list[dict[str, Any]]:
    """What the backtest traded, as a bot that met no market would have."""
    bot.backtest()
    return [trade.to_json() for trade in LocalTrade.bt_trades]


def remade(
    trade: dict[str, Any],
    *,
    entry: float | None = None,
    leave: float | None = None,
    fee: float | None = None,
    hours: int = 0,
) -> dict[str, Any]:
    """Return a trade with other prices, another fee or a later exit, and the profit of that."""
    made = copy.deepcopy(trade)
    first, last = made["orders"]
    for order, price in ((first, entry), (last, leave)):
        order["average"] = price or order["average"]
    made["open_rate"], made["close_rate"] = first["average"], last["average"]
    made["fee_open"] = made["fee_close"] = fee or made["fee_open"]
    for key in ("order_timestamp", "order_filled_timestamp"):
        last[key] += hours * 3_600_000
    made["close_timestamp"] += hours * 3_600_000
    bought, sold = (order["average"] * order["filled"] for order in (first, last))
    gain = (sold - bought) * (-1 if made["is_short"] else 1)
    profit = gain - made["fee_open"] * (bought + sold) + (made["funding_fees"] or 0.0)
    made["close_profit_abs"] = made["profit_abs"] = profit
    return made


def left_open(trade: dict[str, Any]) -> dict[str, Any]:
    """Return a trade that the bot has not closed."""
    made = copy.deepcopy(trade)
    made["orders"].pop()
    nothing = ("close_timestamp", "close_rate", "close_profit", "close_profit_abs", "exit_reason")
    return made | dict.fromkeys(nothing) | {"is_open": True}


def test_bot_that_met_no_market_is_what_the_backtest_is(
    bot: Bot, traded: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    bot.trade(traded)
    before = bot.database.read_bytes()
    assert bot.parity() == 0
    assert bot.database.read_bytes() == before
    output = capsys.readouterr().out
    assert "LightGBMRegressor does not record which model made them" in output
    assert "ONE ONLY" not in output
    found = bot.figures()
    assert len(traded) > 15
    assert {trade["whose"] for trade in found["trades"]} == {"both"}
    assert found["pairs"][-1]["both"] == len(traded)
    assert [cause["money"] for cause in found["causes"].values()] == [0.0] * 9
    profit = sum(trade["profit_abs"] for trade in traded)
    for side in ("bot", "backtest"):
        assert found["pairs"][-1][f"profit_{side}"] == pytest.approx(profit)
        assert found["equity"][side] == pytest.approx(1 + profit / found["balance"])


def test_every_difference_is_found_and_adds_up(
    bot: Bot, traded: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    closed = [trade for trade in traded if trade["exit_reason"] == "exit_signal"]
    missed, dear, late, cheap, fees = closed[2:7]
    side = {id(trade): -1 if trade["is_short"] else 1 for trade in closed}
    prices = {
        "entry": dear["open_rate"] * (1 + 0.001 * side[id(dear)]),
        "late": late["close_rate"] * (1 + 0.01 * side[id(late)]),
        "cheap": cheap["close_rate"] * (1 - 0.002 * side[id(cheap)]),
    }
    changed = {
        dear["trade_id"]: remade(dear, entry=prices["entry"]),
        late["trade_id"]: remade(late, leave=prices["late"], hours=1),
        cheap["trade_id"]: remade(cheap, leave=prices["cheap"]),
        fees["trade_id"]: remade(fees, fee=0.002),
        traded[-1]["trade_id"]: left_open(traded[-1]),
    }
    own = remade(missed, entry=missed["open_rate"])
    # Two candles before, when there was no signal.
    for key in ("open_timestamp",):
        own[key] -= 7_200_000
    for key in ("order_timestamp", "order_filled_timestamp"):
        own["orders"][0][key] -= 7_200_000
    own |= {"trade_id": 1000, "enter_tag": "force_entry", "pair": missed["pair"]}
    for order in own["orders"]:
        order["order_id"] = f"own-{order['order_id']}"
    kept = [changed.get(trade["trade_id"], trade) for trade in traded if trade is not missed]
    bot.trade([*kept, own])
    assert bot.parity() == 0
    output = capsys.readouterr().out
    found = bot.figures()
    whole = found["pairs"][-1]
    assert (whole["both"], whole["bot"], whole["backtest"]) == (len(traded) - 1, 1, 1)
    alone = {trade["whose"]: trade for trade in found["trades"] if trade["whose"] != "both"}
    assert alone["bot"]["why"] == "entered by hand (force_entry)"
    assert re.match(
        r"the bot was (long|short) in the pair, since 2024-02-", alone["backtest"]["why"]
    )
    assert "entered by hand" in output

    def of(trade: dict[str, Any]) -> dict[str, Any]:
        opened = pd.Timestamp(trade["open_timestamp"], unit="ms", tz="UTC").isoformat()
        [same] = [
            each
            for each in found["trades"]
            if (each["pair"], each["candle"]) == (trade["pair"], opened)
        ]
        return same

    assert of(dear)["entry_bp"] == pytest.approx(10.0)
    assert of(cheap)["exit_bp"] == pytest.approx(20.0)
    assert of(late)["exit_bp"] is None
    assert of(traded[-1])["bot"]["exit_reason"] == "still open"
    causes = {name: cause["money"] for name, cause in found["causes"].items()}
    amount = dear["orders"][0]["filled"]
    assert causes["entry prices"] == pytest.approx(-0.001 * dear["open_rate"] * amount)
    cost = sum(order["average"] * order["filled"] for order in fees["orders"])
    assert causes["fees"] < -(0.002 - fees["fee_open"]) * cost * 0.99
    assert causes["exits on another candle"] > 0 > causes["exit prices, on the same candle"]
    assert causes["trades of the backtest alone"] == pytest.approx(-missed["profit_abs"])
    assert causes["orders within a trade"] == 0.0
    difference = whole["profit_bot"] - whole["profit_backtest"]
    assert sum(causes.values()) == pytest.approx(difference)
    gained = (found["equity"]["bot"] - found["equity"]["backtest"]) * found["balance"]
    assert gained == pytest.approx(difference)


def test_what_cannot_be_compared_is_named(
    bot: Bot,
    traded: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bot.database.unlink(missing_ok=True)
    assert bot.parity() == 2
    assert "trades.sqlite: must be the bot's database (db_url" in capsys.readouterr().err
    assert not bot.database.exists()

    bot.database.write_text("no database")
    assert bot.parity() == 2
    assert "must be a database of freqtrade that can be read: " in capsys.readouterr().err

    bot.trade(traded)
    named = ["--strategy", "Still"]
    still = STRATEGY.replace("Waves", "Still").replace("0.9", "9").replace("CAN_SHORT", "False")
    (bot.folder / "strategies" / "still.py").write_text(still)
    assert bot.parity(*named) == 2
    assert "must hold trades of the strategy Still, was those of Waves" in capsys.readouterr().err

    bot.trade([traded[0] | {"open_timestamp": 1_600_000_000_000, "strategy": "Still"}])
    assert bot.parity(*named) == 2
    assert "opened from 2024-02-10 01:00 to 2024-02-20 02:00" in capsys.readouterr().err

    # Where freqtrade itself would keep them there are none: that is no fault.
    monkeypatch.chdir(bot.folder)
    assert main(["parity", *bot.options]) == 0
    assert "Trades are not compared: sqlite:///tradesv3" in capsys.readouterr().out
