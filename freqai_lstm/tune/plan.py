"""What a search is about: everything that must stay the same for its trials to be comparable."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from freqtrade.configuration import TimeRange
from freqtrade.data.history import get_datahandler
from freqtrade.exchange import timeframe_to_seconds

from freqai_lstm.evaluate.candidates import Candidate
from freqai_lstm.evaluate.plan import Digests, SubRun, plan_sub_runs
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import read_settings
from freqai_lstm.tune.space import TRAIN_PERIOD, Parameter, configured, tried

OBJECTIVES = {"correlation": "correlation", "return-rank-ic": "return_rank_ic"}
"""The figure of a comparison by the name of its objective."""

_LSTM = "PyTorchLSTMRegressor"


@dataclass(frozen=True)
class TuningPlan:
    """A search.

    :ivar name: Of the study and its file.
    :ivar config: freqtrade's configuration.
    :ivar objective: Of :data:`OBJECTIVES`.
    :ivar seeds: Each trial trains with each of them.
    :ivar space: What is searched.
    """

    name: str
    config: Mapping[str, Any]
    objective: str
    seeds: Sequence[int]
    space: Sequence[Parameter]

    @property
    def pairs(self) -> list[str]:
        """The pairs that a trial walks over, in this order."""
        return list(self.config["exchange"]["pair_whitelist"])

    @property
    def horizon(self) -> int:
        """Candles ahead of the label."""
        return int(self.config["freqai"]["feature_parameters"].get("label_period_candles", 0))

    @property
    def tuned_on(self) -> str:
        """The timerange, as ``freqai.tuned_on`` has it."""
        timerange = TimeRange.parse_timerange(self.config["timerange"])
        return f"{timerange.startdt:%Y%m%d}-{timerange.stopdt:%Y%m%d}"

    def configured(self) -> dict[str, Any] | None:
        """Return the configured values of what is searched, None if one of them has none."""
        candle = timeframe_to_seconds(self.config["timeframe"])
        return configured(read_settings(self.config["freqai"], candle), self.space)

    def sub_runs(self, label: str, values: Mapping[str, Any]) -> list[SubRun]:
        """Return the runs of a trial, pair by pair.

        :param label: Which trial; part of its folders' names.
        :param values: What it tries, by the parameters' names.
        """
        freqai = tried(self.config["freqai"], self.space, values)
        candidate = Candidate(f"{self.name}.{label}", _LSTM, freqai["model_training_parameters"])
        config = {**self.config, "freqai": freqai}
        return plan_sub_runs(config, [candidate], self.seeds, [self.horizon], self._digests)

    @cached_property
    def _digests(self) -> Digests:
        return Digests(self.config)

    def check(self) -> None:
        """Refuse what cannot be searched, before anything is trained.

        :raises SettingsError: If the timerange, the configuration or the candles are wrong.
        """
        if self.config.get("freqaimodel") != _LSTM:
            raise SettingsError(f"freqaimodel: must be {_LSTM}, was {self.config['freqaimodel']!r}")
        timerange = TimeRange.parse_timerange(self.config["timerange"])
        if not (timerange.startts and timerange.stopts):
            raise SettingsError(
                f"--timerange: must have a start and an end, was {self.config['timerange']!r}"
            )
        candle = timeframe_to_seconds(self.config["timeframe"])
        settings = read_settings(tried(self.config["freqai"], self.space, self._extreme()), candle)
        if self.objective == "return-rank-ic" and not settings.feature_parameters.return_head:
            raise SettingsError(
                "freqai.feature_parameters.return_head: must be true for --objective "
                "return-rank-ic, was false"
            )
        days = max(
            [settings.train_period_days, *(p.high for p in self.space if p.name == TRAIN_PERIOD)]
        )
        start = timerange.startdt - timedelta(days=days)
        for pair in self.pairs:
            self._check_candles(pair, start, timerange.stopdt - timedelta(seconds=candle))

    def _extreme(self) -> dict[str, float]:
        """Return the longest windows in the largest batches of the shortest training period.

        If they fit, all the others do.
        """
        return {p.name: p.low if p.name == TRAIN_PERIOD else p.high for p in self.space}

    def _check_candles(self, pair: str, first: datetime, last: datetime) -> None:
        """Refuse a pair without candles from ``first`` to ``last``: its models would differ."""
        config = self.config
        handler = get_datahandler(config["datadir"], config["dataformat_ohlcv"])
        start, stop, candles = handler.ohlcv_data_min_max(
            pair, config["timeframe"], config["candle_type_def"]
        )
        if candles and start <= first and stop >= last:
            return
        found = f"{start:%Y-%m-%d} to {stop:%Y-%m-%d}" if candles else "none"
        raise SettingsError(
            f"{config['datadir']}: must hold {config['timeframe']} candles of {pair} from "
            f"{first:%Y-%m-%d} (--timerange less the longest training period) to {last:%Y-%m-%d}, "
            f"had {found}; freqtrade download-data gets them"
        )

    def described(self) -> dict[str, Any]:
        """Return what must not change from one start of a study to the next, by words for it."""
        rest = [run.identifier for run in self.sub_runs("any", self._extreme())]
        return {
            "--timerange": self.tuned_on,
            "--objective": self.objective,
            "--pairs": self.pairs,
            "--seeds": list(self.seeds),
            "freqai.feature_parameters.label_period_candles": self.horizon,
            "the searched parameters": [parameter.name for parameter in self.space],
            "the other settings, the code or the candles": hashlib.sha256(
                "".join(rest).encode()
            ).hexdigest()[:12],
        }
