"""Whatever became of a bot's recorded predictions, it goes on, and keeps all that it can."""

from pathlib import Path
from typing import Any

import cloudpickle
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freqai_lstm.bridge.history import mend_history, with_columns
from tests.histories import DAMAGES, Damage, check, load_strategy, recorded


@pytest.fixture(scope="module")
def strategy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_strategy(tmp_path_factory.mktemp("strategy"))


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_bot_goes_on_with_a_damaged_history(strategy: Any, damage: Damage) -> None:
    @settings(max_examples=2, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        check(strategy, [damage], data)

    run()


def write(folder: Path, history: dict[str, pd.DataFrame]) -> Path:
    path = folder / "historic_predictions.pkl"
    path.write_bytes(cloudpickle.dumps(history))
    return path


def test_whole_history_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, {"BTC/USDT": recorded(0)})
    before = path.stat()
    mend_history(path)
    assert path.stat() == before
    assert caplog.records == []


def test_what_is_dropped_stays_beside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = recorded(0)
    second = first.iloc[[3]].assign(do_predict=0.0)
    later = first.iloc[[4]].assign(date_pred=first["date_pred"].iloc[-1] + pd.Timedelta(days=9))
    undated = pd.DataFrame({"&-a": [1.0, 2.0]})
    history = {"BTC/USDT": pd.concat([second, first, later]), "ETH/USDT": undated}
    path = write(tmp_path, history)
    before = path.read_bytes()
    mend_history(path)
    mended = cloudpickle.loads(path.read_bytes())
    assert list(mended) == ["BTC/USDT"]
    # Of two rows of a date the last one stays.
    pd.testing.assert_frame_equal(mended["BTC/USDT"], first)
    [beside] = tmp_path.glob("historic_predictions.pkl.before-mending-*")
    assert beside.read_bytes() == before
    [record] = caplog.records
    assert record.message == (
        f"{path} was mended: dropped 1 row(s) of the future, 1 row(s) of a date that has another "
        f"one, 2 row(s) without a date; as it was it is in {beside.name}"
    )


def test_zeros_of_a_bot_that_was_away_replace_no_prediction(tmp_path: Path) -> None:
    first = recorded(0)
    zeros = first.assign(**dict.fromkeys(first.columns[:-1], 0.0))
    path = write(tmp_path, {"BTC/USDT": pd.concat([first, zeros])})
    mend_history(path)
    pd.testing.assert_frame_equal(cloudpickle.loads(path.read_bytes())["BTC/USDT"], first)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_columns_of_classes_take_texts() -> None:
    frame = pd.DataFrame({"&-numbers": [0.0, 0.0], "&-texts": ["up", "down"]})
    found = with_columns(frame, ["do_predict"], ["&-numbers", "&-texts", "&-new"])
    found.iloc[-1, :] = ["up", "up", 1.0, "up"]
    assert found.to_dict("list") == {
        "&-numbers": [0.0, "up"],
        "&-texts": ["up", "up"],
        "do_predict": [0.0, 1.0],
        "&-new": [0.0, "up"],
    }
