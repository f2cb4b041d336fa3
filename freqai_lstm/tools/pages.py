"""The pages that commands write: HTML that needs no network, with tables and plots."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from freqai_lstm.files import replacing
from freqai_lstm.tools.drawing import day
from freqai_lstm.tools.statistics import Estimate

_NONE = "-"


def write_html(template: str, file: Path, **content: Any) -> None:
    """Write a page, plotly's library included.

    :param template: Its name in ``tools/templates``.
    :param content: What the template shows; figures as :func:`embedded` gives them.
    """
    environment = Environment(
        loader=PackageLoader("freqai_lstm.tools"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "share": _share, "estimate": _estimate}
    environment.filters |= {"signed": _signed, "day": day, "time": _time, "price": _price}
    page = environment.get_template(template).render(plotly=get_plotlyjs(), **content)
    with replacing(file) as temporary:
        temporary.write_text(page, encoding="utf-8")


def embedded(figure: go.Figure) -> str:
    """Return a figure as JSON that may stand within a script element."""
    return str(figure.to_json()).replace("</", "<\\/")


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as people read it, without a minus before nothing."""
    return (
        _NONE if value is None or math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}"
    )


def _price(value: float) -> str:
    return f"{value:.8g}"


def _time(value: pd.Timestamp) -> str:
    return f"{value:%Y-%m-%d %H:%M}"


def _share(value: float | None) -> str:
    return _NONE if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def _signed(value: float | None) -> str:
    return _NONE if value is None or math.isnan(value) else f"{100 * value:+.1f} %"


def _estimate(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return _NONE
    error = estimate.standard_error
    star = "*" if estimate.differs_from_zero else ""
    return f"{estimate.value:.3f}{star}" + ("" if math.isnan(error) else f" ± {error:.3f}")
