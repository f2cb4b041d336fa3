"""The search: what it tries, keeps, gives up and goes on with; its trainings are pretended."""

import argparse
import json
import re
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState
from unit_predictions import LABELS, prediction_store

from freqai_lstm.bridge.configuration import read_settings
from freqai_lstm.exceptions import SettingsError, SkillError
from freqai_lstm.score import RETURN_LABEL
from freqai_lstm.tools.evaluate.plan import SubRun
from freqai_lstm.tools.evaluate.runs import Runner
from freqai_lstm.tools.luck import count_luck
from freqai_lstm.tools.pool import Job
from freqai_lstm.tools.predictions import PairPredictions, load_predictions
from freqai_lstm.tools.truths import Truths
from freqai_lstm.tools.tune import cli
from freqai_lstm.tools.tune.plan import NAMES, TuningPlan, overlay, search_space, tried
from freqai_lstm.tools.tune.study import open_study, study_file
from freqai_lstm.tools.tune.windows import scores_of_pair, search_luck, window_scores
from tests.pools import InlinePool

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
BEST_LAYERS = 2
FRACTIONS = {"dropout_percent", "learning_rate", "weight_decay", "linear_share"}


@pytest.fixture
def walked(
    config: dict[str, Any], candles: Any, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[str, int]]:
    """Predict with more noise the further the layers are from the best; list pairs and layers."""
    done: list[tuple[str, int]] = []

    def walk(run: SubRun) -> None:
        parameters = run.config["freqai"]["model_training_parameters"]
        layers = parameters["model_kwargs"]["num_lstm_layers"]
        done.append((run.pair, layers))
        if layers == 4:
            raise SkillError("its training failed")
        random = np.random.default_rng([run.seed, layers])

        def noisy(rows: pd.DataFrame) -> pd.DataFrame:
            noise = random.normal(size=(len(rows), len(LABELS)))
            values = rows[LABELS].to_numpy() + 3 * abs(layers - BEST_LAYERS) * noise
            labels = dict(zip(LABELS, values.T, strict=True))
            return rows.assign(**labels, **{RETURN_LABEL: values[:, 0]})

        prediction_store(dict(run.config), candles)(run.pair, noisy, ahead=run.horizon)

    monkeypatch.setattr(Runner, "job", lambda self, run: Job(run, (walk, run)))
    monkeypatch.setattr("freqai_lstm.tools.tune.study.keep", lambda run, future: future.result())
    monkeypatch.setattr(cli, "open_pool", lambda *_, **__: InlinePool())
    monkeypatch.setattr(cli.command, "freqai_configuration", lambda options: config)
    config["exchange"]["pair_whitelist"] = [BTC]
    config["freqai"]["feature_parameters"]["label_period_candles"] = 4
    return done


def arguments(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    needed = ["-c", "config.json", "--timerange", "20240210-20240220"]
    return parser.parse_args([*needed, "--parameters", "num_lstm_layers", *options])


def make_plan(config: dict[str, Any], **changes: Any) -> TuningPlan:
    usual = {"name": "study", "label": "score", "objective": "correlation", "seeds": [1]}
    space = search_space(["num_lstm_layers"])
    return TuningPlan(config=config, **{**usual, "space": space, **changes})


def trials(config: dict[str, Any], *states: TrialState) -> list[optuna.trial.FrozenTrial]:
    file = study_file(make_plan(config))
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{file}")
    return study.get_trials(states=states or None)


# The space


def test_values_of_a_trial_take_the_place_of_the_configured_ones(config: dict[str, Any]) -> None:
    parameters = config["freqai"]["model_training_parameters"]
    parameters["model_kwargs"]["linear_share"] = 0.4
    parameters["trainer_kwargs"]["huber_delta"] = {LABELS[0]: 0.5, RETURN_LABEL: 2.0}
    plan = make_plan(config, space=search_space(NAMES, [10, 20], RETURN_LABEL))
    values = plan.configured()
    assert values is not None
    assert set(values) == {*NAMES, "train_period_days"}
    assert values["huber_delta"] == 2.0
    # What the configuration leaves out has its default.
    assert values["weight_decay"] == 0.01
    others = {name: value / 2 if name in FRACTIONS else 7 for name, value in values.items()}
    changed = make_plan({**config, "freqai": tried(config["freqai"], plan.space, others)})
    assert replace(changed, space=plan.space).configured() == others
    assert plan.configured() == values
    # Of the other label there is nothing to search.
    trained = changed.config["freqai"]["model_training_parameters"]["trainer_kwargs"]
    assert trained["huber_delta"] == {LABELS[0]: 0.5, RETURN_LABEL: 7}
    found = overlay("found", "20240210-20240220", plan.space, others)["freqai"]
    found_trainer = found["model_training_parameters"]["trainer_kwargs"]
    assert found_trainer["huber_delta"] == {RETURN_LABEL: 7}


def test_hubers_error_is_searched_where_named_and_has_no_configured_value_where_off(
    config: dict[str, Any],
) -> None:
    assert "huber_delta" not in {parameter.name for parameter in search_space()}
    plan = make_plan(config, space=search_space(["huber_delta"], label=RETURN_LABEL))
    assert plan.configured() is None
    read_settings(tried(config["freqai"], plan.space, {"huber_delta": 0.3}), 3600)


def test_epochs_take_the_place_of_steps(config: dict[str, Any]) -> None:
    trainer = config["freqai"]["model_training_parameters"]["trainer_kwargs"]
    trainer.update(n_steps=100, n_epochs=None)
    space = search_space(["n_epochs"])
    assert make_plan(config, space=space).configured() is None
    read_settings(tried(config["freqai"], space, {"n_epochs": 3}), 3600)
    block = overlay("found", "20240210-20240220", space, {"n_epochs": 3})
    assert block["freqai"]["model_training_parameters"] == {
        "trainer_kwargs": {"n_epochs": 3, "n_steps": None}
    }


def test_wrong_spaces_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"--parameters: must be of window_size, .* was widow"):
        search_space(["widow"])
    with pytest.raises(SettingsError, match=r"--train-period-days: .* was 20 10"):
        search_space(train_period_days=[20, 10])
    with pytest.raises(SettingsError, match=r"huber_delta needs a label .*, was of the score"):
        search_space(["huber_delta"])


# The search


def test_best_value_is_found_and_given_to_paste(
    walked: list[tuple[str, int]], config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config["freqai"]["model_training_parameters"]["model_kwargs"]["num_lstm_layers"] = 1
    assert cli.run_tune(arguments("--trials", "4")) == 0
    assert len(walked) == 4
    best = max(trials(config), key=lambda trial: trial.value)
    assert best.params == {"num_lstm_layers": BEST_LAYERS}
    assert best.value > 0.9
    assert set(best.user_attrs["pairs"]) == {BTC}
    output = capsys.readouterr().out
    assert "CORRELATION OF score, 20240210-20240220" in output
    assert "4 trials finished, 0 given up early, 0 failed" in output
    assert "Deflated Sharpe ratio " in output
    # The two windows of this range are too few to halve them.
    assert "overfitting not defined, it needs 2 trials and 4 training windows" in output
    [block] = re.findall(r"^\{.*^\}", output, re.MULTILINE | re.DOTALL)
    section = json.loads(block)["freqai"]
    assert section["tuned_on"] == "20240210-20240220"
    assert section["identifier"] == "torch-lstm-study"
    assert section["model_training_parameters"]["model_kwargs"] == best.params


def test_trial_keeps_its_spread_its_windows_and_its_gain_over_persistence(
    walked: list[tuple[str, int]], config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    by_window: list[pd.Series] = []

    def seen(runs: list[SubRun], truths: Truths, label: str, objective: str) -> dict[str, Any]:
        for run in runs:
            [pair] = load_predictions(run.config, truths)["score"]
            for window, rows in pair.candles[pair.trusted].groupby("window"):
                by_window.append(pd.Series({str(window): rows["predicted"].corr(rows["true"])}))
        return window_scores(runs, truths, label, objective)

    monkeypatch.setattr("freqai_lstm.tools.tune.study.window_scores", seen)
    config["exchange"]["pair_whitelist"].append(ETH)
    config["freqai"]["model_training_parameters"]["model_kwargs"]["num_lstm_layers"] = 3
    assert cli.run_tune(arguments("--trials", "1", "--seeds", "1", "2")) == 0
    assert walked == [(BTC, 3), (BTC, 3), (ETH, 3), (ETH, 3)]
    [trial] = trials(config)
    kept = trial.user_attrs
    assert kept["seed_std"] > 0
    assert trial.value == pytest.approx(kept["correlation"])
    assert trial.value == pytest.approx(np.mean(list(kept["pairs"].values())))
    assert kept["gain"] == pytest.approx(kept["correlation"] - kept["persistence"])
    assert kept["gain_error"] > 0
    # Two windows, each with two pairs and seeds.
    assert len(by_window) == 8
    expected = pd.concat(by_window).groupby(level=0).mean()
    assert kept["windows"] == pytest.approx(expected.to_dict())


@pytest.mark.parametrize("objective", ["correlation", "return-rank-ic", "log-loss"])
def test_windows_are_scored_by_the_objective(objective: str) -> None:
    random = np.random.default_rng(0)
    dates = pd.date_range("2024-01-01", periods=60, freq="h", tz="UTC")
    closes = pd.Series(100 + random.normal(size=60).cumsum(), dates)
    candles = pd.DataFrame(random.normal(size=(60, 3)), dates, ["predicted", "present", "true"])
    candles["predicted_return"] = random.normal(size=60)
    candles = candles.assign(window=np.repeat([300, 100], 30), do_predict=1)
    # A candle that is not predicted counts nowhere.
    candles.iloc[5, candles.columns.get_indexer(["predicted", "do_predict"])] = [1e9, 0]
    classes = ("down", "up") if objective == "log-loss" else ()
    if classes:
        candles["p_up"] = random.uniform(0.1, 0.9, 60)
        candles["p_down"] = 1 - candles["p_up"]
        candles["true"] = np.where(candles["true"] > 0, "up", "down")
    pair = PairPredictions(BTC, 2, (300, 100), candles, closes, classes=classes)
    scores = scores_of_pair(pair, objective)
    assert list(scores.index) == [100, 300]
    rows = candles[(candles["window"] == 300) & (candles["do_predict"] == 1)]
    match objective:
        case "correlation":
            expected = rows["predicted"].corr(rows["true"])
        case "return-rank-ic":
            ahead = (closes.shift(-2) / closes - 1).reindex(rows.index)
            expected = rows["predicted_return"].corr(ahead, method="spearman")
        case _:
            said = np.where(rows["true"] == "up", rows["p_up"], rows["p_down"])
            expected = np.log(said).mean()
    assert scores[300] == pytest.approx(expected)


def test_luck_is_counted_over_the_windows_of_all_trials() -> None:
    random = np.random.default_rng(0)
    scores = random.normal(0.1, 1, (8, 3))
    windows = [str(1_000_000_000 * (1 + number)) for number in range(8)]

    def finished(column: int) -> FrozenTrial:
        named = dict(zip(windows, scores[:, column].tolist(), strict=True))
        attributes = {"windows": dict(reversed(named.items()))}
        return optuna.create_trial(value=0.0, user_attrs=attributes)

    made = [finished(column) for column in range(3)]
    expected = count_luck(scores, 0, given_up=4, by_mean=True)
    assert search_luck(made, 4) == expected
    # What an older version finished counts as a trial, and cannot be judged itself.
    older = optuna.create_trial(value=0.0)
    assert search_luck([*made, older], 3) == expected
    assert search_luck([older, *made], 3) is None
    # A window that one trial could not be scored on is left out.
    made[1].user_attrs["windows"][windows[2]] = None
    assert search_luck(made, 4) == count_luck(np.delete(scores, 2, 0), 0, given_up=4, by_mean=True)


def test_return_head_can_be_searched_for(
    walked: list[tuple[str, int]], config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    options = arguments("--trials", "1", "--objective", "return-rank-ic")
    with pytest.raises(SettingsError, match=r"return_head: must be true for --objective"):
        cli.run_tune(options)
    config["freqai"]["feature_parameters"]["return_head"] = True
    assert cli.run_tune(options) == 0
    assert "RETURN-RANK-IC OF score, 20240210-20240220" in capsys.readouterr().out
    [trial] = trials(config)
    assert trial.value != pytest.approx(trial.user_attrs["correlation"])


def test_configured_values_out_of_the_range_are_tried_as_well(
    walked: list[tuple[str, int]], config: dict[str, Any]
) -> None:
    config["freqai"]["model_training_parameters"]["model_kwargs"]["num_lstm_layers"] = 5
    assert cli.run_tune(arguments("--trials", "2", "--jobs", "2")) == 0
    assert {layers for _, layers in walked} > {5}
    assert trials(config)[0].user_attrs["configured"]


def test_models_and_predictions_of_trials_are_removed(
    walked: list[tuple[str, int]], config: dict[str, Any]
) -> None:
    models = config["user_data_dir"] / "models"
    others = [models / name for name in ("evaluate-lstm-h4", "evaluate-study-2.1-h4", "study")]
    for folder in (models / "evaluate-study.9-h4-s1-btc-1", *others):
        folder.mkdir()
    assert cli.run_tune(arguments("--trials", "2")) == 0
    assert set(models.iterdir()) == set(others)


def test_bad_trial_is_given_up_after_two_pairs(
    walked: list[tuple[str, int]], config: dict[str, Any]
) -> None:
    config["exchange"]["pair_whitelist"] += [ETH, "SOL/USDT:USDT"]
    config["freqai"]["model_training_parameters"]["model_kwargs"]["num_lstm_layers"] = 1
    spread = {"seed_std": None, "persistence": 0.5, "gain": 0.49, "gain_error": 0.1}
    with open_study(make_plan(config)) as study:
        for _ in range(8):
            study.add_trial(
                optuna.create_trial(
                    value=0.99,
                    params={"num_lstm_layers": 2},
                    distributions={"num_lstm_layers": optuna.distributions.IntDistribution(1, 3)},
                    intermediate_values=dict.fromkeys(range(3), 0.99),
                    user_attrs={"pairs": {BTC: 0.99}, **spread},
                )
            )
    assert cli.run_tune(arguments("--trials", "9")) == 0
    [pruned] = trials(config, TrialState.PRUNED)
    assert pruned.params == {"num_lstm_layers": 1}
    assert walked == [(BTC, 1), (ETH, 1)]


def test_failed_trial_does_not_end_the_search(
    walked: list[tuple[str, int]], config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config["freqai"]["model_training_parameters"]["model_kwargs"]["num_lstm_layers"] = 4
    assert cli.run_tune(arguments("--trials", "1")) == 1
    output = capsys.readouterr().out
    assert "Trial 0 failed: its training failed" in output
    assert "No trial was finished. Log: " in output
    assert cli.run_tune(arguments("--trials", "2")) == 0
    assert "2 trials finished, 0 given up early, 1 failed" in capsys.readouterr().out


class Racing(InlinePool):
    """Runs nothing before as many wait as there may be, and then the latest first.

    :param most: How many may wait; fewer are run when no other one has come for a while.
    """

    capacity = 8

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.seen = most, 0
        self._waiting: list[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]] = []
        self._lock = threading.RLock()
        self._timer = threading.Timer(0, lambda: None)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        with self._lock:
            self._waiting.append((future, function, arguments))
            self.seen = max(self.seen, len(self._waiting))
            self._arm()
        return future

    def _arm(self) -> None:
        self._timer.cancel()
        seconds = 0 if len(self._waiting) >= self.most else 0.5
        self._timer = threading.Timer(seconds, self._run_latest)
        self._timer.start()

    def _run_latest(self) -> None:
        with self._lock:
            if not self._waiting:
                return
            future, function, arguments = self._waiting.pop()
            done = super().submit(function, *arguments)
            if self._waiting:
                self._arm()
        future.set_result(done.result())


@pytest.mark.parametrize("jobs", [2, 8])
def test_no_trial_runs_twice_however_many_run_at_once(
    walked: list[tuple[str, int]],
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    jobs: int,
) -> None:
    config["exchange"]["pair_whitelist"].append(ETH)
    config["freqai"]["model_training_parameters"]["model_kwargs"]["num_lstm_layers"] = 1
    pool = Racing(min(2 * jobs, Racing.capacity))
    monkeypatch.setattr(cli, "open_pool", lambda *_, **__: pool)
    assert cli.run_tune(arguments("--trials", "8", "--jobs", str(jobs), "--seeds", "1", "2")) == 0
    # So many trials were under way at once, each with two seeds.
    assert pool.seen == pool.most
    runs = Counter((run.candidate, run.pair, run.seed) for (run,) in pool.submitted)
    assert set(runs.values()) == {1}
    finished = trials(config, TrialState.COMPLETE, TrialState.PRUNED)
    assert (
        [trial.number for trial in finished] == list(range(8)) == [t.number for t in trials(config)]
    )
    # The configuration as it is was enqueued once, and is the first of all.
    assert [trial.number for trial in finished if "configured" in trial.user_attrs] == [0]
    assert finished[0].params == {"num_lstm_layers": 1}
    for trial in finished:
        walks = [run for run in runs if run[0] == f"study.{trial.number}"]
        assert len(walks) == (
            4 if trial.state is TrialState.COMPLETE else 2 * len(trial.intermediate_values)
        )


# Going on


def test_search_goes_on_where_it_was(walked: list[tuple[str, int]], config: dict[str, Any]) -> None:
    assert cli.run_tune(arguments("--trials", "1")) == 0
    before = [trial.value for trial in trials(config)]
    assert cli.run_tune(arguments("--trials", "1")) == 0
    assert len(walked) == 1
    assert cli.run_tune(arguments("--trials", "2")) == 0
    assert len(walked) == 2
    assert [trial.value for trial in trials(config)][:1] == before


def test_trial_of_a_killed_process_is_tried_again(
    walked: list[tuple[str, int]], config: dict[str, Any]
) -> None:
    with open_study(make_plan(config)) as study:
        killed = study.ask()
        killed.suggest_int("num_lstm_layers", 1, 3)
    params = killed.params
    assert cli.run_tune(arguments("--trials", "1")) == 0
    assert [(trial.state, trial.params) for trial in trials(config)] == [
        (TrialState.FAIL, params),
        (TrialState.COMPLETE, params),
    ]
    assert trials(config)[1].user_attrs["configured"]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"seeds": [1, 2]}, "--seeds: begun with [1], was [1, 2]"),
        ({"objective": "return-rank-ic"}, "--objective: begun with 'correlation', was"),
        ({"space": search_space()}, "the searched parameters: begun with ['num_lstm_layers']"),
    ],
)
def test_trials_that_cannot_be_compared_are_not_mixed(
    config: dict[str, Any], change: dict[str, Any], difference: str
) -> None:
    with open_study(make_plan(config)):
        pass
    with (
        pytest.raises(SettingsError, match=r"study\.sqlite3: .*Choose another --name") as caught,
        open_study(make_plan(config, **change)),
    ):
        pass
    assert difference in str(caught.value)
    with open_study(make_plan(config, name="other", **change)):
        pass


def test_changed_settings_and_timeranges_are_not_mixed_either(config: dict[str, Any]) -> None:
    with open_study(make_plan(config)):
        pass
    config["freqai"]["feature_parameters"]["DI_threshold"] = 3
    # What is searched may change, and so may what decides nothing.
    config["freqai"]["identifier"] = "another"
    config["freqai"]["model_training_parameters"]["model_kwargs"]["num_lstm_layers"] = 1
    with (
        pytest.raises(SettingsError) as caught,
        open_study(make_plan({**config, "timerange": "20240211-20240220"})),
    ):
        pass
    names = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert names == ["--timerange", "the other settings, the code or the candles"]


def test_study_in_use_is_refused(config: dict[str, Any]) -> None:
    plan = make_plan(config)
    with open_study(plan):
        lock = study_file(plan).with_suffix(".lock")
        assert lock.exists()
    with (
        FileLock(lock),
        pytest.raises(SettingsError, match=r"--name: must be a study that nobody works on"),
        open_study(plan),
    ):
        pass


# What is refused before anything runs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timerange": "20240210-"}, r"--timerange: must have a start and an end, was '20240210-'"),
        ({"freqaimodel": "LightGBMRegressor"}, r"freqaimodel: must be PyTorchLSTMRegressor or "),
        (
            {"timerange": "20231110-20240210"},
            r"candles of BTC/USDT:USDT from 2023-10-21 .*had 2023",
        ),
        ({"timerange": "20240210-20240401"}, r"to 2024-03-31, had 2023-11-01 to 2024-02-29"),
        ({"datadir": Path("nowhere")}, r"nowhere: must hold 1h candles .* had none; freqtrade"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    config: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        make_plan({**config, **change}).check()


def test_windows_too_long_for_the_shortest_period_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"train_period_days: must be at least .* windows of "):
        make_plan(config, space=search_space(train_period_days=[4, 20])).check()


def test_wrong_name_is_refused(walked: list[tuple[str, int]]) -> None:
    with pytest.raises(SettingsError, match=r"--name: must be of letters, .* was 'a/b'"):
        cli.run_tune(arguments("--name", "a/b"))


@pytest.mark.parametrize("options", [("--objective", "profit"), ("--trials", "0")])
def test_wrong_options_are_refused(
    options: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        arguments(*options)
    assert f"{options[0]}: " in capsys.readouterr().err
