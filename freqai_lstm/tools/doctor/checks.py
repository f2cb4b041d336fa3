"""What the doctor looks at beside candles: versions, device, user directory, saved models."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from freqai_lstm import __version__
from freqai_lstm.bridge.digest import featured_by
from freqai_lstm.bridge.folders import (
    HISTORY,
    identifier_folder,
    saved_models,
    saved_predictions,
)
from freqai_lstm.bridge.manifest import IdentifierGuard, trained_with
from freqai_lstm.bridge.versions import TESTED, untested
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import FreqaiSettings
from freqai_lstm.tools.install import DROP_INS, State, copies, shipped_files


@dataclass(frozen=True)
class Finding:
    """A line of the report.

    :param subject: What was looked at.
    :param found: What was found.
    :param problem: What is wrong with it and how to mend it; empty if nothing is.
    """

    subject: str
    found: Any
    problem: str = ""


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
    available = [
        name
        for name, present in {
            "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available(),
            "cpu": True,
        }.items()
        if present
    ]
    device = available[0] if requested == "auto" else requested
    if device not in available:
        return Finding(
            "device",
            device,
            f"freqai.model_training_parameters.trainer_kwargs.device: must be one of "
            f"{', '.join(available)} with this torch and machine, was {requested!r}",
        )
    name = f"cuda ({torch.cuda.get_device_name()})" if device == "cuda" else device
    return Finding("device", f"{name}, asked for {requested}")


def check_user_directory(folder: Path) -> Iterator[Finding]:
    """Report the drop-ins of a user directory; a changed one is somebody's own and no problem.

    :param folder: freqtrade's user directory.
    """
    drop_ins = {place: file for place, file in shipped_files().items() if str(place) in DROP_INS}
    for copy in copies(drop_ins, folder):
        problem = (
            f"{copy.target}: must be there, was missing; freqai-lstm install --userdir {folder}"
            if copy.state is State.MISSING
            else ""
        )
        found = {State.SAME: "as shipped", State.CHANGED: "changed", State.MISSING: "missing"}
        yield Finding(copy.target.name, found[copy.state], problem)


def check_identifier(
    config: Mapping[str, Any], settings: FreqaiSettings, strategy: Any
) -> Iterator[Finding]:
    """Report the models of the identifier, and whether the present settings fit them.

    :param config: freqtrade's configuration.
    :param settings: Its ``freqai`` section.
    :param strategy: The strategy.
    """
    folder = identifier_folder(config)
    present = trained_with(settings, config["timeframe"], config["freqaimodel"])
    problem = ""
    try:
        IdentifierGuard(folder).refuse_changed(present | featured_by(strategy))
    except SettingsError as error:
        problem = str(error)
    yield Finding("identifier", settings.identifier, problem)
    windows = {coin: len(models) for coin, models in saved_models(folder).items()}
    each = ", ".join(f"{coin} {count}" for coin, count in windows.items())
    yield Finding("saved models", f"{sum(windows.values())}{f' ({each})' if each else ''}")
    yield Finding("saved predictions", f"{len(saved_predictions(folder))} backtest window(s)")
    yield Finding("live predictions", "yes" if (folder / HISTORY).is_file() else "none")
