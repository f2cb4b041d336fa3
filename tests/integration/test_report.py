"""The report of a real walk-forward run, with and without anything to learn."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from freqai_lstm.tools.report.gather import gather_report
from tests.conftest import PAIRS
from tests.integration.conftest import Backtest

BTC = PAIRS[0]

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")


def test_model_that_learned_the_score_is_a_nowcast(config: dict[str, Any]) -> None:
    Backtest(config).run(BTC)
    report = gather_report(config)
    [label] = report.labels
    assert label.verdicts[0].text.startswith(("Nowcast:", "Learned in part:"))
    # The curves of both trainings come from the saved models.
    # The second one started from the first.
    assert [curve.epochs for curve in report.curves[BTC]] == [8, 1]
    assert all(1 <= curve.best_epoch <= 8 for curve in report.curves[BTC])


def test_model_trained_on_shuffled_labels_has_no_skill(config: dict[str, Any]) -> None:
    backtest = Backtest(config)
    labelled = type(backtest.strategy).set_freqai_targets

    def shuffled(frame: pd.DataFrame, metadata: dict[str, Any], **kwargs: Any) -> pd.DataFrame:
        frame = labelled(backtest.strategy, frame, metadata, **kwargs)
        labels = [column for column in frame if column.startswith("&")]
        defined = frame[labels].notna().all(axis="columns")
        order = np.random.default_rng(0).permutation(int(defined.sum()))
        frame.loc[defined, labels] = frame.loc[defined, labels].to_numpy()[order]
        return frame

    backtest.strategy.set_freqai_targets = shuffled
    backtest.run(BTC)
    report = gather_report(config)
    [label] = report.labels
    assert label.verdicts[0].tone == "warning"
    assert label.verdicts[0].text.startswith("No skill: on BTC/USDT:USDT")
