"""The tables of a comparison, for people."""

import math
from collections.abc import Sequence
from typing import Any

from freqai_lstm.tools.command import print_table
from freqai_lstm.tools.evaluate.comparison import CLASS_FIGURES, FIGURES, Row, Spread
from freqai_lstm.tools.evaluate.yardsticks import InformationRow
from freqai_lstm.tools.information import YARDSTICKS

_HEADERS = (
    *("h", "Pair", "Model", "Correlation", "Gain", "Of a window", "R2"),
    *("Sign accuracy", "Rank IC", "Rank IC return head"),
)
_CLASS_HEADERS = ("h", "Pair", "Model", "Log loss", "Gain", "Brier", "Accuracy")
_NOTE = """\
Mean ± standard deviation over seeds, on the candles that all models predicted. Gain: correlation
less that of persistence (the newest known label taken as the forecast) ± Newey-West standard error.
Of a window: mean of the correlations within each training window, since one with wild prices can
decide that over all.
Rank IC: rank correlation of the prediction, and of the return head, with the return of as many
candles as the label looks ahead. FreqAI's own Transformer puts each of its predictions one row late
and predicts 0 for the first conv_width rows of a window; it is compared as it comes."""
_CLASS_NOTE = """\
Mean ± standard deviation over seeds, on the candles that all models predicted. Gain: log loss of
the base rates (how frequent each class was by then) less the model's ± Newey-West error."""
_INFORMATION_HEADERS = (
    *("h", "Model", "Months", "Time series", "Mean of months", "less ridge's"),
    *("Candles", "Cross section", "less ridge's", "less persistence's", "Skill"),
)
_INFORMATION_NOTE = """\
Information: rank correlation of prediction and truth (rank IC), mean over seeds. Time series: each
pair over all candles, mean over pairs ± Newey-West error; and the mean of its months ± their
standard error. Cross section: over the pairs, candle by candle, where there are at least three;
mean ± Newey-West error. Less: the difference on the same candles or months. Skill: more than
nothing, than ridge and than persistence, each beyond chance at 5 %, in the cross section, or in the
time series with fewer than three pairs. What beats LightGBM alone is no skill."""


def print_comparison(
    rows: Sequence[Row],
    information: Sequence[InformationRow],
    labels: Sequence[str],
    timerange: str,
) -> None:
    """Print a table of each label, of a return also what is known of it, and what they mean.

    :param labels: Those to show.
    """
    for label in labels:
        of_label = [row for row in rows if row.label == label]
        of_classes = of_label[0].is_of_classes
        print_table(
            f"WALK-FORWARD COMPARISON OF {label}, {timerange}",
            _CLASS_HEADERS if of_classes else _HEADERS,
            map(_cells, of_label),
        )
        if known := [row for row in information if row.label == label]:
            title = f"INFORMATION ON {label}, {timerange}, all pairs together"
            print_table(title, _INFORMATION_HEADERS, map(_information_cells, known))
    kinds = {row.is_of_classes for row in rows if row.label in labels}
    notes = {
        _NOTE: False in kinds,
        _CLASS_NOTE: True in kinds,
        _INFORMATION_NOTE: any(row.label in labels for row in information),
    }
    print("\n".join(note for note, is_due in notes.items() if is_due))


def _cells(row: Row) -> list[Any]:
    first, *others = CLASS_FIGURES if row.is_of_classes else FIGURES
    digits = 4 if row.is_of_classes else 3
    gain = f"{row.gain.value:.{digits}f} ± {row.gain.standard_error:.{digits}f}"
    return [
        row.horizon,
        row.pair,
        row.model,
        _cell(row.figures[first], digits),
        "-" if math.isnan(row.gain.standard_error) else gain,
        *(_cell(row.figures[name], digits) for name in others),
    ]


def _information_cells(row: InformationRow) -> list[Any]:
    judgement = row.judgement
    figures = judgement.figures
    ridge, persistence = (judgement.less.get(name) for name in YARDSTICKS)
    return [
        *(row.horizon, row.model, figures.months, figures.time_series, figures.monthly),
        ridge.monthly if ridge else "-",
        *(figures.candles, figures.cross_sectional),
        ridge.cross_sectional if ridge else "-",
        persistence.cross_sectional if persistence else "-",
        {True: "yes", False: "no", None: "-"}[judgement.is_skilled],
    ]


def _cell(spread: Spread, digits: int) -> str:
    if math.isnan(spread.mean):
        return "-"
    std = "" if math.isnan(spread.std) else f" ± {spread.std:.{digits}f}"
    return f"{spread.mean:.{digits}f}{std}"
