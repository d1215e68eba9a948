"""The proof that client money is there: books against the rail's own balances, per currency.

Source: design.md section 5; domain/escrow.md 0.1 and 2.1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from kernel.money import to_json
from ledger.chart import CHART, MIRRORS, Nature
from ledger.model import Book
from ledger.service import kind_balances
from rails.model import RailAccount, RailBalance

ACCOUNTS: Final = (
    ("custody.processor_pending", RailAccount.PROCESSOR_PENDING),
    ("custody.processor_available", RailAccount.PROCESSOR_AVAILABLE),
    ("custody.processor_reserved", RailAccount.PROCESSOR_RESERVED),
    ("custody.bank", RailAccount.CUSTODY_BANK),
    ("platform.bank", RailAccount.PLATFORM_BANK),
)
"""Which account of the books shows which account of the rail or a bank."""

BRIDGE: Final = "custody.fx"
"""What was converted and is not filled: money of one currency for money of another."""

_RESOURCE: Final = frozenset(
    {
        RailAccount.PROCESSOR_PENDING,
        RailAccount.PROCESSOR_AVAILABLE,
        RailAccount.PROCESSOR_RESERVED,
        RailAccount.CUSTODY_BANK,
    }
)

CLIENT_LIABILITIES: Final = tuple(
    row.kind
    for row in CHART.values()
    if row.book is Book.CUSTODY
    and row.nature is Nature.LIABILITY
    and row.kind != "custody.due_to_platform"
)
"""What is owed to clients, payees, authorities and states out of client money."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One account on which the books and the rail (or both mirrors) do not agree."""

    account: str
    books_minor: int
    other_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyReport:
    """One currency; the differences are empty when books and rail agree.

    `resource_minor` is client money by the rail's own word, `requirement_minor` what is owed out of
    it by the books. `exchanging_minor` stands on the bridge `custody.fx`: what a provider of
    exchange still brings in this currency, or, below zero, still takes.
    """

    currency: str
    resource_minor: int
    requirement_minor: int
    due_to_platform_minor: int
    due_from_platform_minor: int
    differences: tuple[Difference, ...]
    exchanging_minor: int = 0

    @property
    def missing_minor(self) -> int:
        """What the money falls short of what is owed, once all that is being exchanged is filled.

        Open conversions are the platform's risk, under its limits; they lack in one currency what
        lies in another.
        """
        return max(0, self.requirement_minor - self.resource_minor - self.exchanging_minor)

    @property
    def is_safe(self) -> bool:
        """Whether everything agrees and the money covers what is owed."""
        return not self.differences and not self.missing_minor

    def as_json(self) -> dict[str, Any]:
        """The report with amounts as the API sends them."""
        return {
            "currency": self.currency,
            "safe": self.is_safe,
            "resource": to_json(self.resource_minor, self.currency),
            "requirement": to_json(self.requirement_minor, self.currency),
            "exchanging": to_json(self.exchanging_minor, self.currency),
            "due_to_platform": to_json(self.due_to_platform_minor, self.currency),
            "due_from_platform": to_json(self.due_from_platform_minor, self.currency),
            "differences": [
                {
                    "account": difference.account,
                    "books": to_json(difference.books_minor, self.currency),
                    "other": to_json(difference.other_minor, self.currency),
                }
                for difference in self.differences
            ],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """All currencies, in their order."""

    currencies: tuple[CurrencyReport, ...]

    @property
    def is_safe(self) -> bool:
        """Whether client money is safe in every currency."""
        return all(each.is_safe for each in self.currencies)

    def as_json(self) -> dict[str, Any]:
        """The report with amounts as the API sends them."""
        return {"safe": self.is_safe, "currencies": [each.as_json() for each in self.currencies]}


def safeguarding(connection: Connection, rail_balances: Sequence[RailBalance]) -> Report:
    """Hold the books against what rails and banks say they have, after the daily settlement.

    Per currency: both pairs of mirrors sum to zero, each processor and bank account equals the
    rail's own balance, and the money there covers what is owed to clients. Read it in one snapshot,
    with balances of the same time; what is under way between both shows as a difference.
    """
    books = {kind: kind_balances(connection, kind) for kind in _kinds()}
    rail: dict[tuple[RailAccount, str], int] = {}
    for balance in rail_balances:
        key = (balance.account, balance.currency)
        rail[key] = rail.get(key, 0) + balance.amount_minor
    currencies = {currency for found in books.values() for currency in found}
    currencies |= {currency for _, currency in rail}
    return Report(tuple(_report(currency, books, rail) for currency in sorted(currencies)))


def _report(
    currency: str,
    books: Mapping[str, Mapping[str, int]],
    rail: Mapping[tuple[RailAccount, str], int],
) -> CurrencyReport:
    def booked(kind: str) -> int:
        return books[kind].get(currency, 0)

    pairs = [
        (kind, booked(kind), rail.get((account, currency), 0)) for kind, account in ACCOUNTS
    ] + [(one, booked(one), -booked(other)) for one, other in MIRRORS]
    return CurrencyReport(
        currency=currency,
        resource_minor=sum(rail.get((account, currency), 0) for account in _RESOURCE),
        requirement_minor=-sum(booked(kind) for kind in CLIENT_LIABILITIES),
        due_to_platform_minor=-booked("custody.due_to_platform"),
        due_from_platform_minor=booked("custody.due_from_platform"),
        differences=tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2]),
        exchanging_minor=booked(BRIDGE),
    )


def _kinds() -> set[str]:
    mirrored = {kind for pair in MIRRORS for kind in pair}
    return mirrored | {kind for kind, _ in ACCOUNTS} | {BRIDGE} | set(CLIENT_LIABILITIES)
