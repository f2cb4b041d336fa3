"""The plots of a report, drawn with plotly."""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from freqai_lstm.score import Signals
from freqai_lstm.tools.drawing import (
    LINE_POINTS,
    MODEL,
    PERSISTENCE,
    RETURN_HEAD,
    TRUTH,
    apply_style,
    dashed,
    day,
    empty_plot,
    error_bars,
    extremes,
    line_plot,
)
from freqai_lstm.tools.information import Information
from freqai_lstm.tools.predictions import PairPredictions
from freqai_lstm.tools.report.figures import ALL_LABELS, PairFigures, coverage
from freqai_lstm.tools.report.gather import TrainingCurve
from freqai_lstm.tools.report.money import TradingResult
from freqai_lstm.tools.statistics import CalibrationBin, Estimate

SCATTER_POINTS = 1000

_COLOURS = {"model": MODEL, "persistence": PERSISTENCE, "ridge": TRUTH}
_WINDOW_COLOURS = ("#1f5fbf", "#c2570c", "#0f7b4f", "#8a3ffc", "#9f1853", "#006d75", "#7a5c00")


def rank_ic_plot(series: Mapping[str, tuple[str, Mapping[int, Estimate]]]) -> go.Figure:
    """Draw rank correlations with forward returns, with intervals of 95 %.

    :param series: Colour and figures by name.
    """
    figure = empty_plot("candles ahead", "rank correlation")
    for name, (colour, estimates) in series.items():
        figure.add_bar(
            name=name,
            x=[str(ahead) for ahead in estimates],
            y=[estimate.value for estimate in estimates.values()],
            error_y=error_bars(estimate.standard_error for estimate in estimates.values()),
            marker_color=colour,
        )
    figure.update_xaxes(type="category")
    return figure


def correlation_plot(pairs: Sequence[PairFigures]) -> go.Figure:
    """Draw each pair's correlation with the true label, beside that of persistence."""
    figure = empty_plot("", "correlation with the truth")
    for name, colour in (("model", MODEL), ("persistence", PERSISTENCE)):
        estimates = [pair.whole.forecasts[name].correlation for pair in pairs]
        figure.add_bar(
            name=name,
            x=[pair.pair.split("/")[0] for pair in pairs],
            y=[estimate.value for estimate in estimates],
            error_y=error_bars(estimate.standard_error for estimate in estimates),
            marker_color=colour,
        )
    return figure


def monthly_ic_plot(known: Mapping[str, Information]) -> go.Figure:
    """Draw the rank correlations of each month, mean over pairs."""
    figure = empty_plot("", "rank correlation")
    for name, each in known.items():
        figure.add_bar(name=name, x=each.months.index, y=each.months, marker_color=_COLOURS[name])
    figure.update_xaxes(type="category")
    return figure


def cumulative_ic_plot(known: Mapping[str, Information]) -> go.Figure:
    """Draw the sums of the candles' rank correlations over the pairs."""
    lines = {name: (_COLOURS[name], each.over_pairs.cumsum()) for name, each in known.items()}
    return line_plot(lines, "sum over the candles so far")


def equity_plot(result: TradingResult) -> go.Figure:
    """Draw the account and the value of buying and holding, both on every candle."""
    lines = {"strategy": (MODEL, result.equity), "buy and hold": (TRUTH, result.held)}
    return line_plot(lines, "value, 1 at the start")


def drawdown_plot(result: TradingResult) -> go.Figure:
    """Draw how far the account and the holding are below their highest value so far."""
    strategy, held = result.drawdown["strategy"], result.drawdown["held"]
    lines = {"strategy": (MODEL, strategy), "buy and hold": (TRUTH, held)}
    figure = line_plot(lines, "below the highest so far")
    figure.update_yaxes(tickformat=".0%")
    return figure


def reliability_plot(bins: Mapping[str, Sequence[CalibrationBin]]) -> go.Figure:
    """Draw how often each class came true over its probability, of bins of similar ones."""
    figure = empty_plot("mean probability of a bin", "share that came true")
    for number, (name, parts) in enumerate(bins.items()):
        figure.add_scatter(
            name=name,
            x=[part.predicted for part in parts],
            y=[part.true for part in parts],
            mode="lines+markers",
            line={"color": _window_colour(number)},
            error_y=error_bars(part.true_error for part in parts),
        )
    figure.add_scatter(name="perfect", x=[0, 1], y=[0, 1], mode="lines", line=dashed(TRUTH))
    return figure


def scatter_plot(pair: PairPredictions) -> go.Figure:
    """Draw the true over the predicted label, in standard deviations of the truth."""
    compared = pair.candles[pair.trusted]
    drawn = compared.sample(min(SCATTER_POINTS, len(compared)), random_state=0)
    scale = compared["true"].std()
    figure = empty_plot("predicted", "true")
    for number, window in enumerate(pair.windows):
        rows = drawn[drawn["window"] == window]
        figure.add_scatter(
            name=day(window),
            x=rows["predicted"] / scale,
            y=rows["true"] / scale,
            mode="markers",
            marker={"color": _window_colour(number), "size": 5, "opacity": 0.6},
        )
    predicted = compared["predicted"] / scale
    ends = [float(predicted.min()), float(predicted.max())]
    figure.add_scatter(name="perfect", x=ends, y=ends, mode="lines", line=dashed(TRUTH))
    return figure


def calibration_plot(pair: PairFigures) -> go.Figure:
    """Draw the mean truth over the mean prediction of bins of similar predictions."""
    bins = pair.whole.forecasts["model"].calibration
    figure = empty_plot("mean prediction of a bin", "mean truth")
    predicted = [part.predicted for part in bins]
    figure.add_scatter(
        name="bins",
        x=predicted,
        y=[part.true for part in bins],
        mode="lines+markers",
        line={"color": MODEL},
        error_y=error_bars(part.true_error for part in bins),
    )
    figure.add_scatter(name="perfect", x=predicted, y=predicted, mode="lines", line=dashed(TRUTH))
    return figure


def coverage_plot(pair: PairPredictions) -> go.Figure:
    """Draw how often the truth lies within so many spreads of the prediction."""
    shares = coverage(pair)
    figure = empty_plot("spreads around the prediction", "share of truths within")
    lines = {
        pair.label: {"color": MODEL},
        ALL_LABELS: {"color": PERSISTENCE},
        "normal": dashed(TRUTH),
    }
    for name, line in lines.items():
        figure.add_scatter(name=name, x=shares.index, y=shares[name], mode="lines", line=line)
    figure.update_yaxes(range=[0, 1.02])
    return figure


def training_plot(curves: Sequence[TrainingCurve]) -> go.Figure:
    """Draw the losses of each training, epoch by epoch."""
    figure = empty_plot("epoch", "loss")
    for number, curve in enumerate(curves):
        colour = _window_colour(number)
        lines = (("train", curve.train_loss, "dot"), ("test", curve.test_loss, "solid"))
        for name, losses, dash in lines:
            figure.add_scatter(
                name=f"{day(curve.window)} {name}",
                x=list(range(1, len(losses) + 1)),
                y=losses,
                mode="lines+markers",
                line={"color": colour, "dash": dash},
            )
    return figure


def timeline_plot(
    pair: PairPredictions, signals: Signals | None, trades: pd.DataFrame | None
) -> go.Figure:
    """Draw the price with the trades, and below it the predicted and the true label.

    Of a score, as it is traded; of classes, their probabilities.
    """
    candles = pair.candles
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.5, 0.5], vertical_spacing=0.04
    )
    apply_style(figure, height=560)
    price = extremes(candles["close"], LINE_POINTS)
    figure.add_scatter(
        name="close", x=price.index, y=price, line={"color": "#111827", "width": 1}, row=1, col=1
    )
    if trades is not None and len(trades):
        _add_trades(figure, trades[trades["pair"] == pair.pair])
    if pair.classes:
        lines = {
            name: (_window_colour(number), candles[f"p_{name}"])
            for number, name in enumerate(pair.classes)
        }
    else:
        scale = candles.get("to_traded", 1.0)
        lines = {
            name: (colour, candles[name] * scale)
            for name, colour in (("true", TRUTH), ("predicted", MODEL))
        }
    for name, (colour, values) in lines.items():
        drawn = extremes(values.where(candles["do_predict"] == 1), LINE_POINTS)
        line = {"color": colour, "width": 1}
        figure.add_scatter(name=name, x=drawn.index, y=drawn, line=line, row=2, col=1)
    for threshold in signals.score_thresholds if signals and "to_traded" in candles else ():
        figure.add_hline(y=threshold, line=dashed("#9f1853"), row=2, col=1)
    figure.update_yaxes(title_text="price", row=1, col=1)
    figure.update_yaxes(title_text=pair.label, row=2, col=1)
    return figure


def _add_trades(figure: go.Figure, trades: pd.DataFrame) -> None:
    drawn = {"mode": "markers", "row": 1, "col": 1}
    short = trades["is_short"].astype(bool)
    exits = trades.set_index("close_date")
    for name, rows, symbol, colour in (
        ("long", trades[~short], "triangle-up", RETURN_HEAD),
        ("short", trades[short], "triangle-down", "#b42318"),
    ):
        figure.add_scatter(
            name=name,
            x=rows["open_date"],
            y=rows["open_rate"],
            marker={"symbol": symbol, "size": 10, "color": colour},
            **drawn,
        )
    figure.add_scatter(
        name="exit",
        x=exits.index,
        y=exits["close_rate"],
        marker={"symbol": "x-thin", "size": 8, "line": {"width": 2, "color": "#111827"}},
        text=[
            f"{100 * profit:.2f} % ({reason})"
            for profit, reason in zip(exits["profit_ratio"], exits["exit_reason"], strict=True)
        ],
        **drawn,
    )


def _window_colour(number: int) -> str:
    return _WINDOW_COLOURS[number % len(_WINDOW_COLOURS)]
