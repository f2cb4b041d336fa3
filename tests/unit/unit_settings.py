"""Configurations that the tests of the settings and of the identifier are made of."""

import copy
from typing import Any

from freqai_lstm.bridge.configuration import read_settings
from freqai_lstm.settings import FreqaiSettings

HOUR = 3600
DELETED = object()


def make_section(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Make the smallest ``freqai`` section, with changes by dotted key."""
    section: dict[str, Any] = {
        "enabled": True,
        "identifier": "lstm",
        "train_period_days": 10,
        "backtest_period_days": 2,
        "feature_parameters": {
            "include_timeframes": ["1h"],
            "include_corr_pairlist": [],
            "include_shifted_candles": 0,
            "indicator_periods_candles": [10],
        },
        "data_split_parameters": {},
    }
    for path, value in (changes or {}).items():
        *parents, name = path.split(".")
        holder = section
        for parent in parents:
            holder = holder.setdefault(parent, {})
        if value is DELETED:
            del holder[name]
        else:
            holder[name] = copy.deepcopy(value)
    return section


def read(changes: dict[str, Any] | None = None) -> FreqaiSettings:
    """Read the smallest section with changes by dotted key, for hourly candles."""
    return read_settings(make_section(changes), HOUR)
