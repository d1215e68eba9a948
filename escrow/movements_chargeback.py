"""The money map of escrow, continued: P17 and P23, P24; the rules are those of `movements`.

P-numbers are those of domain/escrow.md 2.10. Amounts are minor units; parts of zero leave no
line, and an entry without lines is left out.
"""

from uuid import UUID

from escrow.movements import Entries
from ledger.chart import account
from ledger.model import AccountKey, Book, Entry, Line


def _entry(book: Book, currency: str, *lines: tuple[AccountKey, int]) -> Entries:
    """One entry with debits positive; no entry if all its lines are zero."""
    kept = tuple(Line(key, amount) for key, amount in lines if amount)
    return (Entry(book, currency, kept),) if kept else ()


def p17_refund_released(
    *,
    payee_id: UUID,
    client_id: UUID,
    currency: str,
    refunds: tuple[tuple[UUID, int], ...],
    to_wallet_minor: int,
    commission_minor: int,
    fronted_minor: int,
) -> Entries:
    """Released money goes back: the payee his net, we our commission, and what he is short of.

    `refunds` are (refund, minor units) for what goes back by a rail, `to_wallet_minor` what goes
    back to the wallet; `fronted_minor` the part that we pay for the payee and claim from him.
    """
    back = sum(amount for _, amount in refunds) + to_wallet_minor
    ours = commission_minor + fronted_minor
    return (
        *_entry(
            Book.CUSTODY,
            currency,
            (account("custody.earned_available", currency, payee_id), back - ours),
            (account("custody.due_from_platform", currency), ours),
            *(
                (account("custody.refund_in_transit", currency, refund_id), -amount)
                for refund_id, amount in refunds
            ),
            (account("custody.wallet", currency, client_id), -to_wallet_minor),
        ),
        *_entry(
            Book.PLATFORM,
            currency,
            (account("platform.revenue.commission", currency), commission_minor),
            (account("platform.claim_on_payee", currency, payee_id), fronted_minor),
            (account("platform.due_to_custody", currency), -ours),
        ),
    )


def p23_recover_claim(*, payee_id: UUID, currency: str, amount_minor: int) -> Entries:
    """A part of what became available pays what its payee owes us."""
    return (
        *_entry(
            Book.CUSTODY,
            currency,
            (account("custody.earned_available", currency, payee_id), amount_minor),
            (account("custody.due_to_platform", currency), -amount_minor),
        ),
        *_entry(
            Book.PLATFORM,
            currency,
            (account("platform.due_from_custody", currency), amount_minor),
            (account("platform.claim_on_payee", currency, payee_id), -amount_minor),
        ),
    )


def p24_write_off(*, payee_id: UUID, currency: str, amount_minor: int) -> Entries:
    """A claim that nobody will pay is our loss."""
    return _entry(
        Book.PLATFORM,
        currency,
        (account("platform.expense.bad_debt", currency), amount_minor),
        (account("platform.claim_on_payee", currency, payee_id), -amount_minor),
    )
