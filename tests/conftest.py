"""Fixtures of the whole suite: synthetic candles on disk and freqtrade's configuration."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from freqtrade.configuration.config_validation import validate_config_schema
from freqtrade.enums import CandleType, RunMode

from freqai_lstm.replay.candles import aggregate, parse_day_ms
from freqai_lstm.replay.synthetic import SyntheticMarket

ROOT = Path(__file__).parents[1]
PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]
TIMEFRAMES = ["1h", "4h"]

# One thread everywhere: more of them only fight over the cores of a busy machine.
torch.set_num_threads(1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what takes longest, so that no worker is left alone with it at the end."""
    unit = ROOT / "tests" / "unit"
    items.sort(key=lambda item: item.path.is_relative_to(unit))


@pytest.fixture
def no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let changed code be read: bytecode passes for that of any file of its size and second."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


@pytest.fixture(scope="session")
def market() -> SyntheticMarket:
    """Three pairs, from November 2023 to February 2024."""
    return SyntheticMarket(
        3, start_ms=parse_day_ms("20231101"), end_ms=parse_day_ms("20240301"), pairs=PAIRS
    )


@pytest.fixture(scope="session")
def candles(market: SyntheticMarket) -> Callable[[str, str], pd.DataFrame]:
    """Give the candles of a pair and timeframe as freqtrade stores them."""

    def load(pair: str, timeframe: str = "1h") -> pd.DataFrame:
        symbol = pair.split(":", 1)[0].replace("/", "")
        bars = aggregate(market.candles(symbol, "last", "5m"), timeframe)
        return pd.DataFrame(
            {
                "date": pd.to_datetime(bars.open_ms, unit="ms", utc=True).as_unit("ms"),
                "open": bars.open,
                "high": bars.high,
                "low": bars.low,
                "close": bars.close,
                "volume": bars.volume,
            }
        )

    return load


@pytest.fixture(scope="session")
def datadir(
    candles: Callable[[str, str], pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A freqtrade data directory with the candles of the market. Tests do not write into it."""
    folder = tmp_path_factory.mktemp("data") / "binance"
    (folder / "futures").mkdir(parents=True)
    for pair in PAIRS:
        for timeframe in TIMEFRAMES:
            store_candles(folder, pair, timeframe, candles(pair, timeframe))
    return folder


def candle_file(datadir: Path, pair: str, timeframe: str) -> Path:
    """Return where freqtrade keeps the candles of a pair and timeframe."""
    name = pair.replace("/", "_").replace(":", "_")
    return datadir / "futures" / f"{name}-{timeframe}-futures.feather"


def store_candles(datadir: Path, pair: str, timeframe: str, candles: pd.DataFrame) -> None:
    """Store candles as freqtrade does."""
    candles.to_feather(candle_file(datadir, pair, timeframe), compression="lz4")


@pytest.fixture
def config(datadir: Path, tmp_path: Path) -> dict[str, Any]:
    """The configuration of a quick backtest, in a user directory of its own."""
    return make_config(datadir, tmp_path)


@pytest.fixture
def own_datadir(config: dict[str, Any], tmp_path: Path) -> Path:
    """A copy of the data directory that a test may change."""
    folder = tmp_path / "data"
    shutil.copytree(config["datadir"], folder)
    config["datadir"] = folder
    return folder


def make_config(datadir: Path, userdir: Path) -> dict[str, Any]:
    """Make ``config-torch.json`` as a backtest sees it, with few features and a small network."""
    (userdir / "models").mkdir()
    loaded = json.loads((ROOT / "config-torch.json").read_text(encoding="utf-8"))
    loaded["exchange"]["pair_whitelist"] = list(PAIRS)
    freqai = loaded["freqai"]
    freqai.update(train_period_days=20, backtest_period_days=5, activate_tensorboard=False)
    freqai["feature_parameters"].update(
        include_timeframes=TIMEFRAMES,
        include_corr_pairlist=["ETH/USDT:USDT"],
        indicator_periods_candles=[10],
    )
    model = freqai["model_training_parameters"]
    model["learning_rate"] = 1e-2
    model["model_kwargs"].update(hidden_dim=8, num_lstm_layers=2)
    model["trainer_kwargs"].update(n_epochs=8, progress_bar=False)
    loaded.update(
        config_files=[str(ROOT / "config-torch.json")],
        user_data_dir=userdir,
        strategy_path=str(ROOT / "user_data" / "strategies"),
        freqaimodel_path=str(ROOT / "user_data" / "freqaimodels"),
        runmode=RunMode.OTHER,
    )
    checked: dict[str, Any] = validate_config_schema(loaded)
    checked.update(
        runmode=RunMode.BACKTEST,
        datadir=datadir,
        dataformat_ohlcv="feather",
        candle_type_def=CandleType.FUTURES,
        timerange="20240210-20240220",
    )
    return checked
