"""The money map of worked weeks: P26 to P30 of domain/escrow.md 2.10.

P26 is P01 on the week's slot. P29 comes in two steps that sum to its row: the client's payment
fills the slot like any other (P01), and what was advanced leaves it at once.
"""

from uuid import UUID

from escrow.movements import p01_fund
from escrow.movements_more import p13_split
from ledger.chart import account
from ledger.entries import Entries
from ledger.model import AccountKey, Book, Entry, Line

p26_charge_week = p01_fund
"""A week charged in arrears is a slot paid for: money held, his fee deferred, the rail's our cost.
"""


p27_settle_line = p13_split
"""A frozen line is found unqualified and goes back with its part of the client's fee.

P27 is P13 without a share of the payee; what of a line is upheld after the review is his share.
"""


def _entry(book: Book, currency: str, *lines: tuple[AccountKey, int]) -> Entry:
    return Entry(book, currency, tuple(Line(key, amount) for key, amount in lines if amount))


def p28_advance(
    *,
    client_id: UUID,
    payee_id: UUID,
    currency: str,
    gross_minor: int,
    commission_minor: int,
    fee_minor: int,
) -> Entries:
    """The client did not pay: the platform pays the payee's net and has a claim on the client."""
    net = gross_minor - commission_minor
    return (
        _entry(
            Book.CUSTODY,
            currency,
            (account("custody.due_from_platform", currency), net),
            (account("custody.earned_pending", currency, payee_id), -net),
        ),
        _entry(
            Book.PLATFORM,
            currency,
            (account("platform.claim_on_client", currency, client_id), gross_minor + fee_minor),
            (account("platform.due_to_custody", currency), -net),
            (account("platform.revenue.commission", currency), -commission_minor),
            (account("platform.revenue.client_fee", currency), -fee_minor),
        ),
    )


def p29_settle_advance(
    *, slot_id: UUID, client_id: UUID, currency: str, gross_minor: int, fee_minor: int
) -> Entries:
    """The client paid after all: what the slot now holds of it is ours, and the claim is gone.

    `fee_minor` is the part of his deferred fee that the claim holds already.
    """
    return (
        _entry(
            Book.CUSTODY,
            currency,
            (account("custody.escrow", currency, slot_id), gross_minor),
            (account("custody.due_to_platform", currency), -gross_minor),
        ),
        _entry(
            Book.PLATFORM,
            currency,
            (account("platform.due_from_custody", currency), gross_minor),
            (account("platform.deferred_fees", currency), fee_minor),
            (account("platform.claim_on_client", currency, client_id), -gross_minor - fee_minor),
        ),
    )


def p30_write_off(
    *, client_id: UUID, currency: str, gross_minor: int, commission_minor: int, fee_minor: int
) -> Entries:
    """The client never pays: the protection costs us the net, and our fees were none."""
    return (
        _entry(
            Book.PLATFORM,
            currency,
            (account("platform.expense.protection", currency), gross_minor - commission_minor),
            (account("platform.revenue.commission", currency), commission_minor),
            (account("platform.revenue.client_fee", currency), fee_minor),
            (account("platform.claim_on_client", currency, client_id), -gross_minor - fee_minor),
        ),
    )
