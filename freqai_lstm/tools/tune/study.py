"""The study, Optuna's record in a file that outlives the process, and the search that fills it."""

import math
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from filelock import FileLock, Timeout
from optuna.trial import TrialState

from freqai_lstm.exceptions import SettingsError, SkillError
from freqai_lstm.tools.evaluate.comparison import (
    ALL_PAIRS,
    BASE_RATES,
    PERSISTENCE,
    Row,
    Spread,
    compare,
)
from freqai_lstm.tools.evaluate.plan import SubRun, by_pair_and_horizon
from freqai_lstm.tools.evaluate.runs import Runner, keep
from freqai_lstm.tools.features import FeatureStore
from freqai_lstm.tools.pool import Job, Pool, work_off
from freqai_lstm.tools.truths import Truths
from freqai_lstm.tools.tune.plan import OBJECTIVES, TuningPlan
from freqai_lstm.tools.tune.windows import WINDOWS, window_scores

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
_DESCRIPTION = "searches"


def study_file(plan: TuningPlan) -> Path:
    """Return where a study is kept, in the user directory."""
    return Path(plan.config["user_data_dir"]) / "tune" / f"{plan.name}.sqlite3"


@contextmanager
def open_study(plan: TuningPlan) -> Iterator[optuna.Study]:
    """Yield the study of a plan, begun or gone on with; nobody else has it meanwhile.

    Trials that were running when the process was killed are tried again. The first trial of all is
    the configuration as it is.

    :raises SettingsError: If the study is in use, or was begun with other settings.
    """
    file = study_file(plan)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(file.with_suffix(".lock"), timeout=0):
            study = _load(plan, file)
            _check_same(plan, study, file)
            _prepare(plan, study)
            yield study
    except Timeout as error:
        raise SettingsError(
            f"--name: must be a study that nobody works on, {file} was in use"
        ) from error


def _load(plan: TuningPlan, file: Path) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
    study = optuna.create_study(
        storage=storage,
        study_name=plan.name,
        direction="maximize",
        load_if_exists=True,
        # With two pairs of eight trials to compare with.
        pruner=optuna.pruners.MedianPruner(n_startup_trials=8, n_warmup_steps=1),
    )
    # Other values for the trials to come than for those that are there.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials))
    return study


def _check_same(plan: TuningPlan, study: optuna.Study, file: Path) -> None:
    """Refuse to mix trials that cannot be compared."""
    described = plan.described()
    begun: dict[str, Any] = study.user_attrs.get(_DESCRIPTION, described)
    differences = [
        f"\n  {key}: begun with {begun.get(key)!r}, was {value!r}"
        for key, value in described.items()
        if begun.get(key) != value
    ]
    if differences:
        raise SettingsError(
            f"{file}: its trials were run with other settings. Choose another --name, or set these "
            f"back:{''.join(differences)}"
        )
    study.set_user_attr(_DESCRIPTION, described)


def _prepare(plan: TuningPlan, study: optuna.Study) -> None:
    """Queue what comes first, and remove what a killed process has left."""
    remove_runs(plan)
    if not study.trials and (present := plan.configured()) is not None:
        study.enqueue_trial(present, user_attrs={"configured": True})
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        kept = {key: value for key, value in trial.user_attrs.items() if key == "configured"}
        study.enqueue_trial(trial.params, user_attrs=kept)


def remove_runs(plan: TuningPlan, label: str = "*") -> None:
    """Remove the models and predictions of a trial, or of all trials of a study."""
    models = Path(plan.config["user_data_dir"]) / "models"
    for folder in models.glob(f"evaluate-{plan.name}.{label}-*"):
        shutil.rmtree(folder)


class Search:
    """Maximises the mean over pairs of a figure of out-of-sample skill.

    :param at_once: Trials that run at a time.
    :param advance: Called with the number of runs that are done or not needed any more.
    """

    def __init__(
        self,
        plan: TuningPlan,
        study: optuna.Study,
        pool: Pool,
        store: FeatureStore,
        at_once: int,
        advance: Callable[[int], None],
    ) -> None:
        self.plan, self.study, self.pool = plan, study, pool
        self.at_once, self.advance = at_once, advance
        self._runner = Runner(pool, store)
        self._truths = Truths()
        self._left = 0
        self._active: set[int] = set()
        self._waiting: deque[tuple[_Walk, SubRun]] = deque()

    def run(self, trials: int) -> None:
        """Run so many trials more, and keep what each is made of in its attributes."""
        self._left = trials
        for (walk, run), future in work_off(self.pool, self):
            if not walk.ended:
                self._take(walk, run, future)

    def __iter__(self) -> "Search":
        return self

    def __next__(self) -> Job:
        """Give a job that may run now; after the last one there may be more."""
        while not self._waiting and self._left and len(self._active) < self.at_once:
            self._begin()
        if not self._waiting:
            raise StopIteration
        walk, run = self._waiting.popleft()
        return Job((walk, run), self._runner.job(run).call)

    def _begin(self) -> None:
        self._left -= 1
        trial = self.study.ask()
        values = {parameter.name: parameter.suggest(trial) for parameter in self.plan.space}
        runs = self.plan.sub_runs(str(trial.number), values)
        walk = _Walk(trial, runs)
        self._active.add(trial.number)
        self._waiting.extend((walk, run) for run in walk.next_pair())

    def _take(self, walk: "_Walk", run: SubRun, future: "Future[Any]") -> None:
        """Take what came of a run, and go on with its trial."""
        try:
            keep(run, future)
            self.advance(1)
            walk.running.discard(run.identifier)
            if walk.running:
                return
            rows = self._compare(walk.of_pair)
            walk.end_pair(self._figure(_row(rows, run.candidate, run.pair)))
        except SkillError as error:
            walk.trial.set_user_attr("failure", str(error))
            self._end(walk, state=TrialState.FAIL)
            return
        if not walk.pairs_left:
            for name, value in self._summary(walk.runs).items():
                walk.trial.set_user_attr(name, value)
            walk.trial.set_user_attr("pairs", walk.figures)
            scores = window_scores(walk.runs, self._truths, self.plan.label, self.plan.objective)
            walk.trial.set_user_attr(WINDOWS, scores)
            self._end(walk, walk.value)
        elif walk.trial.should_prune():
            self._end(walk, state=TrialState.PRUNED)
        else:
            self._waiting.extend((walk, other) for other in walk.next_pair())

    def _end(self, walk: "_Walk", value: float | None = None, **state: Any) -> None:
        walk.ended = True
        self.study.tell(walk.trial, value, **state)
        self.advance(len(walk.running) + sum(map(len, walk.pairs_left)))
        self._active.discard(walk.trial.number)
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0] is not walk)
        remove_runs(self.plan, str(walk.trial.number))

    def _summary(self, runs: list[SubRun]) -> dict[str, str | float | None]:
        """Return the mean's spread over seeds, and how it stands to persistence or base rates."""
        mean = ALL_PAIRS if len(self.plan.pairs) > 1 else self.plan.pairs[0]
        rows = self._compare(runs)
        row = _row(rows, runs[0].candidate, mean)
        yardstick = BASE_RATES if row.is_of_classes else PERSISTENCE
        figure = next(iter(row.figures))
        summary = {
            "seed_std": self._figure(row).std,
            "persistence": _row(rows, yardstick, mean).figures[figure].mean,
            figure: row.figures[figure].mean,
            "gain": row.gain.value,
            "gain_error": row.gain.standard_error,
        }
        plain = {name: None if math.isnan(value) else value for name, value in summary.items()}
        return {"yardstick": yardstick, **plain}

    def _figure(self, row: Row) -> Spread:
        figure = row.figures[OBJECTIVES[self.plan.objective]]
        return replace(figure, mean=-figure.mean) if row.is_of_classes else figure

    def _compare(self, runs: list[SubRun]) -> list[Row]:
        """Compare runs on the label that counts."""
        return compare(runs, self._truths, self.plan.label).rows


class _Walk:
    """How far a trial is on its way over the pairs.

    ``running`` are the runs of the present pair that have not ended, by identifier.
    """

    def __init__(self, trial: optuna.Trial, runs: list[SubRun]) -> None:
        self.trial = trial
        self.runs = runs
        self.pairs_left = deque(of_pair for _, _, of_pair in by_pair_and_horizon(runs))
        self.of_pair: list[SubRun] = []
        self.running: set[str] = set()
        self.figures: dict[str, float] = {}
        self.ended = False

    @property
    def value(self) -> float:
        """The mean over the pairs so far."""
        return float(np.mean(list(self.figures.values())))

    def next_pair(self) -> list[SubRun]:
        """Return the runs of the next pair, one for each seed."""
        self.of_pair = self.pairs_left.popleft()
        self.running = {run.identifier for run in self.of_pair}
        return self.of_pair

    def end_pair(self, figure: Spread) -> None:
        """Report the mean over the pairs so far.

        :raises SkillError: If what is predicted of this pair is constant.
        """
        pair = self.of_pair[0].pair
        if math.isnan(figure.mean):
            raise SkillError(f"{pair}: predictions must vary, all of them were the same")
        self.figures[pair] = figure.mean
        self.trial.report(self.value, len(self.figures) - 1)


def _row(rows: list[Row], model: str, pair: str) -> Row:
    return next(row for row in rows if (row.model, row.pair) == (model, pair))
