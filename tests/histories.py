"""A bot whose recorded predictions were damaged, for tests of what it does then."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
from freqtrade.freqai.data_kitchen import FreqaiDataKitchen
from freqtrade.resolvers import StrategyResolver
from hypothesis import strategies as st

from freqai_lstm.bridge.drawer import SafeDataDrawer, salvage_folder
from freqai_lstm.bridge.folders import HISTORY, HISTORY_BACKUP
from freqai_lstm.bridge.incidents import IncidentLog
from freqai_lstm.regressor import MODEL_TIMESTAMP, LSTMRegressor
from freqai_lstm.score import LABELS
from tests.conftest import make_config

PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT"]
CANDLES, RECORDED, SEEN = 30, 24, 20
HOUR = pd.Timedelta(hours=1)
NEWEST = pd.Timestamp.now("UTC").floor("h") - 5 * HOUR
DATES = pd.date_range(end=NEWEST, periods=CANDLES, freq="h").as_unit("ms")


def candles(until: int) -> pd.DataFrame:
    """Return the candles that the exchange gives: fewer than are recorded."""
    prices = dict.fromkeys(["open", "high", "low", "close"], 100.0)
    return pd.DataFrame({"date": DATES[until - SEEN : until], **prices, "volume": 1.0})


@cache
def recorded(seed: int) -> pd.DataFrame:
    """Return what FreqAI records: predictions, of which a bot that was away lacks some."""
    rng = np.random.default_rng(seed)
    # Whole numbers, so that a column of them is the same in any form.
    frame = pd.DataFrame({name: rng.integers(-9, 9, RECORDED) + 0.0 for name in LABELS})
    for name in LABELS:
        frame[f"{name}_mean"], frame[f"{name}_std"] = 0.0, 1.0
    frame["do_predict"], frame["DI_values"] = 1.0, 0.5
    frame[MODEL_TIMESTAMP] = 1.7e9
    frame[["high_price", "low_price", "close_price"]] = 100.0
    away = slice(8, 10)
    frame.loc[away, :] = 0.0
    frame["date_pred"] = DATES[:RECORDED]
    return frame


Damage = Callable[[pd.DataFrame, st.DataObject], pd.DataFrame]


def rows_of(frame: pd.DataFrame, data: st.DataObject, most: int = 4) -> list[int]:
    """Draw some rows."""
    if frame.empty:
        return []
    rows = st.integers(0, len(frame) - 1)
    return data.draw(st.lists(rows, min_size=min(2, len(frame)), max_size=most, unique=True))


def duplicates(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    return pd.concat([frame, frame.iloc[rows_of(frame, data)]], ignore_index=True)


def fillers(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    """Double rows as the zeros that FreqAI fills in."""
    zeros = frame.iloc[rows_of(frame, data)].copy()
    zeros[[name for name in zeros if name != "date_pred"]] = 0.0
    return pd.concat([frame, zeros], ignore_index=True)


def gaps(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    lost = rows_of(frame, data, 20)
    return frame.iloc[[row for row in range(len(frame)) if row not in lost]]


def disorder(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    return frame.iloc[data.draw(st.permutations(range(len(frame))))]


def time_zones(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    zones = st.sampled_from([None, "UTC", "Asia/Tokyo", "America/New_York"])
    utc = pd.to_datetime(frame["date_pred"], utc=True)
    forms = data.draw(st.lists(st.tuples(zones, st.booleans()), min_size=2, max_size=3))
    dates = [
        str(date.tz_convert(zone)) if text else date.tz_convert(zone)
        for date, (zone, text) in zip(utc, forms * len(frame), strict=False)
    ]
    return frame.assign(date_pred=pd.Series(dates, frame.index, dtype=object))


def one_time_zone(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    zone = data.draw(st.sampled_from([None, "Asia/Tokyo"]))
    unit = data.draw(st.sampled_from(["s", "ms", "ns"]))
    dates = frame["date_pred"].dt.tz_convert(zone).dt.as_unit(unit)
    return frame.assign(date_pred=dates)


def no_date(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    undated = np.isin(np.arange(len(frame)), rows_of(frame, data))
    return frame.assign(date_pred=frame["date_pred"].mask(undated))


def future(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    late = frame.iloc[-1:].assign(date_pred=NEWEST + data.draw(st.integers(8, 9000)) * HOUR)
    return pd.concat([frame, late.astype({"date_pred": frame["date_pred"].dtype})])


def whole_numbers(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    numbers = [name for name in frame if name != "date_pred"]
    names = data.draw(st.just(numbers) | st.lists(st.sampled_from(numbers), min_size=1))
    return frame.astype(dict.fromkeys(names, data.draw(st.sampled_from(["int64", "object"]))))


def no_label(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    lost = [*LABELS, f"{LABELS[0]}_mean", "do_predict", "DI_values", MODEL_TIMESTAMP, "high_price"]
    return frame.drop(columns=data.draw(st.lists(st.sampled_from(lost), min_size=1, unique=True)))


def no_dates(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    return frame.drop(columns="date_pred")


def doubled_columns(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    name = data.draw(st.sampled_from(list(frame)))
    return pd.concat([frame, frame[[name]]], axis=1)


def older_columns(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    return frame.assign(**{"&-score": 1.0, "&-score_mean": 0.0})


def nothing(frame: pd.DataFrame, data: st.DataObject) -> pd.DataFrame:
    return frame.iloc[:0]


# Each works on what those before it leave.
DAMAGES: list[Damage] = [
    *(nothing, duplicates, fillers, gaps, disorder, no_date, future),
    *(older_columns, no_label, whole_numbers),
    *(one_time_zone, time_zones, doubled_columns, no_dates),
]


class Bot:
    """FreqAI's live loop as far as it has to do with recorded predictions.

    :param folder: The identifier's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.config = {
            "user_data_dir": folder,
            "timeframe": "1h",
            "exchange": {"pair_whitelist": PAIRS},
            "freqai": {
                "identifier": "live",
                "expiration_hours": 0,
                "feature_parameters": {"include_corr_pairlist": [], "DI_threshold": 1},
            },
        }
        salvage_folder(folder)
        self.regressor = LSTMRegressor.__new__(LSTMRegressor)
        self.regressor.freqai_info = self.config["freqai"]
        self.regressor.live, self.regressor.CONV_WIDTH = True, 1
        self.regressor.metadata = {"start_dry_live_date": 1}
        self.regressor.predict = self.predict  # type: ignore[method-assign]
        incidents = IncidentLog(folder / "incidents.json")
        self.drawer = self.regressor.dd = SafeDataDrawer(folder, self.config, incidents)

    def predict(self, frame: pd.DataFrame, *_: Any, **__: Any) -> tuple[pd.DataFrame, Any]:
        """Predict a fall, by a number that no whole one is."""
        self.regressor.dk.DI_values = np.zeros(len(frame))
        predictions = pd.DataFrame(-9.5, range(len(frame)), LABELS)
        return predictions, np.ones(len(frame), dtype=np.int_)

    def analyse(self, pair: str, frame: pd.DataFrame) -> pd.DataFrame:
        kitchen = FreqaiDataKitchen(self.config, True, pair)
        kitchen.label_list = LABELS
        kitchen.data = {
            "labels_mean": dict.fromkeys(LABELS, 0.25),
            "labels_std": dict.fromkeys(LABELS, 0.75),
            "extra_returns_per_train": {MODEL_TIMESTAMP: 1_800_000_000},
        }
        self.regressor.dk = kitchen
        self.regressor.build_strategy_return_arrays(frame, kitchen, pair, 1)
        return kitchen.return_dataframe


def load_strategy(folder: Path) -> Any:
    """Load the example strategy, with an empty folder for its user directory."""
    found = StrategyResolver.load_strategy(make_config(folder, folder))
    found.ft_load_hyper_params()
    return found


def exits(strategy: Any, frame: pd.DataFrame) -> pd.Series:
    """Return the exits of long trades."""
    components = {name.replace("&-score_", "component_"): 0.0 for name in LABELS}
    frame = frame.assign(volatility=0.5, relative_volatility=1.0, **components)
    frame = strategy.populate_entry_trend(frame, {"pair": PAIRS[0]})
    return strategy.populate_exit_trend(frame, {"pair": PAIRS[0]})["exit_long"]


def check(strategy: Any, damages: list[Damage], data: st.DataObject) -> None:
    """Let a bot start with a damaged file, analyse candles and exit, and start once more."""
    whole = {pair: recorded(seed) for seed, pair in enumerate(PAIRS)}
    damaged = dict(whole)
    for damage in sorted(damages, key=DAMAGES.index):
        damaged = {pair: damage(frame, data) for pair, frame in damaged.items()}
    content = cloudpickle.dumps(damaged)
    # In the candle that is the newest one of the file, or after some.
    start = data.draw(st.sampled_from([RECORDED, CANDLES - 1]))
    truncated = data.draw(st.none() | st.integers(0, len(content) - 1))
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / HISTORY).write_bytes(content[:truncated])
        (folder / HISTORY_BACKUP).write_bytes(content)
        bot = Bot(folder)
        mended = (folder / HISTORY).read_bytes()
        for until in (start, start + 1):
            for pair in PAIRS:
                analysed = bot.analyse(pair, candles(until))
                check_predicted(analysed, until)
                # What of a row is still right after several damages, nobody knows.
                if len(damages) == 1:
                    check_kept(whole[pair], damaged[pair], analysed.iloc[: SEEN - 2])
        assert exits(strategy, analysed).iloc[-1] == 1
        salvage_folder(folder)
        assert (folder / HISTORY).read_bytes() == mended
        bot.drawer.save_historic_predictions_to_disk()
        check_predicted(Bot(folder).analyse(PAIRS[0], candles(start + 1)), start + 1)


def check_predicted(analysed: pd.DataFrame, until: int) -> None:
    """Check that the newest candle has its prediction, with all that belongs to it."""
    assert analysed["date"].equals(candles(until)["date"])
    last = analysed.iloc[-1]
    assert last["do_predict"] == 1
    assert last[LABELS].tolist() == [-9.5] * len(LABELS)
    assert (last[f"{LABELS[0]}_mean"], last[MODEL_TIMESTAMP]) == (0.25, 1_800_000_000)


def check_kept(whole: pd.DataFrame, damaged: pd.DataFrame, analysed: pd.DataFrame) -> None:
    """Check that the strategy sees each recorded prediction that is in the file."""
    damaged = damaged.loc[:, ~damaged.columns.duplicated()]
    if "date_pred" not in damaged:
        return
    dates = [pd.to_datetime(date, utc=True) for date in damaged["date_pred"]]
    kept = whole["date_pred"].isin(dates) & whole["date_pred"].isin(analysed["date"])
    expected = whole[kept & (whole["high_price"] > 0)]
    found = analysed.set_index("date").loc[expected["date_pred"]]
    for label in damaged.columns.intersection(LABELS):
        assert found[label].tolist() == expected[label].tolist()
