"""The report of a finished backtest, from predictions whose skill is known."""

import copy
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from unit_predictions import LABELS, STARTS, Store, prediction_store

from freqai_lstm.cli import parse_arguments
from freqai_lstm.score import RETURN_LABEL, Signals, spread_columns
from freqai_lstm.tools.drawing import extremes
from freqai_lstm.tools.information import Figures, Judgement
from freqai_lstm.tools.report.gather import BacktestReport, gather_report
from freqai_lstm.tools.report.page import write_json, write_page
from freqai_lstm.tools.report.returns import return_verdict
from freqai_lstm.tools.report.verdicts import overall_verdicts, tuning_verdicts
from freqai_lstm.tools.statistics import Estimate

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def shuffled(predicted: pd.DataFrame) -> pd.DataFrame:
    order = np.random.default_rng(3).permutation(len(predicted))
    return predicted.assign(**{name: predicted[name].to_numpy()[order] for name in LABELS})


def constant(predicted: pd.DataFrame) -> pd.DataFrame:
    return predicted.assign(**{name: 1e-3 * predicted[name] for name in LABELS})


def of_score(report: BacktestReport) -> Any:
    [score] = [label for label in report.labels if label.label == "score"]
    return score


def texts(report: BacktestReport) -> str:
    return " ".join(verdict.text for verdict in [*report.verdicts, *of_score(report).verdicts])


def warnings_of(report: BacktestReport, number: int = 0) -> str:
    verdicts = of_score(report).pairs[number].verdicts
    return " ".join(verdict.text for verdict in verdicts if verdict.tone == "warning")


@pytest.fixture
def forecast(config: dict[str, Any]) -> dict[str, Any]:
    config["freqai"]["feature_parameters"]["label_period_candles"] = 6
    return config


def test_true_nowcast_is_no_sign_of_a_forecast(config: dict[str, Any], store: Store) -> None:
    store(BTC, lambda predicted: predicted)
    report = gather_report(config)
    assert "Nowcast: on BTC/USDT:USDT the correlation" in texts(report)
    assert "no sign that the market can be predicted" in texts(report)
    assert of_score(report).verdicts[0].tone == "plain"
    assert "skill" not in warnings_of(report)


def test_shuffled_predictions_are_called_out(config: dict[str, Any], store: Store) -> None:
    store(BTC, shuffled)
    store(ETH, shuffled)
    report = gather_report(config)
    assert "No skill: on average over 2 pairs" in texts(report)
    assert "not distinguishable from chance" in texts(report)
    assert of_score(report).verdicts[0].tone == "warning"
    assert "No skill: on ETH/USDT:USDT" in warnings_of(report, 1)
    assert report.missing_pairs == ["SOL/USDT:USDT"]


def test_half_learned_formula_is_called_out(config: dict[str, Any], store: Store) -> None:
    random = np.random.default_rng(0)
    store(
        BTC,
        lambda rows: rows.assign(**{n: rows[n] + random.normal(size=len(rows)) for n in LABELS}),
    )
    assert "Learned in part" in texts(gather_report(config))


def test_forecast_that_knows_the_future_beats_persistence(
    forecast: dict[str, Any], store: Store
) -> None:
    store(BTC, lambda predicted: predicted, ahead=6)
    report = gather_report(forecast)
    assert "Better than persistence" in texts(report)
    assert of_score(report).verdicts[0].tone == "good"
    assert of_score(report).pairs[0].figures.whole.gain.value > 0.3


def test_forecast_that_repeats_the_present_does_not(forecast: dict[str, Any], store: Store) -> None:
    forecast["freqai"]["feature_parameters"]["label_period_candles"] = 1
    store(BTC, lambda predicted: predicted)
    report = gather_report(forecast)
    assert "Not distinguishable from persistence" in texts(report)
    assert "difference is 0.000" in texts(report)


def test_forecast_below_persistence_is_called_worse(forecast: dict[str, Any], store: Store) -> None:
    store(BTC, lambda predicted: predicted)
    report = gather_report(forecast)
    worse = replace(
        of_score(report).overall, correlation=Estimate(0.3, 0.05), gain=Estimate(-0.2, 0.05)
    )
    verdict = overall_verdicts(worse, [of_score(report).pairs[0].figures], "score", 6)[0]
    assert (verdict.tone, verdict.text.split(":")[0]) == ("warning", "Worse than persistence")


@pytest.mark.parametrize(
    ("tuned_on", "timerange", "warned"),
    [
        ("20230601-20230901", "20230815-20231001", True),
        ("20230601-20230901", "20230101-", True),
        ("20230601-20230901", "20230901-20231001", False),
        ("20230601-20230901", "20230501-20230601", False),
        ("20230601-20230901", "20231001-", False),
        (None, "20230601-20230901", False),
    ],
)
def test_figures_on_candles_that_were_tuned_on_are_called_flattering(
    tuned_on: str | None, timerange: str, warned: bool
) -> None:
    texts = [(verdict.tone, verdict.text) for verdict in tuning_verdicts(tuned_on, timerange)]
    if not warned:
        assert texts == []
        return
    [(tone, text)] = texts
    assert tone == "warning"
    assert "chosen on 20230601-20230901 (freqai.tuned_on)" in text
    assert f"the reported {timerange}. The figures flatter" in text


def test_report_says_first_that_its_candles_were_tuned_on(
    config: dict[str, Any], store: Store
) -> None:
    store(BTC, lambda predicted: predicted)
    config["freqai"]["tuned_on"] = "20240201-20240212"
    report = gather_report(config)
    assert report.verdicts[0].text.startswith("Tuned on these candles: ")
    config["freqai"]["tuned_on"] = "20231101-20240101"
    assert "Tuned on" not in texts(gather_report(config))


def test_returns_that_the_score_knows_of_are_named(forecast: dict[str, Any], store: Store) -> None:
    store(BTC, lambda predicted: predicted)
    report = gather_report(forecast)
    nothing = dict.fromkeys((1, 4, 24), Estimate(0.01, 0.02))
    for value, tone, word in ((0.1, "good", "12 candle(s)"), (-0.1, "warning", "moved against")):
        known = nothing | {12: Estimate(value, 0.02)}
        figures = replace(
            of_score(report).overall, rank_ic=of_score(report).overall.rank_ic | {"model": known}
        )
        verdict = overall_verdicts(figures, [of_score(report).pairs[0].figures], "score", 6)[1]
        assert verdict.tone == tone
        assert word in verdict.text


def test_nearly_constant_predictions_and_thresholds_never_crossed(
    config: dict[str, Any], store: Store
) -> None:
    store(BTC, constant)
    report = gather_report(config)
    assert "The predictions are nearly constant: their standard deviation is 0.1 %" in warnings_of(
        report
    )
    assert "never crosses a threshold" in warnings_of(report)


def test_thresholds_always_crossed(config: dict[str, Any], store: Store) -> None:
    store(BTC, lambda predicted: predicted.assign(**dict.fromkeys(LABELS, 50.0)))
    assert "beyond a threshold on 100.0 %" in warnings_of(gather_report(config))


def test_one_sided_scores(config: dict[str, Any], store: Store) -> None:
    store(BTC, lambda rows: rows.assign(**{name: rows[name].abs() for name in LABELS}))
    assert "never crosses the lower threshold" in warnings_of(gather_report(config))


def test_mostly_unpredicted_candles(config: dict[str, Any], store: Store) -> None:
    store(BTC, lambda rows: rows.assign(do_predict=(rows.index % 4 == 0).astype(int)))
    assert "do_predict is 0 on 75.0 % of the candles" in warnings_of(gather_report(config))


def test_nothing_predicted_at_all(config: dict[str, Any], store: Store, tmp_path: Path) -> None:
    store(BTC, lambda rows: rows.assign(do_predict=0))
    report = gather_report(config)
    assert "Not one candle was predicted" in warnings_of(report)
    assert "No skill" in texts(report)
    write_page(report, tmp_path / "page.html")
    write_json(report, tmp_path / "page.json")


def test_failed_training_is_counted(config: dict[str, Any], store: Store) -> None:
    store(BTC, lambda predicted: predicted)
    folder = config["user_data_dir"] / "models" / "torch-lstm" / "backtesting_predictions"
    (folder / f"cb_btc_{int(STARTS[1].timestamp())}_prediction.feather").unlink()
    assert "1 of 2 training windows have no predictions" in warnings_of(gather_report(config))


def test_return_head_is_judged_where_there_is_one(
    forecast: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    forecast["freqai"]["feature_parameters"]["return_head"] = True
    store(BTC, lambda rows: rows.assign(**{RETURN_LABEL: rows[LABELS[0]]}), ahead=6)
    report = gather_report(forecast)
    assert of_score(report).overall.return_head is not None
    assert "of the return head with" in texts(report)
    assert of_score(report).pairs[0].figures.whole.return_head is not None
    write_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<td>return head</td>") == 2
    [returns] = [label for label in report.labels if label.label == RETURN_LABEL]
    assert returns.returns is not None
    assert "Rank IC: what is known of &amp;-return" in page
    # One pair has no cross section to sum up.
    assert "<h3>Rank correlation of each month</h3>" in page
    assert "summed up</h3>" not in page
    assert "report --ridge" in returns.verdicts[-1].text


def test_forecast_of_returns_is_judged_beside_a_backtest_of_ridge(
    forecast: dict[str, Any], store: Store, candles: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    forecast["freqai"]["feature_parameters"]["return_head"] = True
    linear = copy.deepcopy(forecast)
    linear["freqai"]["identifier"] = "ridge"
    store_ridge = prediction_store(linear, candles)
    for seed, pair in enumerate(forecast["exchange"]["pair_whitelist"]):
        closes = candles(pair).set_index("date")["close"]
        known = (closes.shift(-6) / closes - 1).fillna(0.0).rename(RETURN_LABEL)
        guessed = known.sample(frac=1.0, random_state=seed).set_axis(known.index)
        store(pair, lambda rows, known=known: rows.join(known, on="date"), ahead=6)
        store_ridge(pair, lambda rows, known=guessed: rows.join(known, on="date"), ahead=6)
    report = gather_report(forecast, ridge="ridge")
    [label] = [label for label in report.labels if label.label == RETURN_LABEL]
    assert label.verdicts[-1].tone == "good"
    assert label.verdicts[-1].text.startswith("Skill: the cross-sectional rank IC of the predicted")
    write_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h3>Rank correlation over the pairs, summed up</h3>" in page
    assert "<td>ridge</td>" in page
    write_json(report, tmp_path / "page.json")
    loaded = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))
    returns = loaded["labels"][RETURN_LABEL]["returns"]
    assert list(returns) == ["model", "ridge", "persistence"]
    assert returns["model"]["is_skilled"] is True
    # In units of ATR the pairs rank a little differently.
    assert returns["model"]["figures"]["cross_sectional"]["value"] > 0.7
    assert list(returns["model"]["months"]) == ["2024-02"]
    assert loaded["labels"]["score"]["returns"] is None


@pytest.mark.parametrize(
    ("own", "ridge", "persistence", "tone", "text"),
    [
        (0.05, 0.02, 0.03, "good", "Skill: "),
        (0.05, 0.005, 0.03, "warning", "No skill: "),
        (0.05, -0.02, 0.005, "warning", "No skill: "),
        (0.005, 0.02, 0.03, "warning", "Nothing known of &-return: "),
        (0.05, None, 0.03, "plain", "Not judged yet: "),
    ],
)
def test_skill_on_returns_is_what_neither_ridge_nor_persistence_knows(
    own: float, ridge: float | None, persistence: float, tone: str, text: str
) -> None:
    def figures(value: float) -> Figures:
        nothing = Estimate(math.nan, math.nan)
        return Figures(nothing, nothing, Estimate(value, 0.005), months=3, candles=2000)

    yardsticks = {"ridge": ridge, "persistence": persistence}
    less = {name: figures(value) for name, value in yardsticks.items() if value is not None}
    is_skilled = None
    if ridge is not None:
        is_skilled = all(value > 0.01 for value in (own, ridge, persistence))
    verdict = return_verdict({"model": Judgement(figures(own), less, is_skilled)}, RETURN_LABEL)
    assert verdict.tone == tone
    assert verdict.text.startswith(f"{text}the cross-sectional rank IC of the predicted &-return")
    assert ("less ridge's" in verdict.text) == (ridge is not None)
    if ridge is not None and text == "No skill: ":
        unbeaten = [
            name for name, value in yardsticks.items() if value is not None and value < 0.01
        ]
        assert verdict.text.endswith(f"It must know more than {' and '.join(unbeaten)}.")


def with_errors(spread: float, *, known: bool = True) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Add normal errors of a size that changes, with spreads of that size times a factor."""

    def change(rows: pd.DataFrame) -> pd.DataFrame:
        random = np.random.default_rng(1)
        size = random.choice([0.5, 2.0], (len(rows), 1)) * np.ones(len(LABELS))
        error = size * random.normal(size=size.shape)
        told = size if known else random.permutation(size)
        spreads = pd.DataFrame(spread * told, rows.index, spread_columns(LABELS))
        return rows.assign(
            **{name: rows[name] + error[:, k] for k, name in enumerate(LABELS)}
        ).join(spreads)

    return change


def test_single_network_has_no_word_on_spread(config: dict[str, Any], store: Store) -> None:
    store(BTC, lambda predicted: predicted)
    report = gather_report(config)
    assert of_score(report).overall.spreads == {}
    assert of_score(report).pairs[0].figures.spreads == {}
    assert len(of_score(report).verdicts) == 2


def test_spread_of_the_size_of_the_errors_is_called_so(
    config: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    store(BTC, with_errors(1.0))
    report = gather_report(config)
    overall = of_score(report).overall.spreads["all labels"]
    assert overall.error_ratio == pytest.approx(1, abs=0.1)
    assert overall.within_one == pytest.approx(0.683, abs=0.03)
    assert overall.within_two == pytest.approx(0.954, abs=0.02)
    assert overall.rank_correlation.value > 0.3
    assert "Spread of the size of the errors: out of sample the errors are" in texts(report)
    assert "Errors are larger where the spread is" in texts(report)
    assert "Do not read it as an interval" not in texts(report)
    spreads = of_score(report).pairs[0].figures.spreads
    assert list(spreads) == ["score", "all labels", *LABELS]
    # Errors of components that are independent of each other partly cancel out.
    assert spreads["score"].error_ratio < 0.7
    assert spreads["all labels"] == overall

    write_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<td>&amp;-score_w8</td>" in page
    assert page.count("<h3>Spread against error</h3>") == 1
    write_json(report, tmp_path / "page.json")
    loaded = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))
    assert (
        loaded["labels"]["score"]["overall"]["spreads"]["all labels"]["within_two"]
        == overall.within_two
    )
    assert loaded["labels"]["score"]["pairs"][0]["spreads"]["&-score_w3"].keys() == {
        *("within_one", "within_two", "error_ratio", "rank_correlation")
    }


@pytest.mark.parametrize(("spread", "word"), [(0.5, "too small"), (2.0, "too large")])
def test_badly_calibrated_spread_is_called_out(
    config: dict[str, Any], store: Store, spread: float, word: str
) -> None:
    store(BTC, with_errors(spread))
    [verdict] = [
        each for each in of_score(gather_report(config)).verdicts if "calibrated" in each.text
    ]
    assert verdict.tone == "warning"
    assert verdict.text.startswith(f"Spread {word}, badly calibrated: ")
    assert "of a normal error it would on 68.3 % and 95.4 %. Do not read it" in verdict.text


def test_spread_that_says_nothing_of_the_errors_is_called_out(
    config: dict[str, Any], store: Store
) -> None:
    store(BTC, with_errors(1.0, known=False))
    assert "The spread hardly tells large errors from small ones" in texts(gather_report(config))


def test_spread_of_candles_without_a_prediction_does_not_count(
    config: dict[str, Any], store: Store
) -> None:
    def half(rows: pd.DataFrame) -> pd.DataFrame:
        changed = with_errors(1.0)(rows)
        changed.loc[::2, [*LABELS, *spread_columns(LABELS)]] = 0.0
        return changed.assign(do_predict=rows.index % 2)

    store(BTC, half)
    spread = of_score(gather_report(config)).overall.spreads["all labels"]
    assert spread.error_ratio == pytest.approx(1, abs=0.15)


def test_spread_of_the_return_head_is_judged_too(forecast: dict[str, Any], store: Store) -> None:
    forecast["freqai"]["feature_parameters"]["return_head"] = True
    [spread] = spread_columns([RETURN_LABEL])
    store(BTC, lambda rows: with_errors(1.0)(rows).assign(**{RETURN_LABEL: 0.0, spread: 1e6}))
    figures = of_score(gather_report(forecast)).pairs[0].figures.spreads[RETURN_LABEL]
    assert figures.within_one == 1
    assert figures.error_ratio < 1e-4


def test_faded_thresholds_are_turned_round() -> None:
    assert Signals(0.6, -0.4, fade=False).score_thresholds == (0.6, -0.4)
    assert Signals(0.6, -0.4, fade=True).score_thresholds == (0.4, -0.6)


def test_page_needs_no_network_and_json_has_all_figures(
    forecast: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    store(BTC, lambda predicted: predicted, ahead=6)
    store(ETH, shuffled)
    report = gather_report(forecast)
    write_page(report, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "No skill: on ETH/USDT:USDT" in page
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert re.findall(r"(?:src|href)\s*=\s*\"(?!#|data:)([^\"]*)", own) == ["page.json"]
    assert len(re.findall(r"<script>", page)) == 2
    figures = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert all({"data", "layout"} <= set(json.loads(figure)) for figure in figures)
    # Two of all pairs, and of each pair the time line, the scatter and the calibration.
    assert len(figures) == 2 + 2 * 3
    assert len(page) < 8e6

    write_json(report, tmp_path / "page.json")
    loaded = json.loads((tmp_path / "page.json").read_text(encoding="utf-8"))
    whole = loaded["labels"]["score"]["pairs"][0]["whole"]
    assert whole["forecasts"]["model"]["correlation"]["value"] > 0.9
    assert set(whole["forecasts"]["persistence"]["rank_ic"]) == {"1", "4", "12", "24"}
    assert len(loaded["labels"]["score"]["pairs"][0]["windows"]) == 2
    assert loaded["trading"] is None


def test_figures_of_the_windows_are_of_their_own_candles(
    config: dict[str, Any], store: Store
) -> None:
    later = int(STARTS[1].timestamp())

    def second_reversed(rows: pd.DataFrame) -> pd.DataFrame:
        sign = -1 if rows["date"].iloc[0] == STARTS[1] else 1
        return rows.assign(**{name: sign * rows[name] for name in LABELS})

    store(BTC, second_reversed)
    windows = of_score(gather_report(config)).pairs[0].figures.windows
    values = [window.forecasts["model"].correlation.value for window in windows.values()]
    assert values == pytest.approx([1, -1])
    assert list(windows)[1] == later
    assert [window.candles for window in windows.values()] == [120, 120]


def test_lines_keep_their_extremes() -> None:
    series = pd.Series(np.zeros(10_000))
    series.iloc[[123, 7777]] = [5.0, -5.0]
    drawn = extremes(series, 100)
    assert len(drawn) <= 102
    assert (drawn[123], drawn[7777]) == (5.0, -5.0)
    assert extremes(series.head(50), 100).equals(series.head(50))


def test_windows_without_candles_are_not_missed(config: dict[str, Any], store: Store) -> None:
    store(BTC, lambda predicted: predicted)
    config["timerange"] = "20240210-"
    # The stored candles end with February, four windows after the timerange starts.
    assert "2 of 4 training windows" in warnings_of(gather_report(config))


def test_unreadable_model_costs_its_training_curve_alone(
    config: dict[str, Any], store: Store
) -> None:
    store(BTC, lambda predicted: predicted)
    models = config["user_data_dir"] / "models" / "torch-lstm"
    for start, content in zip(STARTS, (b"no zip", None), strict=True):
        stamp = int(start.timestamp())
        folder = models / f"sub-train-BTC_{stamp}"
        folder.mkdir()
        file = folder / f"cb_btc_{stamp}_model.zip"
        if content is None:
            torch.save({"pytrainer": object}, file)
        else:
            file.write_bytes(content)
    assert gather_report(config).curves == {BTC: []}


def test_report_takes_the_options_of_the_backtest() -> None:
    args = parse_arguments(["report", "-c", "a.json", "--timerange", "20240101-20240201"])
    assert args.output is None
    assert callable(args.run)
