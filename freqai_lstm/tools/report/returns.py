"""What the forecast of a return knows, beside ridge regression and persistence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from freqai_lstm.tools.information import (
    PERSISTENCE,
    RIDGE,
    Information,
    Judgement,
    information,
    is_return,
    judge,
)
from freqai_lstm.tools.predictions import PairPredictions
from freqai_lstm.tools.report.verdicts import Verdict

MODEL = "model"


@dataclass(frozen=True)
class ReturnFigures:
    """What each forecast of a return knows, by its name, on the candles that all predicted.

    :ivar known: Month by month and candle by candle.
    :ivar judged: Its figures, and how much more it knows than its yardsticks.
    """

    known: Mapping[str, Information]
    judged: Mapping[str, Judgement]


def return_figures(
    pairs: Sequence[PairPredictions], ridge: Sequence[PairPredictions] = ()
) -> ReturnFigures | None:
    """Return the figures of a label that is a return, None of another one.

    :param pairs: The predictions of all pairs.
    :param ridge: Those of ridge regression, if there are any; other pairs do not count then.
    """
    if not is_return(pairs[0]):
        return None
    linear = {pair.pair: pair for pair in ridge}
    forecasts: dict[str, dict[str, pd.Series]] = {}
    true = {}
    for pair in pairs:
        candles, compared = pair.candles, pair.trusted
        columns = {MODEL: candles["predicted"], PERSISTENCE: candles["present"]}
        if linear:
            if pair.pair not in linear:
                continue
            of_ridge = linear[pair.pair]
            compared &= of_ridge.trusted.reindex(compared.index, fill_value=False)
            columns[RIDGE] = of_ridge.candles["predicted"].reindex(compared.index)
        true[pair.pair] = candles["true"].where(compared)
        for name, values in columns.items():
            forecasts.setdefault(name, {})[pair.pair] = values.where(compared)
    truth = pd.DataFrame(true)
    order = [name for name in (MODEL, RIDGE, PERSISTENCE) if name in forecasts]
    horizon = max(pair.horizon for pair in pairs)
    known = {name: information(pd.DataFrame(forecasts[name]), truth, horizon) for name in order}
    return ReturnFigures(known, judge(known))


def return_verdict(judged: Mapping[str, Judgement], label: str) -> Verdict:
    """Judge what the forecast of a return knows: skill is what its yardsticks do not know.

    :param judged: Those of the model and of its yardsticks, by name.
    """
    model = judged[MODEL]
    which = "cross-sectional" if model.figures.candles else "time-series"
    found = f"the {which} rank IC of the predicted {label} is {model.figures.decisive}"
    for name, less in model.less.items():
        found += f", less {name}'s {less.decisive}"
    if not model.figures.is_more_than_chance:
        return Verdict("warning", f"Nothing known of {label}: {found}.")
    if model.is_skilled is None:
        return Verdict(
            "plain",
            f"Not judged yet: {found}. What ridge regression of the newest candle knows as well is "
            f"no skill; report --ridge and evaluate compare with it.",
        )
    if model.is_skilled:
        return Verdict("good", f"Skill: {found}.")
    beaten = [name for name, less in model.less.items() if not less.is_more_than_chance]
    return Verdict("warning", f"No skill: {found}. It must know more than {' and '.join(beaten)}.")
