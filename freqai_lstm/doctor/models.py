"""Checks what is saved under FreqAI's ``identifier``."""

from collections.abc import Iterator, Mapping
from typing import Any

from freqai_lstm.doctor.finding import Finding
from freqai_lstm.exceptions import SettingsError
from freqai_lstm.folders import identifier_folder
from freqai_lstm.identifier import IdentifierGuard, featured_by, trained_with
from freqai_lstm.settings import FreqaiSettings


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
    # FreqAI's folder of a window is sub-train-<PAIR>_<end of the training window>.
    windows: dict[str, int] = {}
    for model in folder.glob("sub-train-*/*_model.zip"):
        pair = model.parent.name.removeprefix("sub-train-").rpartition("_")[0]
        windows[pair] = windows.get(pair, 0) + 1
    each = ", ".join(f"{pair} {count}" for pair, count in sorted(windows.items()))
    yield Finding("saved models", f"{sum(windows.values())}{f' ({each})' if each else ''}")
    predictions = list(folder.glob("backtesting_predictions/*_prediction.*"))
    yield Finding("saved predictions", f"{len(predictions)} backtest window(s)")
    live = (folder / "historic_predictions.pkl").is_file()
    yield Finding("live predictions", "yes" if live else "none")
