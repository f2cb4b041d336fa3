"""Which of freqtrade's hooks look at the account, and when."""

from types import SimpleNamespace
from typing import Any

import pytest
from freqtrade.enums import RunMode

from freqai_lstm.bridge import strategy as module
from freqai_lstm.bridge.strategy import ReconcilingStrategy

BTC = "BTC/USDT:USDT"


class Account:
    """Stands in for the comparison with the account."""

    def __init__(self, *, may_enter: bool = True, is_full: bool = False) -> None:
        self.enterable, self.is_full = may_enter, is_full
        self.looks = 0
        self.noted: list[Any] = []

    def look(self) -> None:
        self.looks += 1

    def may_enter(self, pair: str) -> bool:
        return self.enterable

    def note(self, *arguments: Any, reduces: bool) -> None:
        if self.is_full:
            raise OSError("no space left on device")
        self.noted.append((*arguments, reduces))


class Strategy(ReconcilingStrategy):
    def populate_indicators(self, dataframe: Any, metadata: Any) -> Any:
        return dataframe


def made(account: Account | None, **config: Any) -> Strategy:
    strategy = Strategy.__new__(Strategy)
    strategy.config = {"runmode": RunMode.LIVE, "trading_mode": "futures", **config}
    strategy._reconciliation = account  # type: ignore[assignment]
    return strategy


def enters(strategy: Strategy, side: str) -> bool:
    return strategy.confirm_trade_entry(BTC, "limit", 1.0, 100.0, "GTC", None, "above", side)


def leaves(strategy: Strategy) -> bool:
    trade = SimpleNamespace(exit_side="sell")
    return strategy.confirm_trade_exit(BTC, trade, "limit", 1.0, 100.0, "GTC", "roi", None)


@pytest.mark.parametrize(
    ("config", "looks"),
    [
        ({}, 2),
        ({"trading_mode": "spot"}, 0),
        ({"runmode": RunMode.DRY_RUN}, 0),
        ({"runmode": RunMode.BACKTEST}, 0),
    ],
    ids=["live", "spot", "dry-run", "backtest"],
)
def test_account_is_looked_at_live_with_futures(
    config: dict[str, Any], looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account()
    monkeypatch.setattr(module, "Reconciliation", lambda strategy: account)
    strategy = made(None, **config)
    strategy.bot_loop_start(None)
    strategy.bot_loop_start(None)
    assert account.looks == looks
    assert enters(strategy, "long")
    assert len(account.noted) == bool(looks)


def test_entries_and_exits_are_noted() -> None:
    account = Account()
    strategy = made(account)
    assert enters(strategy, "long")
    assert enters(strategy, "short")
    assert leaves(strategy)
    assert account.noted == [
        (BTC, "buy", 100.0, "above", False),
        (BTC, "sell", 100.0, "above", False),
        (BTC, "sell", 100.0, "roi", True),
    ]


def test_only_entries_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    strategy = made(Account(may_enter=False))
    assert not enters(strategy, "long")
    assert leaves(strategy)
    strategy = made(Account(is_full=True))
    assert not enters(strategy, "long")
    assert leaves(strategy)
    assert f"{BTC}: the order to buy could not be noted: no space left on device" in caplog.text
