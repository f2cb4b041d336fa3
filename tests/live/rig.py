"""A dry-run bot on a live replay exchange, both in processes of their own and on a fast clock."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ccxt
import cloudpickle
import pandas as pd
from freqtrade.exchange import timeframe_to_seconds

from .fast_clock import FastClock
from .seeds import SEED, chance

ROOT = Path(__file__).parents[2]
PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]
# A day of which nothing is special, and how many days later a seed may begin.
_DAY, _DAYS = datetime(2026, 1, 1, tzinfo=UTC).timestamp(), 60
_FAST_CLOCK = Path(__file__).with_name("fast_clock.py")

# ExampleLSTMStrategy on short candles, which trades often and writes down what it sees and decides.
STRATEGY = """
import json
import time
from pathlib import Path

from freqtrade.exchange import timeframe_to_seconds
from freqtrade.strategy import RealParameter

from ExampleLSTMStrategy import LABELS, ExampleLSTMStrategy


class LiveStrategy(ExampleLSTMStrategy):
    timeframe = "1m"
    minimal_roi = {"0": 0.002, "3": -1}
    threshold_buy = RealParameter(0.0, 3.0, default=0.02, space="buy")
    threshold_sell = RealParameter(-3.0, 0.0, default=-0.02, space="sell")
    trailing_stop = False
    # freqtrade reads all closed trades ever for this one, with each that closes: here they are as
    # many in a week as elsewhere in years.
    max_weekly_drawdown = RealParameter(0, 0.5, default=0.0, space="protection")

    def populate_indicators(self, dataframe, metadata):
        self.started = time.perf_counter()
        return super().populate_indicators(dataframe, metadata)

    def populate_entry_trend(self, dataframe, metadata):
        dataframe = super().populate_entry_trend(dataframe, metadata)
        return self.turned(dataframe, metadata, "enter")

    def turned(self, dataframe, metadata, kind):
        # One pair is faded: whichever way the market goes, there are trades on both sides.
        sides = [f"{kind}_long", f"{kind}_short"]
        if not metadata["pair"].startswith("SOL"):
            return dataframe
        return dataframe.rename(columns=dict(zip(sides, reversed(sides))))

    def populate_exit_trend(self, dataframe, metadata):
        dataframe = super().populate_exit_trend(dataframe, metadata)
        dataframe = self.turned(dataframe, metadata, "exit")
        last = dataframe.iloc[-1]
        signals = ["enter_long", "enter_short", "exit_long", "exit_short"]
        seen = {"pair": metadata["pair"], "date": last["date"].isoformat()}
        seen["seconds"] = time.perf_counter() - self.started
        closed = last["date"].timestamp() + timeframe_to_seconds(self.timeframe)
        seen["age"] = time.time() - closed
        seen |= {name: int(last.get(name, 0) == 1) for name in signals}
        seen |= {name: float(last[name]) for name in [*LABELS, "do_predict", "score"]}
        with (Path(self.config["user_data_dir"]) / "seen.jsonl").open("a") as file:
            file.write(json.dumps(seen) + "\\n")
        return dataframe
"""


class Rig:
    """Runs the exchange, and the bot as often as it is started.

    :param folder: A folder for the user directory and the logs: an empty one, or that of an
        earlier rig, which is gone on with.
    :param speed: How many times as fast as in reality the bot's sleep is over.
    :param pairs: The pairs to trade.
    :param timeout_ms: How long the bot waits for an answer, in real time.
    :param timeframe: The candles to trade.
    :param start: When the clock begins, in seconds since 1970; by default the seed decides.
    :param goes_on: Whether the clock goes on while the bot works.
    """

    def __init__(
        self,
        folder: Path,
        *,
        speed: float,
        pairs: list[str] = PAIRS,
        timeout_ms: int = 5000,
        timeframe: str = "1m",
        start: float | None = None,
        goes_on: bool = False,
    ) -> None:
        self.folder, self.speed, self.pairs, self.timeout_ms = folder, speed, pairs, timeout_ms
        self.timeframe = timeframe
        self.userdir = folder / "user_data"
        self.database = folder / "trades.sqlite"
        self.identifier = "live"
        clock = folder / "clock"
        if clock.exists():
            self.clock = FastClock(clock)
        else:
            # A minute begins: the first candle is not half over.
            began = _DAY + chance("clock").uniform(0, _DAYS * 86_400) if start is None else start
            self.clock = FastClock.create(clock, began // 60 * 60, goes_on)
        for name in ("strategies", "freqaimodels"):
            (self.userdir / name).mkdir(parents=True, exist_ok=True)
            for file in (ROOT / "user_data" / name).glob("*.py"):
                (self.userdir / name / file.name).write_text(file.read_text())
        (self.userdir / "strategies" / "live_strategy.py").write_text(STRATEGY)
        self.configure()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.bots = len(list(folder.glob("bot-*.log")))

    @property
    def models(self) -> Path:
        """The folder of the identifier."""
        return self.userdir / "models" / self.identifier

    def candles(self, count: int, seconds: float) -> None:
        """Wait until as many more candles have closed, while all processes run."""
        until = self.clock.time() + timeframe_to_seconds(self.timeframe) * count
        self.wait(lambda: self.clock.time() >= until, seconds)

    def configure(self, trading: dict[str, Any] | None = None, **freqai: Any) -> None:
        """Write the bot's configuration.

        :param trading: Changes to it.
        :param freqai: Changes to its ``freqai`` section.
        """
        config = json.loads((ROOT / "config-torch.json").read_text())
        config["timeframe"] = self.timeframe
        config["strategy"] = "LiveStrategy"
        config["stake_amount"], config["dry_run_wallet"] = 500, 100_000
        config["max_open_trades"] = len(self.pairs)
        # In this order they are trained.
        config["exchange"]["pair_whitelist"] = chance("pairs").sample(self.pairs, len(self.pairs))
        config["entry_pricing"]["price_side"] = config["exit_pricing"]["price_side"] = "other"
        config["internals"] = {"process_throttle_secs": 20}
        section = config["freqai"]
        section.update(
            train_period_days=1,
            live_retrain_hours=0.25,
            expiration_hours=2,
            purge_old_models=50,
            activate_tensorboard=False,
        )
        section["feature_parameters"].update(
            include_timeframes=["1m", "5m"],
            include_corr_pairlist=self.pairs[:2],
            indicator_periods_candles=[10],
        )
        model = section["model_training_parameters"]
        model["model_kwargs"].update(hidden_dim=8, num_lstm_layers=1)
        model["trainer_kwargs"].update(n_epochs=1, progress_bar=False, seed=SEED)
        section.update(freqai)
        config.update(trading or {})
        (self.folder / "config.json").write_text(json.dumps(config, indent=2))

    def start_exchange(self, *arguments: str) -> None:
        """Start the exchange, and wait until it answers."""
        overlay = self.folder / "overlay.json"
        overlay.unlink(missing_ok=True)
        options = ["replay", "--live", "--port", "0", "--overlay", str(overlay)]
        market = ["--seed", str(SEED), "--base-timeframe", "1m"]
        market += ["--start", "20240101", "--end", "20240401"]
        chosen = arguments if "--datadir" in arguments else (*market, *arguments)
        self._run("freqai_lstm.cli", *options, *chosen, log="exchange.log")
        self.wait(overlay.exists, 60, "exchange.log")
        document = json.loads(overlay.read_text())
        document["freqai"]["identifier"] = self.identifier
        document["exchange"]["ccxt_config"]["timeout"] = self.timeout_ms
        self.url = document["exchange"]["ccxt_config"]["urls"]["api"]["fapiPublic"]
        self.url = self.url.split("/fapi")[0]
        overlay.write_text(json.dumps(document))

    def start_bot(self) -> subprocess.Popen[bytes]:
        """Start the bot; its log is ``bot-<number>.log``."""
        self.bots += 1
        options = [*self.options(), "--db-url", f"sqlite:///{self.database}"]
        return self._run("freqtrade", "trade", *options, log=f"bot-{self.bots}.log")

    def run(self, module: str, *arguments: str, log: str) -> int:
        """Run a command to its end, and return its exit status."""
        process = self._run(module, *arguments, *self.options(), log=log)
        self._processes.remove(process)
        return process.wait(120)

    def options(self) -> list[str]:
        """Return the options that say which bot."""
        configs = [self.folder / "config.json", self.folder / "overlay.json"]
        named = [argument for config in configs for argument in ("--config", str(config))]
        return [*named, "--userdir", str(self.userdir)]

    def parity(self) -> int:
        """Download what the bot traded on and compare it with a backtest; the log has the tables.

        :return: The exit status of the comparison.
        """
        status = self.run(
            "freqtrade", "download-data", "--timeframes", "1m", "5m", log="download.log"
        )
        assert status == 0, self.log("download.log")
        database = ["--db-url", f"sqlite:///{self.database}"]
        return self.run("freqai_lstm.cli", "parity", *database, log="parity.log")

    def traded(self) -> dict[str, Any]:
        """Return how the bot's trades compare with a backtest's, after :meth:`parity`."""
        page = self.userdir / "plot" / f"parity-{self.identifier}.json"
        found: dict[str, Any] = json.loads(page.read_text())
        return found

    def stop(self, process: subprocess.Popen[bytes], with_signal: int = signal.SIGINT) -> int:
        """End a process, as a user does with Ctrl+C by default, and return its exit status."""
        self._processes.remove(process)
        process.send_signal(with_signal)
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGUSR1)
            time.sleep(5)
            raise AssertionError(f"goes on\n{self.log()[-6000:]}") from None
        finally:
            process.kill()
            process.wait()

    def fault(self, **fault: Any) -> None:
        """Let something go wrong at the exchange."""
        body = json.dumps(fault).encode()
        request = urllib.request.Request(f"{self.url}/replay/faults", body, method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    def fault_hits(self) -> int:
        """Tell how often what goes wrong has gone wrong."""
        with urllib.request.urlopen(f"{self.url}/replay/status", timeout=10) as answer:
            return sum(fault["hits"] for fault in json.load(answer)["faults"])

    def end_faults(self) -> None:
        """Let the exchange recover."""
        request = urllib.request.Request(f"{self.url}/replay/faults", method="DELETE")
        urllib.request.urlopen(request, timeout=10).close()

    def log(self, name: str = "") -> str:
        """Return a log, by default the newest bot's."""
        path = self.folder / (name or f"bot-{self.bots}.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def complaints(self) -> list[str]:
        """Return the lines of the newest bot's log that must not be there in quiet times."""
        words = (" - ERROR - ", "did not predict")
        return [line for line in self.log().splitlines() if any(word in line for word in words)]

    def seen(self) -> pd.DataFrame:
        """Return what the strategy saw and decided, a row for each pair and candle."""
        path = self.userdir / "seen.jsonl"
        if not path.exists():
            return pd.DataFrame({"pair": [], "date": [], "do_predict": []})
        rows = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
        table = pd.DataFrame(rows)
        table["date"] = pd.to_datetime(table["date"])
        return table.drop_duplicates(["pair", "date"], keep="last").reset_index(drop=True)

    def trades(self) -> pd.DataFrame:
        """Return the trades of the bot's database."""
        return self._table("trades", ["is_short", "is_open"])

    def orders(self) -> pd.DataFrame:
        """Return the orders of the bot's database."""
        columns = ["ft_pair", "side", "filled", "order_id", "ft_is_open", "ft_order_side"]
        return self._table("orders", columns)

    def exchange(self) -> ccxt.binance:
        """Connect to the exchange as the bot does, on the same clock."""
        section = json.loads((self.folder / "overlay.json").read_text())["exchange"]
        config = section["ccxt_config"]
        # The clock may jump while a request is on its way.
        config["options"] |= {"defaultType": "swap", "recvWindow": 60_000}
        connected = ccxt.binance({**config, "apiKey": section["key"], "secret": section["secret"]})
        connected.nonce = lambda: int(self.clock.time() * 1000)
        connected.load_markets()
        return connected

    def _table(self, name: str, columns: list[str]) -> pd.DataFrame:
        """Read a table of the bot's database, empty as long as there is none."""
        empty = pd.DataFrame({column: [] for column in columns})
        if not self.database.exists():
            return empty
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            try:
                return pd.read_sql_query(f"select * from {name}", connection)
            except pd.errors.DatabaseError:
                return empty

    def historic_predictions(self) -> dict[str, pd.DataFrame]:
        """Return the predictions that the bot kept."""
        loaded: dict[str, pd.DataFrame] = cloudpickle.loads(
            (self.models / "historic_predictions.pkl").read_bytes()
        )
        return loaded

    def wait(self, condition: Any, seconds: float, log: str = "") -> None:
        """Wait for something to become true, while all processes run."""
        deadline = time.monotonic() + seconds
        while not condition():
            ended = [process.args for process in self._processes if process.poll() is not None]
            assert not ended, f"{ended} ended\n{self.log(log)[-6000:]}"
            assert time.monotonic() < deadline, self.log(log)[-6000:]
            time.sleep(0.5)

    def __enter__(self) -> Self:
        """Give the rig itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Kill what still runs."""
        for process in self._processes:
            process.kill()
            process.wait()

    def _run(self, module: str, *arguments: str, log: str) -> subprocess.Popen[bytes]:
        path = self.folder / log
        environment = os.environ | {
            "PYTHONPATH": f"{self.userdir / 'strategies'}{os.pathsep}{ROOT}",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }
        clock = self.folder / "clock"
        command = [sys.executable, str(_FAST_CLOCK), str(clock), str(self.speed), module]
        with path.open("wb") as file:
            process = subprocess.Popen(
                [*command, *arguments],
                cwd=self.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
            )
        self._processes.append(process)
        return process
