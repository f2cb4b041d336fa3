"""Cuts a timerange into a part to search on and a part to confirm on."""

import math
from dataclasses import dataclass

from freqtrade.configuration import TimeRange

from freqai_lstm.exceptions import SettingsError
from freqai_lstm.settings import SECONDS_PER_DAY


@dataclass(frozen=True)
class SplitTimerange:
    """The two parts of a timerange, as freqtrade's ``--timerange`` takes them."""

    search: str
    confirm: str


def split_timerange(timerange: str, share: float, backtest_period_days: float) -> SplitTimerange:
    """Cut a timerange in two, where one of FreqAI's backtest windows ends.

    FreqAI cuts a timerange, from its start on, into windows of ``backtest_period_days`` and names
    the model and the predictions of each by its first moment. With the cut on such a boundary, the
    windows of the two parts are the windows of the whole: each is trained once, and every run over
    a part or the whole uses the same model and the same predictions. A cut within a window would
    leave a shorter one, whose predictions FreqAI would not recognise as its own.

    :param timerange: Start and end, such as ``20240101-20240630``.
    :param share: The part to search on, as a fraction; the nearest boundary is taken that leaves
        at least one window on each side.
    :param backtest_period_days: FreqAI's setting of that name.
    :return: The two parts.
    :raises SettingsError: If the timerange is open or has one window only, or the share is not
        between 0 and 1.
    """
    whole = TimeRange.parse_timerange(timerange)
    problems = []
    if not (whole.startts and whole.stopts):
        problems.append(f"--timerange: must have a start and an end, was {timerange!r}")
    if not 0 < share < 1:
        problems.append(f"--split: must be between 0 and 1, was {share!r}")
    period = int(backtest_period_days * SECONDS_PER_DAY)
    if not problems and whole.stopts - whole.startts <= period:
        problems.append(
            f"--timerange: must be longer than freqai.backtest_period_days, which is"
            f" {backtest_period_days:g}, was {timerange!r}"
        )
    if problems:
        raise SettingsError("\n".join(problems))
    periods = (whole.stopts - whole.startts) / period
    search_periods = min(max(round(share * periods), 1), math.ceil(periods) - 1)
    cut = whole.startts + search_periods * period
    return SplitTimerange(
        search=TimeRange("date", "date", whole.startts, cut).timerange_str,
        confirm=TimeRange("date", "date", cut, whole.stopts).timerange_str,
    )
