"""Says in words what the figures of a backtest mean, and warns where they mean little."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from freqtrade.configuration import TimeRange

from freqai_lstm.tools.report import classes, figures
from freqai_lstm.tools.report.money import TradingResult
from freqai_lstm.tools.statistics import SIGNIFICANCE, Estimate
from freqai_lstm.tools.truths import SCORE

_FULLY_LEARNED = 0.9
_NEARLY_CONSTANT = 0.05
_NEARLY_ALWAYS = 0.95
_MOSTLY = 0.5
_BADLY_CALIBRATED = 1.25
_FAR_FROM_NORMAL = 0.1
_TELLING = 0.1


Tone = Literal["good", "plain", "warning"]


@dataclass(frozen=True)
class Verdict:
    """A judgement, and whether it is good news, a warning, or neither."""

    tone: Tone
    text: str


def money_verdicts(trading: TradingResult) -> list[Verdict]:
    """Judge what was earned, beside buying and holding and beside luck."""
    found, trades = trading.figures, int(trading.figures["trades"])
    rejected = int(found["rejected"])
    slots = (
        f" {rejected} entries found no free slot or money (max_open_trades, stake_amount)."
        if rejected
        else ""
    )
    if not trades:
        held = f"holding made {_pct(found['held_profit'])}"
        return [Verdict("warning", f"Money: nothing was traded; {held}.{slots}")]
    falls = f"its deepest fall was {_pct(found['max_drawdown'])}"
    if found["held_max_drawdown"] > 0:
        share = found["max_drawdown"] / found["held_max_drawdown"]
        falls += f", {share:.2f} times that of holding"
    profits = trading.trades["profit_ratio"]
    error = profits.to_numpy().std(ddof=1) / math.sqrt(trades) if trades > 1 else math.nan
    mean = Estimate(float(profits.mean()), float(error))
    a_trade = f"{100 * mean.value:.2f} ± {100 * mean.standard_error:.2f} % a trade"
    luck = "more than luck explains" if mean.differs_from_zero else "too few to tell from luck"
    earned = found["profit"] > max(found["held_profit"], 0) and mean.differs_from_zero
    tone: Tone = "good" if earned else "warning" if found["profit"] <= 0 else "plain"
    text = (
        f"Money: the strategy made {_pct(found['profit'])}, holding made "
        f"{_pct(found['held_profit'])}; {falls}. {trades} trades, {a_trade}: {luck}.{slots}"
    )
    return [Verdict(tone, text)]


def overall_verdicts(
    overall: figures.OverallFigures, pairs: Sequence[figures.PairFigures], label: str, horizon: int
) -> list[Verdict]:
    """Judge the forecasts of a number, ``horizon`` candles ahead, as a whole.

    :return: What the model knows of the label, then what its forecast knows of returns.
    """
    of_pairs = f"on average over {len(pairs)} pairs" if len(pairs) > 1 else f"on {pairs[0].pair}"
    named = _ahead(label, horizon)
    return [
        _label_verdict(
            overall.correlation, overall.persistence, overall.gain, named, horizon, of_pairs
        ),
        _returns_verdict(f"the predicted {label}", overall.rank_ic["model"]),
        *(
            [_returns_verdict("the return head", overall.return_head)]
            if overall.return_head is not None
            else []
        ),
        *(_spread_verdicts(overall.spreads, label) if overall.spreads else ()),
    ]


def class_verdicts(overall: classes.OverallClassFigures, label: str, pairs: int) -> list[Verdict]:
    """Judge the probabilities of classes against the base rates."""
    found = (
        f"on average over {pairs} pair(s) the log loss of {label} is {overall.log_loss:.4f}, that "
        f"of the base rates {overall.base_log_loss:.4f}, the difference {overall.gain}; "
        f"{_pct(overall.accuracy)} of the classes are right, {_pct(overall.base_rate)} by always "
        f"saying the most frequent one"
    )
    if not overall.gain.differs_from_zero:
        chance = "The difference may be chance. Do not trade on it."
        return [Verdict("warning", f"No skill: {found}. {chance}")]
    if overall.gain.value < 0:
        return [Verdict("warning", f"Worse than the base rates: {found}.")]
    return [Verdict("good", f"Better than the base rates: {found}.")]


def _ahead(label: str, horizon: int) -> str:
    """Return what is predicted, in words."""
    name = "score" if label == SCORE else label
    return f"the {name} {horizon} candle(s) ahead" if horizon else f"the present {name}"


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


def pair_verdicts(
    pair: figures.PairFigures | classes.ClassFigures, label: str, horizon: int, expected: int
) -> list[Verdict]:
    """Judge one label of one pair, with as many expected training windows."""
    judged = [Verdict("warning", text) for text in _missing(len(pair.windows), expected)]
    if isinstance(pair, classes.ClassFigures):
        judged += [Verdict("warning", text) for text in _gaps(pair.skill.predicted_share)]
        return judged
    whole = pair.whole
    judged += [Verdict("warning", text) for text in _warnings(pair)]
    if whole.compared:
        ours, theirs = (whole.forecasts[name].correlation for name in ("model", "persistence"))
        named = _ahead(label, horizon)
        judged.append(_label_verdict(ours, theirs, whole.gain, named, horizon, f"on {pair.pair}"))
    return judged


def _label_verdict(
    correlation: Estimate,
    persistence: Estimate,
    gain: Estimate,
    named: str,
    horizon: int,
    where: str,
) -> Verdict:
    """Judge the forecast of a label against chance, and ahead of time against persistence."""
    found = f"{where} the correlation of the prediction with {named} is {correlation}"
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
            f"Nowcast: {found}. The candle already shows it, so this is what the network "
            f"must reach, and no sign that the market can be predicted.",
        )
    compared = f"persistence reaches {persistence}, the difference is {gain}"
    if not gain.differs_from_zero:
        return Verdict(
            "warning",
            f"Not distinguishable from persistence: {found}; {compared}, which may be chance. "
            f"Nothing shows that the model knows more than what is known already.",
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
    listed = ", ".join(f"{ic} over {ahead} candle(s)" for ahead, ic in found.items())
    against = all(ic.value < 0 for ic in found.values())
    return Verdict(
        "warning" if any(ic.value < 0 for ic in found.values()) else "good",
        f"Rank correlation of {what} with forward returns that chance hardly explains: {listed}."
        + (" Prices moved against it." if against else ""),
    )


def _spread_verdicts(spreads: Mapping[str, figures.SpreadFigures], label: str) -> Iterator[Verdict]:
    """Judge the spread of an ensemble against its errors."""
    if not {label, figures.ALL_LABELS} <= spreads.keys():
        return
    spread, rank = spreads[figures.ALL_LABELS], spreads[label].rank_correlation
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
    ranks = f"the rank correlation of the spread of the {label} with its error is {rank}"
    if rank.differs_from_zero and rank.value >= _TELLING:
        yield Verdict("good", f"Errors are larger where the spread is: {ranks}.")
    else:
        yield Verdict(
            "warning",
            f"The spread hardly tells large errors from small ones: {ranks}. There is little "
            f"reason to refuse trades by it (min_certainty).",
        )


def _missing(windows: int, expected: int) -> Iterator[str]:
    if windows < expected:
        yield (
            f"{expected - windows} of {expected} training windows have no predictions: their "
            f"training failed, and freqtrade's log says why."
        )


def _gaps(predicted_share: float) -> Iterator[str]:
    if predicted_share < _MOSTLY:
        yield (
            f"do_predict is 0 on {_pct(1 - predicted_share)} of the candles: too many gaps, "
            f"or candles too unlike the training data (DI_threshold)."
        )


def _warnings(pair: figures.PairFigures) -> Iterator[str]:
    whole = pair.whole
    yield from _gaps(whole.predicted_share)
    if not whole.compared:
        yield "Not one candle was predicted: there is nothing to judge."
        return
    if not whole.spread_ratio >= _NEARLY_CONSTANT:
        yield (
            f"The predictions are nearly constant: their standard deviation is "
            f"{_pct(whole.spread_ratio)} of the truth's."
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


def _pct(share: float) -> str:
    return f"{100 * share:.1f} %"
