"""The chart of accounts: every kind, its book, its side and its bounds (domain/escrow.md 2.1).

The table `account_kind` holds the same rows, and a test compares the two. Amounts are signed
like lines: a client liability has `highest_minor = 0`, so it can never be overdrawn.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from ledger.model import AccountKey, Book

UNBOUNDED: Final = 2**62
"""Further than any balance may go; leaves room to add two of them in a bigint."""

RESERVED: Final = "reserved"
"""The subject, or the end of the subject, of an account whose money is set aside."""

SET_ASIDE: Final = ":" + RESERVED


class Nature(StrEnum):
    """Which statement an account belongs to, and which side is its normal one."""

    ASSET = "asset"
    LIABILITY = "liability"
    EQUITY = "equity"
    REVENUE = "revenue"
    EXPENSE = "expense"
    CLEARING = "clearing"


@dataclass(frozen=True, slots=True)
class AccountKind:
    """One row of the chart. `subject` names what the account is kept per; empty for none."""

    kind: str
    book: Book
    nature: Nature
    subject: str
    lowest_minor: int
    highest_minor: int


def _kind(kind: str, nature: Nature, subject: str = "", *, bounded: bool = False) -> AccountKind:
    book = Book(kind.partition(".")[0])
    highest = 0 if bounded else UNBOUNDED
    return AccountKind(kind, book, nature, subject, -UNBOUNDED, highest)


_A, _L, _R, _X = Nature.ASSET, Nature.LIABILITY, Nature.REVENUE, Nature.EXPENSE

_KINDS: Final = (
    _kind("custody.escrow", _L, "slot", bounded=True),
    _kind("custody.escrow_disputed", _L, "slot", bounded=True),
    _kind("custody.wallet", _L, "party", bounded=True),
    _kind("custody.earned_pending", _L, "payee", bounded=True),
    _kind("custody.earned_available", _L, "payee", bounded=True),
    _kind("custody.earned_reserved", _L, "payee", bounded=True),
    _kind("custody.payout_in_transit", _L, "payout", bounded=True),
    _kind("custody.refund_in_transit", _L, "refund", bounded=True),
    _kind("custody.processor_pending", _A, "rail_account"),
    _kind("custody.processor_available", _A, "rail_account"),
    _kind("custody.processor_reserved", _A, "rail_account"),
    _kind("custody.bank", _A),
    _kind("custody.due_from_platform", _A),
    _kind("custody.due_to_platform", _L),
    _kind("custody.fx", Nature.CLEARING),
    _kind("custody.suspense", _L, bounded=True),
    _kind("custody.tax_withheld", _L, "authority", bounded=True),
    _kind("custody.unclaimed", _L, "state", bounded=True),
    _kind("custody.blocked", _L, "party", bounded=True),
    _kind("platform.bank", _A),
    _kind("platform.due_from_custody", _A),
    _kind("platform.due_to_custody", _L),
    _kind("platform.claim_on_payee", _A, "payee"),
    _kind("platform.claim_on_client", _A, "client"),
    _kind("platform.chargebacks_contested", _A),
    _kind("platform.vat_payable", _L, "country"),
    _kind("platform.deferred_fees", _L, bounded=True),
    _kind("platform.arbitration_fees_held", _L, bounded=True),
    _kind("platform.capital", Nature.EQUITY),
    _kind("platform.revaluation", Nature.CLEARING, "currency"),
    *(
        _kind(f"platform.revenue.{name}", _R)
        for name in (
            "commission",
            "client_fee",
            "subscription",
            "product",
            "payout_fee",
            "fx_margin",
        )
    ),
    *(
        _kind(f"platform.expense.{name}", _X)
        for name in (
            "processor",
            "chargeback_fee",
            "chargeback_loss",
            "protection",
            "bad_debt",
            "payout",
            "fx",
            "rounding",
        )
    ),
)

CHART: Final = MappingProxyType({row.kind: row for row in _KINDS})

MIRRORS: Final = (
    ("custody.due_to_platform", "platform.due_from_custody"),
    ("custody.due_from_platform", "platform.due_to_custody"),
)
"""Pairs that show one debt from both books: their balances sum to zero in every currency."""


def account(kind: str, currency: str, subject: UUID | str = "") -> AccountKey:
    """The key of an account of the chart; asserts that the kind takes (or lacks) this subject."""
    assert names_account(CHART[kind], str(subject)), kind
    return AccountKey(kind, str(subject), currency)


def names_account(row: AccountKind, subject: str) -> bool:
    """Whether a kind has an account of this subject: its own, or the reserved twin of one."""
    if row.subject:
        return subject not in {"", RESERVED, SET_ASIDE}
    return subject in {"", RESERVED}


def reserved_twin(key: AccountKey) -> AccountKey:
    """Where the money of an account goes that is set aside (decision 0004); not a twin's twin."""
    assert not is_reserved(key.subject), key
    subject = f"{key.subject}{SET_ASIDE}" if key.subject else RESERVED
    return AccountKey(key.kind, subject, key.currency)


def is_reserved(subject: str) -> bool:
    """Whether an account of this subject is the reserved twin of another."""
    return subject == RESERVED or subject.endswith(SET_ASIDE)


def whose(subject: str) -> str:
    """The subject whose money an account holds, set aside or not; empty for the platform's."""
    return "" if subject == RESERVED else subject.removesuffix(SET_ASIDE)
