"""The study: Optuna's record of all trials in a file, which outlives the process."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.tools.tune.plan import TuningPlan

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
        f"{key}: begun with {begun.get(key)!r}, was {value!r}"
        for key, value in described.items()
        if begun.get(key) != value
    ]
    if differences:
        lines = "\n".join(f"  {difference}" for difference in differences)
        raise SettingsError(
            f"{file}: its trials were run with other settings. Choose another --name, or set these "
            f"back:\n{lines}"
        )
    study.set_user_attr(_DESCRIPTION, described)


def _prepare(plan: TuningPlan, study: optuna.Study) -> None:
    """Queue what comes first, and remove what a killed process has left."""
    remove_runs(plan)
    if not study.trials:
        present = plan.configured()
        if present is not None:
            study.enqueue_trial(present, user_attrs={"configured": True})
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs=_kept(trial))


def _kept(trial: FrozenTrial) -> dict[str, Any]:
    return {key: value for key, value in trial.user_attrs.items() if key == "configured"}


def remove_runs(plan: TuningPlan, label: str = "*") -> None:
    """Remove the models and predictions of a trial, or of all trials of a study.

    :param plan: The search.
    :param label: Which trial.
    """
    models = Path(plan.config["user_data_dir"]) / "models"
    for folder in models.glob(f"evaluate-{plan.name}.{label}-*"):
        shutil.rmtree(folder)
