"""Checks what a strategy is told to trade with: its parameter file, before anything is traded.

freqtrade takes a value of any kind and size from the file, passes over names that it does not know,
and goes on with the defaults where it cannot read the file at all.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from freqtrade.strategy import BooleanParameter, CategoricalParameter
from freqtrade.strategy.parameters import BaseParameter, NumericParameter

from freqai_lstm.bridge.configuration import did_you_mean
from freqai_lstm.bridge.internals import own_parameters
from freqai_lstm.exceptions import SettingsError

# Spaces of the file that freqtrade reads itself, and which of its commands write.
_OWN_SPACES = ("roi", "stoploss", "trailing", "max_open_trades")


def check_parameter_file(strategy: Any) -> None:
    """Refuse a parameter file with values that the strategy cannot have.

    :param strategy: A strategy; its file lies beside it, with the same name and ``.json``.
    :raises SettingsError: With a line for every problem: the parameter, what is required and what
        was found.
    """
    file = Path(strategy.__file__).with_suffix(".json")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file}: must be a JSON object, was not: {error}") from error
    spaces = content.get("params") if isinstance(content, dict) else None
    if not isinstance(spaces, dict) or not all(isinstance(each, dict) for each in spaces.values()):
        raise SettingsError(f"{file}: params must be an object of objects, was {spaces!r}")
    problems = list(_problems(own_parameters(strategy), spaces))
    if problems:
        lines = "\n  ".join(problems)
        raise SettingsError(f"{file} has {len(problems)} problem(s), nothing is traded:\n  {lines}")


def check_trading_keys(config: Mapping[str, Any]) -> None:
    """Refuse wrong values of the keys that a strategy trades with and freqtrade does not know.

    :raises SettingsError: If ``leverage`` is no number of at least 1, is not 1 in spot mode, or
        ``stake_by_certainty`` is not true or false.
    """
    leverage, by_certainty = config.get("leverage", 1), config.get("stake_by_certainty", False)
    is_number = isinstance(leverage, int | float) and not isinstance(leverage, bool)
    problems = []
    if not is_number or not 1 <= leverage < math.inf:
        problems.append(f"leverage: must be a number of at least 1, was {leverage!r}")
    elif leverage != 1 and config.get("trading_mode") != "futures":
        problems.append(f"leverage: must be 1 where trading_mode is not futures, was {leverage!r}")
    if not isinstance(by_certainty, bool):
        problems.append(f"stake_by_certainty: must be true or false, was {by_certainty!r}")
    if problems:
        raise SettingsError("\n".join(problems))


def _problems(
    known: Mapping[str, BaseParameter], spaces: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Give what is wrong with the values of a file.

    :param known: The strategy's parameters by name.
    :param spaces: The file's values by space and name.
    """
    for space, values in spaces.items():
        for name, value in values.items():
            path = f"params.{space}.{name}"
            if space in _OWN_SPACES:
                if isinstance(value, float) and not math.isfinite(value):
                    yield f"{path}: must be a finite number, was {value!r}"
                continue
            parameter = known.get(name)
            if parameter is None or parameter.space != space:
                yield f"{path}: unknown parameter{_hint(name, space, known)}, was {value!r}"
            elif requirement := _requirement(parameter, value):
                yield f"{path}: must be {requirement}, was {value!r}"


def _hint(name: str, space: str, known: Mapping[str, BaseParameter]) -> str:
    if name in known:
        return f" of this space (it is one of {known[name].space!r})"
    return did_you_mean(name, (n for n, parameter in known.items() if parameter.space == space))


def _requirement(parameter: BaseParameter, value: Any) -> str | None:
    """Return what a parameter's value must be, None if this one is."""
    match parameter:
        case BooleanParameter():
            return None if isinstance(value, bool) else "true or false"
        case CategoricalParameter():
            return None if value in parameter.opt_range else f"one of {parameter.opt_range!r}"
        case NumericParameter():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not parameter.low <= value <= parameter.high:
                return f"a number from {parameter.low:g} to {parameter.high:g}"
    return None
