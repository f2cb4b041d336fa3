"""What is installed: versions, the device, the drop-ins, and what is saved under the identifier."""

import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from freqai_lstm import __version__
from freqai_lstm.bridge.digest import featured_by
from freqai_lstm.bridge.folders import HISTORY, identifier_folder, saved_models, saved_predictions
from freqai_lstm.bridge.manifest import IdentifierGuard, trained_with
from freqai_lstm.bridge.versions import TESTED, untested
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import FreqaiSettings
from freqai_lstm.tools.doctor.findings import Finding
from freqai_lstm.tools.install import DROP_INS, State, copies, shipped_files


def check_versions() -> Iterator[Finding]:
    """Report the versions that matter."""
    yield Finding("python", platform.python_version())
    yield Finding("freqai-lstm", __version__)
    yield Finding("torch", version("torch"))
    problems = untested()
    for name in TESTED:
        yield Finding(name, version(name), problems.get(name, ""))


def check_device(requested: str) -> Finding:
    """Report where networks are trained.

    :param requested: ``trainer_kwargs.device``.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    available = [*(name for name in present if present[name]), "cpu"]
    device = available[0] if requested == "auto" else requested
    if device not in available:
        problem = (
            f"freqai.model_training_parameters.trainer_kwargs.device: must be one of "
            f"{', '.join(available)} with this torch and machine, was {requested!r}"
        )
        return Finding("device", device, problem)
    name = f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
    return Finding("device", f"{name}, asked for {requested}")


def check_user_directory(folder: Path) -> Iterator[Finding]:
    """Report the drop-ins of a user directory.

    A changed one is somebody's own. A missing one matters only to a bot that loads it, and
    :mod:`~freqai_lstm.tools.doctor.dropins` says so.
    """
    drop_ins = {place: file for place, file in shipped_files().items() if str(place) in DROP_INS}
    found = {State.SAME: "as shipped", State.CHANGED: "changed", State.MISSING: "not installed"}
    for copy in copies(drop_ins, folder):
        yield Finding(copy.target.name, found[copy.state])


def check_identifier(
    config: Mapping[str, Any], settings: FreqaiSettings | None, strategy: Any
) -> Iterator[Finding]:
    """Report the models of the identifier, and whether the present settings fit them.

    :param settings: Of this package's regressor; None for another model, which keeps no record.
    :param strategy: None if it cannot be loaded: then the code of its features is not compared.
    """
    identifier = config["freqai"]["identifier"]
    if not identifier:
        problem = "freqai.identifier: must be a name of at least one character, was ''"
        yield Finding("identifier", "none", problem)
        return
    folder = identifier_folder(config)
    problem = ""
    if settings is not None:
        present = trained_with(settings, config["timeframe"], config["freqaimodel"])
        try:
            features = featured_by(strategy) if strategy is not None else {}
            IdentifierGuard(folder).refuse_changed(present | features)
        except SettingsError as error:
            problem = str(error)
    yield Finding("identifier", identifier, problem)
    windows = {coin: len(models) for coin, models in saved_models(folder).items()}
    each = ", ".join(f"{coin} {count}" for coin, count in windows.items())
    yield Finding("saved models", f"{sum(windows.values())}{f' ({each})' if each else ''}")
    yield Finding("saved predictions", f"{len(saved_predictions(folder))} backtest window(s)")
    yield Finding("live predictions", "yes" if (folder / HISTORY).is_file() else "none")
