"""The comparison of models: what is planned, and figures of predictions whose skill is known."""

import copy
import json
import shutil
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from freqtrade.exceptions import OperationalException
from unit_predictions import LABELS, prediction_store

from freqai_lstm.bridge.folders import Artefacts, identifier_folder, prediction_file
from freqai_lstm.bridge.kitchen import plan_windows
from freqai_lstm.exceptions import SettingsError, SkillError
from freqai_lstm.score import RETURN_LABEL
from freqai_lstm.tools.evaluate.comparison import PERSISTENCE, Row, _window_correlation, compare
from freqai_lstm.tools.evaluate.plan import (
    Candidate,
    Digests,
    SubRun,
    choose_candidates,
    default_candidates,
    plan_sub_runs,
    read_candidates,
)
from freqai_lstm.tools.evaluate.runs import finished, keep
from freqai_lstm.tools.evaluate.tables import print_comparison
from freqai_lstm.tools.predictions import load_predictions
from freqai_lstm.tools.walk import Outcome
from tests.conftest import ROOT

BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"


@pytest.fixture
def candidates(config: dict[str, Any]) -> list[Candidate]:
    return list(default_candidates(config, is_of_classes=False).values())


def test_models_of_the_default_comparison(candidates: list[Candidate]) -> None:
    lstm, ridge, lightgbm, transformer = candidates
    assert [each.seeds([3, 4]) for each in (lstm, ridge)] == [[3, 4], [3]]
    assert ridge.seeded_parameters(7) == {}
    assert lstm.seeded_parameters(7)["trainer_kwargs"]["seed"] == 7
    assert lstm.seeded_parameters(7)["model_kwargs"] == lstm.parameters["model_kwargs"]
    assert "seed" not in lstm.parameters["trainer_kwargs"]
    assert lightgbm.seeded_parameters(7)["random_state"] == 7
    assert transformer.conv_width == 5


def test_models_are_chosen_by_name(candidates: list[Candidate]) -> None:
    known = {candidate.name: candidate for candidate in candidates}
    assert choose_candidates(known, None) == candidates
    assert choose_candidates(known, ["lightgbm"]) == [candidates[2]]
    with pytest.raises(SettingsError, match=r"--models: must be of lstm, .*, was lstn"):
        choose_candidates(known, ["lstn"])


def test_further_models_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "models.json"
    parameters = {"n_estimators": 5}
    file.write_text(
        json.dumps({"few": {"freqaimodel": "A", "model_training_parameters": parameters}})
    )
    assert read_candidates(file) == {"few": Candidate("few", "A", parameters)}


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"a": 1}', '{"a": {}}', '{"a": {"freqaimodel": "A", "epochs": 1}}']
)
def test_wrong_file_of_models_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "models.json"
    file.write_text(content)
    with pytest.raises(SettingsError, match=r"--candidates .*models\.json"):
        read_candidates(file)
    with pytest.raises(SettingsError, match=r"--candidates .*none\.json"):
        read_candidates(tmp_path / "none.json")


def identifiers(config: dict[str, Any], candidate: Candidate) -> list[str]:
    return [run.identifier for run in plan_sub_runs(config, [candidate], [1, 2], [1, 4])]


def test_each_run_has_an_identifier_of_its_own(
    config: dict[str, Any], candidates: list[Candidate]
) -> None:
    runs = plan_sub_runs(config, candidates, [1, 2], [1, 4])
    assert len({run.identifier for run in runs}) == len(runs) == (3 * 2 + 1) * 2 * 3
    assert runs[0].identifier.startswith("evaluate-lstm-h1-s1-btc-")
    assert runs[0].config["exchange"]["pair_whitelist"] == [BTC]
    assert runs[-1].config["freqai"]["feature_parameters"]["label_period_candles"] == 4
    # The configuration itself stays as it is.
    assert config["freqai"]["identifier"] == "torch-lstm"
    assert config["freqai"]["feature_parameters"]["label_period_candles"] == 0


@pytest.mark.parametrize(
    "change",
    [
        {"timerange": "20240210-20240215"},
        {"freqai": {"train_period_days": 19}},
        {"freqai": {"feature_parameters": {"DI_threshold": 5}}},
    ],
)
def test_whatever_decides_a_result_changes_the_identifier(
    config: dict[str, Any], candidates: list[Candidate], change: dict[str, Any]
) -> None:
    before = identifiers(config, candidates[1])
    assert identifiers(copy.deepcopy(config), candidates[1]) == before
    holder = config
    while isinstance(next(iter(change.values())), dict):
        [(key, change)] = change.items()
        holder = holder[key]
    holder.update(change)
    assert not set(identifiers(config, candidates[1])) & set(before)


def test_other_parameters_and_other_candles_change_the_identifier(
    config: dict[str, Any], candidates: list[Candidate], tmp_path: Path
) -> None:
    before = identifiers(config, candidates[1])
    other = Candidate("lightgbm", "LightGBMRegressorMultiTarget", {"n_estimators": 5})
    assert not set(identifiers(config, other)) & set(before)
    folder = tmp_path / "data"
    (folder / "futures").mkdir(parents=True)
    for file in (config["datadir"] / "futures").iterdir():
        candles = pd.read_feather(file)
        candles.loc[candles.index[-1], "close"] *= 1.01
        candles.to_feather(folder / "futures" / file.name)
    config["datadir"] = folder
    assert not set(identifiers(config, candidates[1])) & set(before)


@pytest.fixture
def code_of(config: dict[str, Any], tmp_path: Path) -> Callable[[str, str], str]:
    """Give the digest of the strategy's code with one text in its file replaced."""
    source = (ROOT / "user_data" / "strategies" / "ExampleLSTMStrategy.py").read_text("utf-8")
    config["strategy_path"] = str(tmp_path)

    def digest(old: str, new: str) -> str:
        assert old in source
        changed = source.replace(old, new)
        (tmp_path / "ExampleLSTMStrategy.py").write_text(changed, encoding="utf-8")
        return Digests(config).code(Candidate("other", "OtherModel", {}))

    return digest


def test_only_features_and_labels_of_the_strategy_count(code_of: Callable[[str, str], str]) -> None:
    before = code_of("stoploss", "stoploss")
    for old, new in (
        ("stoploss = -0.06", "stoploss = -0.05"),
        ("# Wider than", "# No wider than"),
        ('"""Add the features of each timeframe', '"""Add what each timeframe gives'),
        ("return trusted & above", "return trusted | above"),
    ):
        assert code_of(old, new) == before
    for old, new in (
        ("pct_change()", "pct_change(2)"),
        ("score_labels(dataframe,", "1 + score_labels(dataframe,"),
        ("startup_candle_count = 300", "startup_candle_count = 299"),
    ):
        assert code_of(old, new) != before


def test_unknown_strategy_is_named(config: dict[str, Any], candidates: list[Candidate]) -> None:
    config["strategy"] = "NoStrategy"
    with pytest.raises(OperationalException, match="NoStrategy"):
        plan_sub_runs(config, candidates, [1], [1])


def test_code_of_the_package_counts_for_its_own_models_alone(
    config: dict[str, Any], candidates: list[Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [identifiers(config, candidate) for candidate in candidates]
    monkeypatch.setattr("freqai_lstm.tools.evaluate.plan.package_digest", lambda: "another")
    lstm, ridge, *others = (identifiers(config, candidate) for candidate in candidates)
    assert not {*lstm, *ridge} & {*before[0], *before[1]}
    assert others == before[2:]


def test_missing_candles_are_named(config: dict[str, Any], candidates: list[Candidate]) -> None:
    config["exchange"]["pair_whitelist"] = ["XRP/USDT:USDT"]
    with pytest.raises(SettingsError, match=r"must hold 1h candles of XRP/USDT:USDT, had none"):
        plan_sub_runs(config, candidates, [1], [1])


@pytest.fixture
def sub_runs(config: dict[str, Any], candles: Any) -> list[SubRun]:
    """Finished runs of two pairs at h = 6: a model that knows half, two seeds; one that guesses."""
    config["freqai"]["feature_parameters"].update(label_period_candles=6, return_head=True)
    runs = []
    for pair in (BTC, ETH):
        for model, seed in (("half", 1), ("half", 2), ("guess", 1)):
            own = copy.deepcopy(config)
            own["freqai"]["identifier"] = f"{model}-{seed}-{pair[:3]}"
            own["exchange"]["pair_whitelist"] = [pair]
            random = np.random.default_rng([seed, ord(pair[0])])
            known = {"half": 1.0, "guess": 0.0}[model]

            def noisy(rows: pd.DataFrame, random: Any = random, known: float = known) -> Any:
                size = (len(rows), len(LABELS))
                values = known * rows[LABELS].to_numpy() + random.normal(size=size) * 5
                labels = dict(zip(LABELS, values.T, strict=True))
                return rows.assign(**labels, **{RETURN_LABEL: values[:, 0]})

            prediction_store(own, candles)(pair, noisy, ahead=6)
            runs.append(SubRun(model, seed, 6, pair, own))
    return runs


def row_of(rows: list[Row], pair: str, model: str) -> Row:
    return next(row for row in rows if (row.pair, row.model) == (pair, model))


def test_model_that_knows_something_ranks_above_guessing(sub_runs: list[SubRun]) -> None:
    rows = compare(sub_runs, only="score").rows
    models = ["half", "half, seeds averaged", "guess", PERSISTENCE]
    assert [(row.pair, row.model) for row in rows] == [
        (pair, model) for pair in (BTC, ETH, "mean") for model in models
    ]
    half, averaged, guess, persistence = (row_of(rows, "mean", model) for model in models)
    correlations = [row.figures["correlation"].mean for row in (averaged, half, guess)]
    assert correlations == sorted(correlations, reverse=True)
    assert correlations[1] > 0.3 > abs(correlations[2])
    assert half.gain.value == pytest.approx(
        correlations[1] - persistence.figures["correlation"].mean
    )
    assert half.gain.differs_from_zero
    assert half.figures["correlation"].std > 0
    assert np.isnan(guess.figures["correlation"].std)
    assert persistence.gain.value == 0
    assert np.isnan(persistence.figures["return_rank_ic"].mean)
    assert not np.isnan(half.figures["return_rank_ic"].mean)
    mean = np.mean([row_of(rows, pair, "half").figures["r_squared"].mean for pair in (BTC, ETH)])
    assert half.figures["r_squared"].mean == pytest.approx(mean)


def test_correlation_of_a_window_is_the_mean_over_the_windows(sub_runs: list[SubRun]) -> None:
    run = sub_runs[0]
    [pair] = load_predictions(run.config)["score"]
    rows = pair.candles[pair.trusted]
    # The second window errs, and counts for little or much as its scores are small or large.
    wild = rows["window"] == rows["window"].max()
    rows.loc[wild, "true"] *= -100
    expected = [own["predicted"].corr(own["true"]) for _, own in rows.groupby("window")]
    assert expected[0] > 0 > expected[1]
    assert _window_correlation(rows) == pytest.approx(np.mean(expected))
    assert rows["predicted"].corr(rows["true"]) < expected[1] / 2
    assert np.isnan(_window_correlation(rows.assign(true=1.0)))
    [row] = [row for row in compare([run], only="score").rows if row.model == run.candidate]
    assert row.figures["window_correlation"].mean == pytest.approx(
        _window_correlation(rows.assign(true=pair.candles["true"]))
    )


def test_models_are_compared_on_the_candles_that_all_predicted(sub_runs: list[SubRun]) -> None:
    folder = Path(sub_runs[0].config["user_data_dir"]) / "models" / "guess-1-BTC"
    for file in (folder / "backtesting_predictions").iterdir():
        rows = pd.read_feather(file)
        rows.assign(do_predict=(rows.index >= 100).astype(int)).to_feather(file)
    rows = compare(sub_runs).rows
    assert {row.label for row in rows} >= {"score", "&-score_w0", "&-score_w8"}
    assert {row.candles for row in rows if row.pair == BTC} == {40}
    assert {row.candles for row in rows if row.pair == ETH} == {240}
    assert {row.candles for row in rows if row.pair == "mean"} == {280}


def of_three_pairs(sub_runs: list[SubRun]) -> list[SubRun]:
    """Give the runs of the first pair to a third one as well, and call guessing ridge."""
    more = []
    for run in sub_runs:
        if run.pair == BTC:
            config = copy.deepcopy(dict(run.config))
            config["exchange"]["pair_whitelist"] = [SOL]
            folder = identifier_folder(config) / "backtesting_predictions"
            for file in [*folder.iterdir()]:
                shutil.copy(file, folder / file.name.replace("_btc_", "_sol_"))
            more.append(replace(run, pair=SOL, config=config))
    names = {"guess": "ridge"}
    return [
        replace(run, candidate=names.get(run.candidate, run.candidate)) for run in sub_runs + more
    ]


def test_information_on_returns_stands_beside_ridge_and_persistence(
    sub_runs: list[SubRun], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = of_three_pairs(sub_runs)
    comparison = compare(runs, only=RETURN_LABEL)
    rows = {row.model: row for row in comparison.information()}
    assert list(rows) == ["half", "half, seeds averaged", "ridge", PERSISTENCE]
    half, ridge = rows["half"].judgement, rows["ridge"].judgement
    assert (rows["half"].label, rows["half"].horizon) == (RETURN_LABEL, 6)
    assert len(rows["half"].seeds) == 2
    assert half.figures.cross_sectional.value == pytest.approx(np.mean(rows["half"].seeds))
    assert half.figures.candles == ridge.figures.candles > 200
    assert list(half.less) == ["ridge", PERSISTENCE]
    difference = half.figures.cross_sectional.value - ridge.figures.cross_sectional.value
    assert half.less["ridge"].cross_sectional.value == pytest.approx(difference)
    assert (half.is_skilled, ridge.is_skilled) == (False, None)
    of_ridge = [
        load_predictions(run.config, only=RETURN_LABEL)[RETURN_LABEL][0]
        for run in runs
        if run.candidate == "ridge"
    ]
    both = [
        pd.DataFrame({pair.pair: pair.candles[name].where(pair.trusted) for pair in of_ridge})
        for name in ("predicted", "true")
    ]
    by_hand = both[0].corrwith(both[1], axis=1, method="spearman").mean()
    assert ridge.figures.cross_sectional.value == pytest.approx(by_hand)

    print_comparison(comparison.rows, comparison.information(), [RETURN_LABEL], "20240210-20240220")
    output = capsys.readouterr().out
    assert f"INFORMATION ON {RETURN_LABEL}, 20240210-20240220" in output
    assert str(half.less["ridge"].cross_sectional) in output
    assert "What beats LightGBM alone is no skill" in output
    assert compare(runs[:1], only="score").information() == []


def outcome_of(run: SubRun) -> Outcome:
    """Return what would have come of a run, from the predictions that are there."""
    outcome = Outcome(core_seconds=1.5)
    for window in plan_windows(dict(run.config), run.pair):
        file = prediction_file(identifier_folder(run.config), run.pair, window.start)
        outcome.artefacts[window.model_filename] = Artefacts({}, file.read_bytes())
    return outcome


def ended(result: Outcome | BaseException) -> "Future[Outcome]":
    future: Future[Outcome] = Future()
    if isinstance(result, Outcome):
        future.set_result(result)
    else:
        future.set_exception(result)
    return future


def test_finished_run_is_kept_with_its_cost(sub_runs: list[SubRun]) -> None:
    run = sub_runs[0]
    before = [row for row in compare(sub_runs).rows if row.pair == BTC]
    assert finished(run) is None
    assert keep(run, ended(outcome_of(run))) == {"trainings": 2, "core_seconds": 1.5}
    assert finished(run) == {"trainings": 2, "core_seconds": 1.5}
    assert repr([row for row in compare(sub_runs).rows if row.pair == BTC]) == repr(before)


def test_run_with_a_failed_training_is_refused_and_tried_again(sub_runs: list[SubRun]) -> None:
    run = sub_runs[0]
    outcome = outcome_of(run)
    first, second = outcome.artefacts
    failed = Outcome({first: outcome.artefacts[first]}, {second: "ValueError: no such feature"})
    message = r"half-1-BTC: .* ends 2024-02-15 00:00:00 has none: ValueError: no such feature$"
    with pytest.raises(SkillError, match=message):
        keep(run, ended(failed))
    rows = pd.read_feather(BytesIO(outcome.artefacts[second].prediction)).assign(do_predict=0)
    rows.to_feather(unpredicted := BytesIO())
    outcome.artefacts[second] = Artefacts({}, unpredicted.getvalue())
    with pytest.raises(SkillError, match="has none: no candle could be predicted"):
        keep(run, ended(outcome))
    with pytest.raises(SkillError, match="half-1-BTC: the worker process was killed"):
        keep(run, ended(BrokenExecutor("killed")))
    with pytest.raises(RuntimeError, match="something else"):
        keep(run, ended(RuntimeError("something else")))
    assert finished(run) is None
