"""What the plots of all commands have in common."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

LINE_POINTS = 2000
MODEL, PERSISTENCE, TRUTH, RETURN_HEAD = "#1f5fbf", "#c2570c", "#6b7280", "#0f7b4f"
_ERROR_BARS = 1.96


def empty_plot(x_title: str, y_title: str) -> go.Figure:
    """Return a plot without anything in it."""
    figure = go.Figure()
    apply_style(figure, height=340)
    figure.update_xaxes(title_text=x_title)
    figure.update_yaxes(title_text=y_title)
    return figure


def line_plot(lines: Mapping[str, tuple[str, pd.Series]], y_title: str) -> go.Figure:
    """Draw lines over time.

    :param lines: Colour and values by name.
    """
    figure = empty_plot("", y_title)
    for name, (colour, series) in lines.items():
        drawn = extremes(series, LINE_POINTS)
        figure.add_scatter(name=name, x=drawn.index, y=drawn, line={"color": colour})
    return figure


def extremes(series: pd.Series, points: int) -> pd.Series:
    """Return a series for drawing: the lowest and the highest value of each stretch.

    :param series: Values in order; NaN is dropped.
    :param points: About how many to keep; a shorter series stays whole.
    """
    series = series.dropna()
    if len(series) <= points:
        return series
    stretch = np.arange(len(series)) * (points // 2) // len(series)
    values = series.reset_index(drop=True).groupby(stretch)
    return series.iloc[sorted({*values.idxmin(), *values.idxmax()})]


def apply_style(figure: go.Figure, height: int) -> None:
    """Give a plot the look that all have."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 55, "r": 10, "t": 10, "b": 45},
        font={"color": "#111827", "size": 12},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0},
        hovermode="closest",
    )


def error_bars(errors: Iterable[float]) -> dict[str, object]:
    """Return error bars of intervals of 95 %, from standard errors."""
    bars = [_ERROR_BARS * error for error in errors]
    return {"type": "data", "array": bars, "thickness": 1}


def dashed(colour: str) -> dict[str, object]:
    """Return the style of a dashed line."""
    return {"color": colour, "dash": "dash", "width": 1}


def day(window: int) -> str:
    """Return the date of a training window."""
    return f"{pd.Timestamp(window, unit='s'):%Y-%m-%d}"
