"""Writes a report: for people as one HTML page that needs no network, for machines as JSON."""

import json
import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from freqai_lstm.files import replacing
from freqai_lstm.tools.report import plots
from freqai_lstm.tools.report.figures import RETURN_HORIZONS
from freqai_lstm.tools.report.gather import BacktestReport, PairReport, TradingResult
from freqai_lstm.tools.statistics import Estimate, plain

_NONE = "-"


def write_page(report: BacktestReport, file: Path) -> None:
    """Write the page, plotly's library included."""
    environment = Environment(
        loader=PackageLoader("freqai_lstm.tools.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "share": _share, "estimate": _estimate}
    page = environment.get_template("page.html").render(
        report=report,
        trading=report.trading if isinstance(report.trading, TradingResult) else None,
        horizons=RETURN_HORIZONS,
        forecasts=_forecast_names(report.horizon),
        overall_plots=dict(_overall_plots(report)),
        pair_plots=[dict(_pair_plots(report, pair)) for pair in report.pairs],
        line_points=plots.LINE_POINTS,
        scatter_points=plots.SCATTER_POINTS,
        plotly=get_plotlyjs(),
    )
    with replacing(file) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _forecast_names(horizon: int) -> dict[str, str]:
    """Return the forecasts worth showing; of the present candle, persistence is the truth."""
    if not horizon:
        return {"model": "model", "truth": "true present score"}
    return {
        "model": "model",
        "persistence": "persistence (true present score)",
        "truth": f"true score {horizon} ahead (hindsight)",
    }


def _overall_plots(report: BacktestReport) -> Iterator[tuple[str, str]]:
    if isinstance(report.trading, TradingResult):
        yield "Equity against buying and holding", _embedded(plots.equity_plot(report.trading))
    if report.horizon:
        figures = [pair.figures for pair in report.pairs]
        yield "Correlation with the true score", _embedded(plots.correlation_plot(figures))
    overall = report.overall
    series = {
        "model": (plots.MODEL, overall.rank_ic["model"]),
        "present score": (plots.PERSISTENCE, overall.rank_ic["persistence"]),
    }
    if overall.return_head is not None:
        series["return head"] = (plots.RETURN_HEAD, overall.return_head)
    yield (
        "Rank correlation with forward returns, mean over pairs",
        _embedded(plots.rank_ic_plot(series)),
    )


def _pair_plots(report: BacktestReport, pair: PairReport) -> Iterator[tuple[str, str]]:
    trades = report.trading.trades if isinstance(report.trading, TradingResult) else None
    timeline = plots.timeline_plot(pair.predictions, report.signals, trades)
    yield "Price, trades and the score that is traded", _embedded(timeline)
    if pair.figures.whole.compared:
        yield "Predicted against true score", _embedded(plots.scatter_plot(pair.predictions))
        yield "Calibration", _embedded(plots.calibration_plot(pair.figures))
    if pair.figures.spreads:
        yield "Spread against error", _embedded(plots.coverage_plot(pair.predictions))
    if pair.curves:
        yield "Training", _embedded(plots.training_plot(pair.curves))


def _embedded(figure: go.Figure) -> str:
    """Return a figure as JSON that may stand within a script element."""
    return str(figure.to_json()).replace("</", "<\\/")


def _number(value: float | None, digits: int = 3) -> str:
    return _NONE if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    return _NONE if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def _estimate(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return _NONE
    error = estimate.standard_error
    star = "*" if estimate.differs_from_zero else ""
    return f"{estimate.value:.3f}{star}" + ("" if math.isnan(error) else f" ± {error:.3f}")


def write_json(report: BacktestReport, file: Path) -> None:
    """Write all figures and verdicts, without the candles, as JSON.

    What is not defined is null.
    """
    content = {
        field.name: plain(getattr(report, field.name))
        for field in fields(report)
        if field.name not in ("pairs", "trading")
    }
    content["pairs"] = [
        plain(vars(pair.figures))
        | {
            "verdicts": plain(pair.verdicts),
            "trainings": [
                plain(curve) | {"epochs": curve.epochs, "best_epoch": curve.best_epoch}
                for curve in pair.curves
            ],
        }
        for pair in report.pairs
    ]
    trading = report.trading
    content["trading"] = plain(trading.figures) if isinstance(trading, TradingResult) else None
    with replacing(file) as temporary:
        temporary.write_text(
            json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8"
        )
