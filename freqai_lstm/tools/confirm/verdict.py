"""What the backtests say of the found parameters, in words."""

from freqai_lstm.tools.confirm.backtests import Performance

# Of fewer trades, a few lucky ones decide.
_FEW_TRADES = 30


def verdict(
    default_search: Performance,
    found_search: Performance,
    default_confirm: Performance,
    found_confirm: Performance,
) -> str:
    """Compare the found parameters with the default ones.

    One is better than the other if both its profit and its Sharpe ratio are higher.

    :return: A sentence, and more where nothing was earned or there were few trades to judge by.
    """
    compared = (
        f"profit {found_confirm.profit_pct:.2f} % against {default_confirm.profit_pct:.2f} %, "
        f"Sharpe {found_confirm.sharpe:.2f} against {default_confirm.sharpe:.2f}"
    )
    if not _better(found_search, default_search):
        sentence = (
            "The search found nothing better than the default parameters even on its own range: "
            "search longer, or keep the defaults."
        )
    elif _better(found_confirm, default_confirm):
        sentence = (
            f"What was found held up: on the confirm range it is better than the default "
            f"({compared})."
        )
    else:
        sentence = (
            f"What was found did not hold up: on the confirm range it is no better than the "
            f"default ({compared}), so it is likely overfitted to the search range."
        )
    if found_confirm.profit_pct <= 0:
        sentence += " It does not earn anything there."
    fewest = min(default_confirm.trades, found_confirm.trades)
    if fewest < _FEW_TRADES:
        sentence += (
            f" With {fewest} trades on the confirm range this says little: take a longer timerange "
            f"or more pairs."
        )
    return sentence


def _better(one: Performance, other: Performance) -> bool:
    return one.profit_pct > other.profit_pct and one.sharpe > other.sharpe
