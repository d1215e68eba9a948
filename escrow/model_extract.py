"""What an account extract of a party is made of: movements, balances, fees; pure.

The banks' word for it is statement of account; in this house a *statement* is only what a rail or
a bank says. Amounts are minor units as the party sees them: what we hold for it is positive, so
they are the lines of the books with their signs turned.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class Spot(NamedTuple):
    """Where a line stands among all lines of a party: the order in which they were written."""

    recorded_at: datetime
    event_id: int
    entry_no: int
    line_no: int


class Row(NamedTuple):
    """A line of the books on an account of the party, with its event; signed as in the books."""

    account_id: int
    account_seq: int
    spot: Spot
    journal_no: int | None
    amount_minor: int
    effective_at: datetime
    event_kind: str
    event_subject: str
    detail: str


class About(NamedTuple):
    """The deal that a line is about; None where it is about none, or none that is known."""

    contract_id: UUID | None = None
    slot_id: UUID | None = None
    title: str = ""


class Fees(NamedTuple):
    """What one party bore of our fees, or got back (less than nothing); tax comes on top.

    `gross_minor` is what the commission was taken of. `other_minor` is plans and products.
    """

    currency: str
    gross_minor: int = 0
    commission_minor: int = 0
    client_fee_minor: int = 0
    other_minor: int = 0
    tax_minor: int = 0

    @property
    def total_minor(self) -> int:
        """All fees with their tax."""
        return self.commission_minor + self.client_fee_minor + self.other_minor + self.tax_minor


class Exchange(NamedTuple):
    """One currency that became another."""

    sold: str
    sold_minor: int
    bought: str
    bought_minor: int


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of an extract. `account` is wallet, escrow, earned_pending, and so on.

    `balance_minor` is what the party has in this currency behind the line, over all its accounts
    and within the span; `what` says in plain words what happened.
    """

    spot: Spot
    journal_no: int | None
    effective_at: datetime
    account: str
    currency: str
    amount_minor: int
    balance_minor: int
    event_kind: str
    event_subject: str
    what: str
    about: About
    fees: Fees | None = None
    exchange: Exchange | None = None

    @property
    def credit_minor(self) -> int:
        """What came to the party."""
        return max(self.amount_minor, 0)

    @property
    def debit_minor(self) -> int:
        """What went from the party."""
        return max(-self.amount_minor, 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """One kind of account in one currency over a span; opening + credits - debits = closing."""

    account: str
    currency: str
    opening_minor: int
    credits_minor: int
    debits_minor: int
    line_count: int

    @property
    def closing_minor(self) -> int:
        """What it stands at when the span ends."""
        return self.opening_minor + self.credits_minor - self.debits_minor


@dataclass(frozen=True, slots=True)
class Summary:
    """All of a party's accounts in one currency over a span, and what we took in it."""

    currency: str
    standings: tuple[Standing, ...]
    fees: Fees

    @property
    def opening_minor(self) -> int:
        """All accounts together when the span began."""
        return sum(each.opening_minor for each in self.standings)

    @property
    def closing_minor(self) -> int:
        """All accounts together when it ended."""
        return sum(each.closing_minor for each in self.standings)

    @property
    def credits_minor(self) -> int:
        """All that came, money moved between the party's own accounts counted too."""
        return sum(each.credits_minor for each in self.standings)

    @property
    def debits_minor(self) -> int:
        """All that went, counted in the same way."""
        return sum(each.debits_minor for each in self.standings)
