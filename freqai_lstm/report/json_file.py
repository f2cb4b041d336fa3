"""Writes the figures of a report for machines."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from freqai_lstm.files import replacing
from freqai_lstm.report.backtest import BacktestReport
from freqai_lstm.report.statistics import Estimate
from freqai_lstm.report.trades import TradingResult


def write_json(report: BacktestReport, file: Path) -> None:
    """Write all figures and verdicts, without the candles, as JSON.

    What is not defined is null.
    """
    plain = {
        name: _plain(getattr(report, name))
        for name in (field.name for field in fields(report))
        if name not in ("pairs", "trading")
    }
    plain["pairs"] = [
        {
            "pair": pair.figures.pair,
            "verdicts": _plain(pair.verdicts),
            "whole": _plain(pair.figures.whole),
            "windows": _plain(pair.figures.windows),
            "spreads": _plain(pair.figures.spreads),
            "trainings": [
                _plain(curve) | {"epochs": curve.epochs, "best_epoch": curve.best_epoch}
                for curve in pair.curves
            ],
        }
        for pair in report.pairs
    ]
    trading = report.trading
    plain["trading"] = _plain(trading.figures) if isinstance(trading, TradingResult) else None
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(plain, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(value, Estimate):
        figures = {"value": value.value, "standard_error": value.standard_error}
        return _plain(figures | {"p_value": value.p_value})
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
