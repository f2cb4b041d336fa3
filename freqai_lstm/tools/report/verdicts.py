"""Says in words what the figures of a backtest mean, and warns where they mean little."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from freqtrade.configuration import TimeRange

from freqai_lstm.tools.predictions import SCORE
from freqai_lstm.tools.report import figures
from freqai_lstm.tools.statistics import SIGNIFICANCE, Estimate

_FULLY_LEARNED = 0.9
_NEARLY_CONSTANT = 0.05
_NEARLY_ALWAYS = 0.95
_MOSTLY = 0.5
_BADLY_CALIBRATED = 1.25
_FAR_FROM_NORMAL = 0.1
_TELLING = 0.1


@dataclass(frozen=True)
class Verdict:
    """A judgement, and whether it is good news, a warning, or neither."""

    tone: Literal["good", "plain", "warning"]
    text: str


def overall_verdicts(
    overall: figures.OverallFigures, pairs: Sequence[figures.PairFigures], horizon: int
) -> list[Verdict]:
    """Judge a backtest as a whole.

    :param horizon: How many candles ahead the score is predicted.
    :return: What the model knows of the score, then what its score knows of returns.
    """
    of_pairs = f"on average over {len(pairs)} pairs" if len(pairs) > 1 else f"on {pairs[0].pair}"
    return [
        _score_verdict(overall.correlation, overall.persistence, overall.gain, horizon, of_pairs),
        _returns_verdict("the predicted score", overall.rank_ic["model"]),
        *(
            [_returns_verdict("the return head", overall.return_head)]
            if overall.return_head is not None
            else []
        ),
        *(_spread_verdicts(overall.spreads) if overall.spreads else ()),
    ]


def tuning_verdicts(tuned_on: str | None, timerange: str) -> list[Verdict]:
    """Warn of figures on candles that the parameters were chosen on.

    :param tuned_on: ``freqai.tuned_on``, None where nothing is known of it.
    :param timerange: The reported one.
    """
    if tuned_on is None or not _overlap(tuned_on, timerange):
        return []
    return [
        Verdict(
            "warning",
            f"Tuned on these candles: the parameters were chosen on {tuned_on} (freqai.tuned_on), "
            f"which overlaps with the reported {timerange}. The figures flatter; judge on candles "
            f"that the search has not seen.",
        )
    ]


def pair_verdicts(pair: figures.PairFigures, horizon: int, expected_windows: int) -> list[Verdict]:
    """Judge one pair.

    :param horizon: How many candles ahead the score is predicted.
    """
    whole = pair.whole
    verdicts = [Verdict("warning", text) for text in _warnings(pair, expected_windows)]
    if whole.compared:
        ours, theirs = (whole.forecasts[name].correlation for name in ("model", "persistence"))
        verdicts.append(_score_verdict(ours, theirs, whole.gain, horizon, f"on {pair.pair}"))
    return verdicts


def _score_verdict(
    correlation: Estimate, persistence: Estimate, gain: Estimate, horizon: int, where: str
) -> Verdict:
    """Judge the forecast of the score against chance, and ahead of time against persistence."""
    ahead = f"the score {horizon} candle(s) ahead" if horizon else "the present score"
    found = f"{where} the correlation of the prediction with {ahead} is {_pm(correlation)}"
    if not (correlation.differs_from_zero and correlation.value > 0):
        return Verdict(
            "warning",
            f"No skill: {found}, which is not distinguishable from chance. Do not trade on it.",
        )
    if not horizon:
        if correlation.value < _FULLY_LEARNED:
            return Verdict(
                "warning",
                f"Learned in part: {found}. It is a formula of the candle itself, and a trained "
                f"network must come close to 1.",
            )
        return Verdict(
            "plain",
            f"Nowcast: {found}. The candle already shows this score, so this is what the network "
            f"must reach, and no sign that the market can be predicted.",
        )
    compared = f"persistence reaches {_pm(persistence)}, the difference is {_pm(gain)}"
    if not gain.differs_from_zero:
        return Verdict(
            "warning",
            f"Not distinguishable from persistence: {found}; {compared}, which may be chance. "
            f"Nothing shows that the model knows more than the present score.",
        )
    if gain.value < 0:
        return Verdict("warning", f"Worse than persistence: {found}; {compared}.")
    return Verdict("good", f"Better than persistence: {found}; {compared}.")


def _returns_verdict(what: str, rank_ic: Mapping[int, Estimate]) -> Verdict:
    """Judge a forecast against forward returns, corrected for the number of horizons."""
    level = SIGNIFICANCE / len(rank_ic)
    found = {ahead: ic for ahead, ic in rank_ic.items() if ic.p_value < level}
    horizons = ", ".join(map(str, rank_ic))
    if not found:
        return Verdict(
            "warning",
            f"No word on returns: the rank correlation of {what} with the return of the next "
            f"{horizons} candles is not distinguishable from 0 at the level of "
            f"{100 * SIGNIFICANCE:g} %, shared among {len(rank_ic)} tests.",
        )
    listed = ", ".join(f"{_pm(ic)} over {ahead} candle(s)" for ahead, ic in found.items())
    against = all(ic.value < 0 for ic in found.values())
    return Verdict(
        "warning" if any(ic.value < 0 for ic in found.values()) else "good",
        f"Rank correlation of {what} with forward returns that chance hardly explains: {listed}."
        + (" Prices moved against it." if against else ""),
    )


def _spread_verdicts(spreads: Mapping[str, figures.SpreadFigures]) -> Iterator[Verdict]:
    """Judge the spread of an ensemble against its errors."""
    spread, rank = spreads[figures.ALL_LABELS], spreads[SCORE].rank_correlation
    found = (
        f"out of sample the errors are {spread.error_ratio:.2f} times the spreads, and the truth "
        f"lies within one spread of the prediction on {_pct(spread.within_one)} and within two on "
        f"{_pct(spread.within_two)} of the candles; of a normal error it would on "
        f"{_pct(figures.normal_share(1))} and {_pct(figures.normal_share(2))}"
    )
    off_normal = max(
        abs(spread.within_one - figures.normal_share(1)),
        abs(spread.within_two - figures.normal_share(2)),
    )
    if off_normal > _FAR_FROM_NORMAL:
        found += ". Do not read it as an interval of a normal error"
    if spread.error_ratio > _BADLY_CALIBRATED:
        yield Verdict("warning", f"Spread too small, badly calibrated: {found}.")
    elif spread.error_ratio < 1 / _BADLY_CALIBRATED:
        yield Verdict("warning", f"Spread too large, badly calibrated: {found}.")
    else:
        yield Verdict("plain", f"Spread of the size of the errors: {found}.")
    ranks = f"the rank correlation of the score's spread with its error is {_pm(rank)}"
    if rank.differs_from_zero and rank.value >= _TELLING:
        yield Verdict("good", f"Errors are larger where the spread is: {ranks}.")
    else:
        yield Verdict(
            "warning",
            f"The spread hardly tells large errors from small ones: {ranks}. There is little "
            f"reason to refuse trades by it (min_certainty).",
        )


def _warnings(pair: figures.PairFigures, expected_windows: int) -> Iterator[str]:
    whole, missing = pair.whole, expected_windows - len(pair.windows)
    if missing > 0:
        yield (
            f"{missing} of {expected_windows} training windows have no predictions: their "
            f"training failed, and freqtrade's log says why."
        )
    if whole.predicted_share < _MOSTLY:
        yield (
            f"do_predict is 0 on {_pct(1 - whole.predicted_share)} of the candles: too many gaps, "
            f"or candles too unlike the training data (DI_threshold)."
        )
    if not whole.compared:
        yield "Not one candle was predicted: there is nothing to judge."
        return
    if not whole.spread_ratio >= _NEARLY_CONSTANT:
        yield (
            f"The predictions are nearly constant: their standard deviation is "
            f"{_pct(whole.spread_ratio)} of the true score's."
        )
    yield from _threshold_warnings(whole)


def _threshold_warnings(whole: figures.Period) -> Iterator[str]:
    if whole.above is None or whole.below is None:
        return
    if whole.above + whole.below > _NEARLY_ALWAYS:
        yield (
            f"The score is beyond a threshold on {_pct(whole.above + whole.below)} of the candles: "
            f"the thresholds select nothing."
        )
    elif not whole.above and not whole.below:
        yield "The score never crosses a threshold: the strategy cannot trade."
    elif not whole.above or not whole.below:
        side = "lower" if whole.above else "upper"
        yield f"The score never crosses the {side} threshold: the strategy trades one side only."


def _overlap(first: str, second: str) -> bool:
    """Say whether two timeranges have candles in common; one without an end goes on for ever."""
    one, other = map(TimeRange.parse_timerange, (first, second))
    return bool(
        one.startts < (other.stopts or math.inf) and other.startts < (one.stopts or math.inf)
    )


def _pm(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ± {estimate.standard_error:.3f}"


def _pct(share: float) -> str:
    return f"{100 * share:.1f} %"
