"""What is compared: the models, and a run of each with each seed, horizon and pair."""

import copy
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from freqtrade.enums import RunMode
from freqtrade.resolvers import StrategyResolver

from freqai_lstm.bridge.digest import featured_by, package_digest
from freqai_lstm.bridge.universe import relative_pairs
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools import information
from freqai_lstm.tools.candles import stored_candles

LSTM, LSTM_CLASSIFIER = OWN = ("PyTorchLSTMRegressor", "PyTorchLSTMClassifier")
RIDGE = "RidgeRegressor"
_FIELDS = {"freqaimodel", "model_training_parameters", "conv_width"}
# Keys of the freqai section that decide nothing.
_NAMES = {"identifier", "tuned_on"}


@dataclass(frozen=True)
class Candidate:
    """A model of FreqAI and its parameters.

    :ivar name: What tables call it.
    :ivar freqaimodel: The class that FreqAI loads.
    :ivar parameters: ``freqai.model_training_parameters``.
    :ivar conv_width: ``freqai.conv_width``; the LSTM takes its window from its parameters.
    """

    name: str
    freqaimodel: str
    parameters: Mapping[str, Any]
    conv_width: int = 1

    def seeds(self, seeds: Sequence[int]) -> Sequence[int]:
        """Return the seeds to run it with: the first alone where nothing is drawn at random."""
        return seeds[:1] if self.freqaimodel == RIDGE else seeds

    def seeded_parameters(self, seed: int) -> dict[str, Any]:
        """Return the parameters with a seed, where the model takes one.

        The others draw from the global generators, which each run seeds as well.
        """
        parameters = copy.deepcopy(dict(self.parameters))
        if self.freqaimodel in OWN:
            parameters.setdefault("trainer_kwargs", {}).update(seed=seed, progress_bar=False)
        elif self.freqaimodel.startswith("LightGBM"):
            parameters["random_state"] = seed
        return parameters


def default_candidates(config: Mapping[str, Any], is_of_classes: bool) -> dict[str, Candidate]:
    """Return the LSTM, its yardsticks, and the configured model, if that is another.

    LSTM and ridge are as configured, or have their defaults where another model is. LightGBM has
    its own defaults; the Transformer those of FreqAI's documentation, with the LSTM's window and as
    many epochs.

    :param config: freqtrade's configuration.
    :param is_of_classes: Whether the strategy's label is one of classes, not a number.
    """
    configured = config.get("freqaimodel") or LSTM
    parameters = config["freqai"].get("model_training_parameters", {})
    lstm = parameters if configured in OWN else {}
    ridge = parameters if configured == RIDGE else {}
    window = lstm.get("model_kwargs", {}).get("window_size", 5)
    transformer = {
        "learning_rate": 3e-4,
        "trainer_kwargs": {"n_steps": None, "n_epochs": 10, "batch_size": 64},
        "model_kwargs": {"hidden_dim": 512, "dropout_percent": 0.2, "n_layer": 1},
    }
    lightgbm = {"n_jobs": 1, "verbosity": -1}
    if is_of_classes:
        found = [
            Candidate("lstm", LSTM_CLASSIFIER, lstm),
            Candidate("lightgbm", "LightGBMClassifier", lightgbm),
        ]
    else:
        found = [
            Candidate("lstm", LSTM, lstm),
            Candidate(information.RIDGE, RIDGE, ridge),
            Candidate("lightgbm", "LightGBMRegressorMultiTarget", lightgbm),
            Candidate("transformer", "PyTorchTransformerRegressor", transformer, window),
        ]
    if configured not in OWN and configured not in [each.freqaimodel for each in found]:
        width = config["freqai"].get("conv_width", 1)
        found.append(Candidate(configured, configured, parameters, width))
    return {candidate.name: candidate for candidate in found}


def read_candidates(file: Path) -> dict[str, Candidate]:
    """Read candidates from a JSON object: by name, ``freqaimodel`` and what it is trained with.

    :raises SettingsError: If the file is not such an object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"--candidates {file}: must be a JSON object, was: {error}") from error
    if not isinstance(content, dict):
        raise SettingsError(
            f"--candidates {file}: must be a JSON object, was a {type(content).__name__}"
        )
    for name, fields in content.items():
        if not isinstance(fields, dict) or "freqaimodel" not in fields or set(fields) - _FIELDS:
            raise SettingsError(
                f"--candidates {file}: {name!r} must have freqaimodel, and at most "
                f"model_training_parameters and conv_width beside it, was {fields!r}"
            )
    return {
        name: Candidate(name, parameters=fields.pop("model_training_parameters", {}), **fields)
        for name, fields in content.items()
    }


def choose_candidates(
    known: Mapping[str, Candidate], names: Sequence[str] | None
) -> list[Candidate]:
    """Return the candidates of these names, or all.

    :raises SettingsError: If a name is not known.
    """
    if unknown := sorted(set(names or ()) - set(known)):
        raise SettingsError(f"--models: must be of {', '.join(known)}, was {', '.join(unknown)}")
    return [known[name] for name in names or known]


@dataclass(frozen=True)
class SubRun:
    """One walk-forward run of FreqAI.

    :ivar config: freqtrade's configuration of this run alone.
    """

    candidate: str
    seed: int
    horizon: int
    pair: str
    config: Mapping[str, Any]

    @property
    def identifier(self) -> str:
        """FreqAI's identifier: another one wherever anything that decides the result differs."""
        return str(self.config["freqai"]["identifier"])


def plan_sub_runs(
    config: Mapping[str, Any],
    candidates: Sequence[Candidate],
    seeds: Sequence[int],
    horizons: Sequence[int],
    digests: "Digests | None" = None,
) -> list[SubRun]:
    """Return all runs of a comparison over the pairs of the whitelist.

    :param digests: Those of the same strategy and candles, if they are known already.
    :raises SettingsError: If candles are missing.
    :raises OperationalException: If there is no such strategy.
    """
    digests = digests or Digests(config)
    pairs = config["exchange"]["pair_whitelist"]
    planned = itertools.product(horizons, pairs, candidates)
    return [
        _sub_run(config, digests, horizon, pair, candidate, seed)
        for horizon, pair, candidate in planned
        for seed in candidate.seeds(seeds)
    ]


def _sub_run(
    config: Mapping[str, Any],
    digests: "Digests",
    horizon: int,
    pair: str,
    candidate: Candidate,
    seed: int,
) -> SubRun:
    own = copy.deepcopy(dict(config, runmode=RunMode.BACKTEST))
    own["freqaimodel"] = candidate.freqaimodel
    own["exchange"]["pair_whitelist"] = [pair]
    freqai = own["freqai"]
    parameters = freqai["feature_parameters"]
    parameters["label_period_candles"] = horizon
    if others := relative_pairs(parameters, config["exchange"]["pair_whitelist"]):
        parameters["relative_to"] = others
    freqai.update(
        model_training_parameters=candidate.seeded_parameters(seed),
        conv_width=candidate.conv_width,
        # None of these changes a prediction.
        save_backtest_models=bool(freqai.get("continual_learning")),
        activate_tensorboard=False,
        write_metrics_to_disk=False,
        fit_live_predictions_candles=0,
        data_kitchen_thread_count=1,
    )
    decisive = {key: value for key, value in freqai.items() if key not in _NAMES}
    content = [decisive, own["freqaimodel"], seed, own["timeframe"], own["timerange"]]
    text = json.dumps(content, sort_keys=True) + digests.code(candidate) + digests.candles(pair)
    digest = hashlib.sha256(text.encode())
    coin = pair.split("/", 1)[0].lower()
    freqai["identifier"] = (
        f"evaluate-{candidate.name}-h{horizon}-s{seed}-{coin}-{digest.hexdigest()[:10]}"
    )
    return SubRun(candidate.name, seed, horizon, pair, own)


class Digests:
    """Digests of what runs share, each computed once.

    :raises OperationalException: If there is no such strategy.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        strategy = StrategyResolver.load_strategy(dict(config, runmode=RunMode.BACKTEST))
        parts = [*featured_by(strategy).values(), str(strategy.startup_candle_count)]
        self._strategy = "".join([*parts, version("freqtrade")])
        self._candles: dict[tuple[str, str], str] = {}

    def code(self, candidate: Candidate) -> str:
        """Return the digest of the code that decides a candidate's predictions.

        Of the strategy that is what makes features and labels: trading rules do not count.
        """
        return self._strategy + (package_digest() if candidate.freqaimodel in (*OWN, RIDGE) else "")

    def candles(self, pair: str) -> str:
        """Return the digest of all candles that a pair's features are made of.

        :raises SettingsError: If there are none of a pair and timeframe.
        """
        features = self.config["freqai"]["feature_parameters"]
        others = relative_pairs(features, self.config["exchange"]["pair_whitelist"])
        pairs = [pair, *features["include_corr_pairlist"], *others]
        timeframes = {self.config["timeframe"], *features["include_timeframes"]}
        return "".join(
            self._candle_digest(name, timeframe)
            for name in dict.fromkeys(pairs)
            for timeframe in sorted(timeframes)
        )

    def _candle_digest(self, pair: str, timeframe: str) -> str:
        if (pair, timeframe) not in self._candles:
            candles = stored_candles(self.config, pair, timeframe)
            if candles.empty:
                raise SettingsError(
                    f"{self.config['datadir']}: must hold {timeframe} candles of {pair}, had none; "
                    f"freqtrade download-data gets them"
                )
            content = pd.util.hash_pandas_object(candles, index=False).to_numpy().tobytes()
            self._candles[pair, timeframe] = hashlib.sha256(content).hexdigest()
        return self._candles[pair, timeframe]


def by_pair_and_horizon(sub_runs: Sequence[SubRun]) -> Iterator[tuple[int, str, list[SubRun]]]:
    """Give the runs that are compared with each other, horizon by horizon and pair by pair."""
    for horizon, pair in dict.fromkeys((run.horizon, run.pair) for run in sub_runs):
        yield horizon, pair, [run for run in sub_runs if (run.horizon, run.pair) == (horizon, pair)]
