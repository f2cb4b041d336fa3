"""The money of an account: what was deposited, and every payment since."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

IncomeKind = Literal["REALIZED_PNL", "COMMISSION", "FUNDING_FEE"]


@dataclass(frozen=True)
class Income:
    """A payment, below 0 if it was paid and not received."""

    id: int
    kind: IncomeKind
    symbol: str
    asset: str
    amount: Decimal
    time_ms: int
    fill_id: int | None = None


@dataclass
class Ledger:
    """A deposit of each coin, and the payments."""

    deposits: dict[str, Decimal]
    incomes: list[Income] = field(default_factory=list)
    balances: dict[str, Decimal] = field(init=False)

    def __post_init__(self) -> None:
        self.balances = dict(self.deposits)

    def book(
        self,
        kind: IncomeKind,
        symbol: str,
        asset: str,
        amount: Decimal,
        time_ms: int,
        fill_id: int | None = None,
    ) -> None:
        """Write down a payment, if there is something to pay."""
        if amount:
            number = len(self.incomes) + 1
            self.incomes.append(Income(number, kind, symbol, asset, amount, time_ms, fill_id))
            self.balances[asset] += amount
