"""Where FreqAI keeps what belongs to an ``identifier``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from freqai_lstm.exceptions import SettingsError


def identifier_folder(config: Mapping[str, Any]) -> Path:
    """Return the folder of the configuration's identifier."""
    identifier: str = config["freqai"]["identifier"]
    return Path(config["user_data_dir"]) / "models" / identifier


def model_folder(identifier: Path, pair: str, timestamp: int) -> Path:
    """Return the folder of a model.

    :param identifier: The identifier's folder.
    :param pair: The pair.
    :param timestamp: The end of the training, in seconds since 1970.
    """
    return identifier / f"sub-train-{pair.partition('/')[0]}_{timestamp}"


def model_filename(pair: str, timestamp: int) -> str:
    """Return what the names of all files of a model begin with."""
    return f"cb_{pair.partition('/')[0].lower()}_{timestamp}"


def prediction_file(identifier: Path, pair: str, timestamp: int) -> Path:
    """Return the file with the predictions that a model made in a backtest."""
    name = f"{model_filename(pair, timestamp)}_prediction.feather"
    return identifier / "backtesting_predictions" / name


def check_coins(pairs: Iterable[str]) -> None:
    """Refuse pairs whose models FreqAI would keep under the same names.

    It names a model by the pair's coin alone: of two quotes of one coin, the second would silently
    get the predictions of the first.

    :raises SettingsError: If two pairs have the same coin.
    """
    pair_of_coin: dict[str, str] = {}
    for pair in pairs:
        other = pair_of_coin.setdefault(pair.partition("/")[0].lower(), pair)
        if other != pair:
            raise SettingsError(
                f"exchange.pair_whitelist: must have one pair of each coin, since FreqAI keeps "
                f"models by coin, was {other} and {pair}; give each its own freqai.identifier"
            )
