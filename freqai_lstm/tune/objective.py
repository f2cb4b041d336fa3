"""A trial: walks over pair after pair, and gives up early if it is worse than most."""

import math
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
import optuna

from freqai_lstm.evaluate.comparison import ALL_PAIRS, PERSISTENCE, Row, Spread, compare
from freqai_lstm.evaluate.plan import SubRun, by_pair_and_horizon
from freqai_lstm.evaluate.walk import walk_forward
from freqai_lstm.exceptions import SkillError
from freqai_lstm.tune.plan import OBJECTIVES, TuningPlan


class WalkForwardObjective:
    """The mean over pairs of a figure of out-of-sample skill, for Optuna to maximise.

    :param plan: The search.
    :param pool: Processes to train in.
    :param advance: Called with the number of runs that are done or not needed any more.
    """

    def __init__(self, plan: TuningPlan, pool: Executor, advance: Callable[[int], None]) -> None:
        self.plan = plan
        self.pool = pool
        self.advance = advance

    def __call__(self, trial: optuna.Trial) -> float:
        """Return the value of a trial, and keep what it is made of in the trial's attributes.

        :raises TrialPruned: If the pairs so far are worse than those of most trials.
        :raises SkillError: If a training fails, or what it predicts is constant.
        """
        values = {parameter.name: parameter.suggest(trial) for parameter in self.plan.space}
        runs = self.plan.sub_runs(str(trial.number), values)
        remaining = len(runs)
        pairs: dict[str, float] = {}
        try:
            for _, pair, of_pair in by_pair_and_horizon(runs):
                pairs[pair] = self._walk(pair, of_pair)
                self.advance(len(of_pair))
                remaining -= len(of_pair)
                trial.report(float(np.mean(list(pairs.values()))), len(pairs) - 1)
                if remaining and trial.should_prune():
                    raise optuna.TrialPruned
        except SkillError as error:
            trial.set_user_attr("failure", str(error))
            raise
        finally:
            self.advance(remaining)
        for name, value in self._spread(runs).items():
            trial.set_user_attr(name, value)
        trial.set_user_attr("pairs", pairs)
        return float(np.mean(list(pairs.values())))

    def _walk(self, pair: str, runs: list[SubRun]) -> float:
        """Train and predict one pair with all seeds, and return the mean of the figure."""
        for future in [self.pool.submit(walk_forward, run) for run in runs]:
            future.result()
        figure = self._figure(_row(compare(runs), runs[0].candidate, pair))
        if math.isnan(figure.mean):
            raise SkillError(f"{pair}: predictions must vary, all of them were the same")
        return figure.mean

    def _spread(self, runs: list[SubRun]) -> dict[str, float | None]:
        """Return the mean's spread over seeds, and how it stands to persistence."""
        rows = compare(runs)
        mean = ALL_PAIRS if len(self.plan.pairs) > 1 else self.plan.pairs[0]
        row = _row(rows, runs[0].candidate, mean)
        spread = {
            "seed_std": self._figure(row).std,
            "persistence": _row(rows, PERSISTENCE, mean).figures["correlation"].mean,
            "correlation": row.figures["correlation"].mean,
            "gain": row.gain.value,
            "gain_error": row.gain.standard_error,
        }
        return {name: None if math.isnan(value) else value for name, value in spread.items()}

    def _figure(self, row: Row) -> Spread:
        return row.figures[OBJECTIVES[self.plan.objective]]


def _row(rows: list[Row], model: str, pair: str) -> Row:
    return next(row for row in rows if (row.model, row.pair) == (model, pair))
