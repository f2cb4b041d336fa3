"""What guards FreqAI's live loop."""

import threading
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from freqtrade.freqai.base_models.BasePyTorchRegressor import BasePyTorchRegressor

from freqai_lstm.bridge import live, roster
from freqai_lstm.bridge.incidents import IncidentLog, read_incidents
from freqai_lstm.bridge.live import (
    LiveRegressor,
    check_candles_join,
    keep_names_in_python,
    late_candles,
)
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.regressor import LSTMRegressor

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
CONFIG = {
    "timeframe": "1h",
    "freqai": {
        "feature_parameters": {"include_timeframes": ["1h", "4h"], "include_corr_pairlist": [ETH]}
    },
}


class Candles:
    """A data provider whose newest candles open at given times."""

    def __init__(self, **newest: str) -> None:
        self.newest = {"1h": "11:00", "4h": "08:00"} | newest

    def get_pair_dataframe(self, pair: str, timeframe: str) -> pd.DataFrame:
        time = self.newest.get(f"{pair[:3]}_{timeframe}", self.newest[timeframe])
        dates = [pd.Timestamp(f"2024-03-01 {time}", tz="UTC")] if time else []
        return pd.DataFrame({"date": pd.Series(dates, dtype="datetime64[ms, UTC]")})


@pytest.mark.parametrize(
    ("newest", "late"),
    [
        ({}, []),
        ({"4h": "12:00"}, []),
        ({"4h": "04:00"}, [(BTC, "4h"), (ETH, "4h")]),
        ({"ETH_4h": "04:00"}, [(ETH, "4h")]),
        ({"ETH_1h": "10:00"}, [(ETH, "1h")]),
        ({"ETH_1h": ""}, [(ETH, "1h")]),
    ],
)
def test_late_candles_are_found(newest: dict[str, str], late: list[tuple[str, str]]) -> None:
    # The candle of 11:00 closes at 12:00, and with it the one of 08:00 to 12:00.
    strategy = SimpleNamespace(dp=Candles(**newest))
    last = pd.Timestamp("2024-03-01 11:00", tz="UTC")
    assert late_candles(strategy, BTC, last, CONFIG) == late


def test_longer_candle_is_not_due_before_it_closes() -> None:
    strategy = SimpleNamespace(dp=Candles(**{"1h": "10:00", "4h": "04:00"}))
    last = pd.Timestamp("2024-03-01 10:00", tz="UTC")
    assert late_candles(strategy, BTC, last, CONFIG) == []


class LateExchange:
    """Gives freqtrade's candles that came late when it is asked for them, if it has them."""

    def __init__(self, candles: Candles, has: dict[str, str]) -> None:
        self.candles, self.has = candles, has
        self._pairs_last_poll_time = {(ETH, "4h", "futures"): 1, (BTC, "1h", "futures"): 1}
        self.asked: list[Any] = []

    def refresh_latest_ohlcv(self, missing: list[Any]) -> None:
        self.asked.append(missing)
        self.candles.newest |= self.has


@pytest.mark.parametrize(
    ("has", "still_late"), [({"ETH_4h": "08:00"}, []), ({}, [f"{ETH} 4h"])], ids=["there", "late"]
)
def test_late_candle_is_asked_for_once_more(
    regressor: LiveRegressor, has: dict[str, str], still_late: list[str]
) -> None:
    candles = Candles(ETH_4h="04:00")
    candles._exchange = exchange = LateExchange(candles, has)
    regressor.config = CONFIG | {"candle_type_def": "futures"}
    newest = pd.Timestamp("2024-03-01 11:00", tz="UTC")
    for pair in (BTC, "XRP/USDT:USDT"):
        assert regressor._late_candles(SimpleNamespace(dp=candles), pair, newest) == still_late
    assert exchange.asked == [[(ETH, "4h", "futures")]]
    assert exchange._pairs_last_poll_time == {(BTC, "1h", "futures"): 1}


def test_installed_pandas_joins_candles() -> None:
    check_candles_join()


def test_pandas_that_makes_dates_objects_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def joined(frames: list[pd.DataFrame], **_: Any) -> pd.DataFrame:
        return frames[0].astype({"date": object})

    monkeypatch.setattr(live.pd, "concat", joined)
    with pytest.raises(SettingsError, match=r"makes them object; install pandas>=3\.0,<3\.1"):
        check_candles_join()


def test_names_are_kept_in_python() -> None:
    with pd.option_context("mode.string_storage", "pyarrow"):
        before = pd.DataFrame({"a": [1.0]}).pct_change()
        keep_names_in_python()
        after = pd.DataFrame({"a": [1.0]}).pct_change()
    assert [frame.columns.dtype.storage for frame in (before, after)] == ["pyarrow", "python"]
    pd.testing.assert_frame_equal(before, after, check_column_type=False)
    assert list(pd.concat([before, after])) == ["a"]


@pytest.fixture
def regressor(tmp_path: Path) -> LiveRegressor:
    """A regressor as far as its training thread goes."""
    made = LSTMRegressor.__new__(LSTMRegressor)
    made.incidents = IncidentLog(tmp_path / "incidents.json")
    pairs = {BTC: {"trained_timestamp": 100}, ETH: {"trained_timestamp": 0}}
    made.dd = SimpleNamespace(pair_dict=pairs, current_candle=1)
    made._failed_at = {}
    made._asked_again = {}
    made._stop_event = threading.Event()
    return made


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let FreqAI's own training set the time, then fail."""
    trained = []

    def fail(self: Any, timerange: Any, pair: str, *_: Any) -> None:
        trained.append(pair)
        self.dd.pair_dict[pair]["trained_timestamp"] = 999
        raise OSError("no space left on device")

    monkeypatch.setattr(BasePyTorchRegressor, "extract_data_and_train_model", fail)
    return trained


def train(regressor: LiveRegressor, pair: str) -> None:
    regressor.extract_data_and_train_model(None, pair, None, None, None)


def test_failed_training_keeps_the_age_of_the_former_model(
    regressor: LiveRegressor, trainings: list[str]
) -> None:
    train(regressor, BTC)
    assert regressor.dd.pair_dict[BTC]["trained_timestamp"] == 100
    [incident] = read_incidents(regressor.incidents.path)
    assert (incident.pair, incident.kind, incident.count) == (BTC, "training", 1)
    assert "no space left on device; the former model stays in use" in incident.message


def test_failed_first_training_leaves_no_model(
    regressor: LiveRegressor, trainings: list[str]
) -> None:
    train(regressor, ETH)
    [incident] = read_incidents(regressor.incidents.path)
    assert "it has no model" in incident.message


def test_failed_training_waits_for_the_next_candle(
    regressor: LiveRegressor, trainings: list[str]
) -> None:
    for _ in range(3):
        train(regressor, BTC)
    train(regressor, ETH)
    assert trainings == [BTC, ETH]
    regressor.dd.current_candle = 2
    train(regressor, BTC)
    assert trainings == [BTC, ETH, BTC]
    assert [each.count for each in read_incidents(regressor.incidents.path)] == [2, 1]


def test_log_of_a_failed_training_is_closed(regressor: LiveRegressor, trainings: list[str]) -> None:
    closed = []
    regressor.tb_logger = SimpleNamespace(close=lambda: closed.append(True))
    train(regressor, BTC)
    assert closed == [True]


def test_training_thread_survives_what_freqai_does_not_expect(
    regressor: LiveRegressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = []

    def scan(self: Any, *_: Any) -> None:
        scans.append(True)
        if len(scans) == 3:
            self._stop_event.set()
            return
        raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(BasePyTorchRegressor, "_start_scanning", scan)
    monkeypatch.setattr(regressor._stop_event, "wait", lambda _: None)
    regressor._start_scanning(None)
    assert len(scans) == 3
    [incident] = read_incidents(regressor.incidents.path)
    assert (incident.pair, incident.count) == ("all pairs", 2)


@pytest.mark.parametrize(
    ("known", "torn"), [("10:00", False), ("11:00", False), ("09:00", True), ("08:00", True)]
)
def test_history_with_a_gap_is_downloaded_again(
    regressor: LiveRegressor, monkeypatch: pytest.MonkeyPatch, known: str, torn: bool
) -> None:
    def frame(*times: str) -> pd.DataFrame:
        return pd.DataFrame({"date": pd.to_datetime([f"2024-03-01 {time}Z" for time in times])})

    downloads = []

    def download(_: Any, config: dict[str, Any]) -> None:
        config["startup_candle_count"] *= 2
        downloads.append(config["startup_candle_count"])

    monkeypatch.setattr(roster, "download_all_data_for_training", download)
    monkeypatch.setattr(live, "late_candles", lambda *_: [])
    monkeypatch.setattr(
        live,
        "WindowedDataKitchen",
        lambda *_, **__: SimpleNamespace(check_if_new_training_required=lambda _: (0, 0, 0)),
    )
    monkeypatch.setattr(BasePyTorchRegressor, "start_live", lambda *arguments: arguments[-1])
    regressor.config = CONFIG | {
        "startup_candle_count": 300,
        "exchange": {"pair_whitelist": [BTC]},
        "freqai": {"feature_parameters": {"include_corr_pairlist": []}},
    }
    regressor._roster = roster.Roster(regressor.config)
    regressor.train_queue = deque([BTC])
    regressor.ft_params = {"include_timeframes": ["1h"]}
    regressor.dd.historic_data = {BTC: {"1h": frame("07:00", known)}}
    regressor.dd.history_lock = threading.Lock()
    dp = SimpleNamespace(
        get_pair_dataframe=lambda *_: frame("10:00", "11:00"), current_whitelist=lambda: [BTC]
    )
    for _ in range(2):
        regressor.start_live(frame("11:00"), {"pair": BTC}, SimpleNamespace(dp=dp), None)
    assert downloads == [600] * torn
    assert bool(regressor.dd.historic_data) is not torn
    assert regressor.config["startup_candle_count"] == 300
