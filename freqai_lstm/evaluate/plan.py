"""The runs of a comparison: one for each model, seed, horizon and pair, each by an identifier."""

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from freqtrade.data.history import load_pair_history

from freqai_lstm.evaluate.candidates import Candidate
from freqai_lstm.evaluate.code import model_code, strategy_code
from freqai_lstm.exceptions import SettingsError


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
    return [
        _sub_run(config, candidate, seed, horizon, pair, digests)
        for horizon in horizons
        for pair in config["exchange"]["pair_whitelist"]
        for candidate in candidates
        for seed in seeds
    ]


def _sub_run(
    config: Mapping[str, Any],
    candidate: Candidate,
    seed: int,
    horizon: int,
    pair: str,
    digests: "Digests",
) -> SubRun:
    own = copy.deepcopy(dict(config))
    own["freqaimodel"] = candidate.freqaimodel
    own["exchange"]["pair_whitelist"] = [pair]
    freqai = own["freqai"]
    freqai["feature_parameters"]["label_period_candles"] = horizon
    freqai.update(
        model_training_parameters=candidate.seeded_parameters(seed),
        conv_width=candidate.conv_width,
        # None of these changes a prediction.
        save_backtest_models=False,
        activate_tensorboard=False,
        write_metrics_to_disk=False,
        fit_live_predictions_candles=0,
        data_kitchen_thread_count=1,
    )
    decisive = {
        key: value for key, value in freqai.items() if key not in {"identifier", "tuned_on"}
    }
    content = [decisive, own["freqaimodel"], seed, own["timeframe"], own["timerange"]]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    digest.update(digests.code(candidate).encode())
    digest.update(digests.candles(pair).encode())
    coin = pair.split("/", 1)[0].lower()
    freqai["identifier"] = (
        f"evaluate-{candidate.name}-h{horizon}-s{seed}-{coin}-{digest.hexdigest()[:10]}"
    )
    return SubRun(candidate.name, seed, horizon, pair, own)


class Digests:
    """Digests of what runs share, each computed once.

    :param config: freqtrade's configuration.
    :raises OperationalException: If there is no such strategy.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config
        self._strategy = strategy_code(config)
        self._candles: dict[tuple[str, str], str] = {}

    def code(self, candidate: Candidate) -> str:
        """Return the digest of the code that decides a candidate's predictions."""
        return self._strategy + model_code(candidate.freqaimodel)

    def candles(self, pair: str) -> str:
        """Return the digest of all candles that a pair's features are made of.

        :raises SettingsError: If there are none of a pair and timeframe.
        """
        features = self.config["freqai"]["feature_parameters"]
        pairs = [pair, *features["include_corr_pairlist"]]
        timeframes = {self.config["timeframe"], *features["include_timeframes"]}
        return "".join(
            self._candle_digest(name, timeframe)
            for name in dict.fromkeys(pairs)
            for timeframe in sorted(timeframes)
        )

    def _candle_digest(self, pair: str, timeframe: str) -> str:
        if (pair, timeframe) not in self._candles:
            candles = load_pair_history(
                pair=pair,
                timeframe=timeframe,
                datadir=self.config["datadir"],
                data_format=self.config["dataformat_ohlcv"],
                candle_type=self.config["candle_type_def"],
            )
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
