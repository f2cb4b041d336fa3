"""Writes a report: for people as one HTML page that needs no network, for machines as JSON."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from freqai_lstm.files import replacing
from freqai_lstm.tools import drawing
from freqai_lstm.tools.pages import embedded, write_html
from freqai_lstm.tools.report import plots
from freqai_lstm.tools.report.classes import ClassFigures
from freqai_lstm.tools.report.figures import RETURN_HORIZONS, OverallFigures, PairFigures
from freqai_lstm.tools.report.gather import BacktestReport, LabelReport, PairReport
from freqai_lstm.tools.report.money import TRADE_COLUMNS, TradingResult
from freqai_lstm.tools.report.returns import MODEL, ReturnFigures
from freqai_lstm.tools.statistics import plain


def write_page(report: BacktestReport, file: Path) -> None:
    """Write the page, plotly's library included."""
    write_html(
        "report.html",
        file,
        report=report,
        trading=report.trading if isinstance(report.trading, TradingResult) else None,
        horizons=RETURN_HORIZONS,
        json_file=file.with_suffix(".json").name,
        money_plots=dict(_money_plots(report)),
        label_plots=[dict(_label_plots(label)) for label in report.labels],
        pair_plots=[
            [dict(_pair_plots(report, label, pair)) for pair in label.pairs]
            for label in report.labels
        ],
        training_plots={
            name: embedded(plots.training_plot(curves))
            for name, curves in report.curves.items()
            if curves
        },
        forecast_names=_forecast_names,
        line_points=drawing.LINE_POINTS,
        scatter_points=plots.SCATTER_POINTS,
    )


def _forecast_names(label: LabelReport) -> dict[str, str]:
    """Return the forecasts worth showing; of the present candle, persistence is the truth."""
    if not label.horizon:
        return {"model": "model", "truth": f"true present {label.label}"}
    return {
        "model": "model",
        "persistence": f"persistence (newest known {label.label})",
        "truth": f"true {label.label} (hindsight)",
    }


def _money_plots(report: BacktestReport) -> Iterator[tuple[str, str]]:
    if isinstance(report.trading, TradingResult):
        yield "Equity against buying and holding", embedded(plots.equity_plot(report.trading))
        yield "Drawdown", embedded(plots.drawdown_plot(report.trading))


def _label_plots(label: LabelReport) -> Iterator[tuple[str, str]]:
    if not isinstance(label.overall, OverallFigures):
        return
    if label.horizon:
        figures = [pair.figures for pair in label.pairs if isinstance(pair.figures, PairFigures)]
        yield "Correlation with the truth", embedded(plots.correlation_plot(figures))
    overall = label.overall
    series = {
        "model": (drawing.MODEL, overall.rank_ic["model"]),
        "persistence": (drawing.PERSISTENCE, overall.rank_ic["persistence"]),
    }
    if overall.return_head is not None:
        series["return head"] = (drawing.RETURN_HEAD, overall.return_head)
    yield (
        "Rank correlation with forward returns, mean over pairs",
        embedded(plots.rank_ic_plot(series)),
    )
    if label.returns is not None:
        known = label.returns.known
        yield "Rank correlation of each month", embedded(plots.monthly_ic_plot(known))
        if label.returns.judged[MODEL].figures.candles:
            yield (
                "Rank correlation over the pairs, summed up",
                embedded(plots.cumulative_ic_plot(known)),
            )


def _pair_plots(
    report: BacktestReport, label: LabelReport, pair: PairReport
) -> Iterator[tuple[str, str]]:
    trades = report.trading.trades if isinstance(report.trading, TradingResult) else None
    timeline = plots.timeline_plot(pair.predictions, report.signals, trades)
    yield f"Price, trades and {label.label}", embedded(timeline)
    if isinstance(pair.figures, ClassFigures):
        yield "Reliability", embedded(plots.reliability_plot(pair.figures.reliability))
        return
    if pair.figures.whole.compared:
        yield "Predicted against true", embedded(plots.scatter_plot(pair.predictions))
        yield "Calibration", embedded(plots.calibration_plot(pair.figures))
    if pair.figures.spreads:
        yield "Spread against error", embedded(plots.coverage_plot(pair.predictions))


def write_json(report: BacktestReport, file: Path) -> None:
    """Write all figures, verdicts and trades, without the candles, as JSON.

    What is not defined is null.
    """
    content = {
        field.name: plain(getattr(report, field.name))
        for field in fields(report)
        if field.name not in ("labels", "trading", "curves")
    }
    content["labels"] = {label.label: _plain_label(label) for label in report.labels}
    content["trainings"] = {
        pair: [
            plain(curve) | {"epochs": curve.epochs, "best_epoch": curve.best_epoch}
            for curve in curves
        ]
        for pair, curves in report.curves.items()
    }
    content["trading"] = (
        _plain_trading(report.trading) if isinstance(report.trading, TradingResult) else None
    )
    with replacing(file) as temporary:
        temporary.write_text(
            json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8"
        )


def _plain_label(label: LabelReport) -> dict[str, Any]:
    names = ("horizon", "classes", "overall", "verdicts")
    return {name: plain(getattr(label, name)) for name in names} | {
        "returns": _plain_returns(label.returns) if label.returns else None,
        "pairs": [
            plain(vars(one.figures)) | {"verdicts": plain(one.verdicts)} for one in label.pairs
        ],
    }


def _plain_returns(returns: ReturnFigures) -> dict[str, Any]:
    return {
        name: plain(judgement) | {"months": plain(returns.known[name].months.to_dict())}
        for name, judgement in returns.judged.items()
    }


def _plain_trading(trading: TradingResult) -> dict[str, Any]:
    trades = trading.trades.reindex(columns=[*TRADE_COLUMNS])
    return {
        "file": trading.file,
        **plain(trading.figures),
        "months": {month: plain(row.to_dict()) for month, row in trading.months.iterrows()},
        "pairs": plain(trading.pairs),
        "exits": plain(trading.exits),
        "list": [plain(trade) for trade in trades.to_dict("records")],
    }
