"""The money map of reserves: a payee's earned money, set aside for a while and given back.

The halves of P20 and P22 (domain/escrow.md 2.10) that move `fl.avail` and `fl.rsv`, by themselves.
"""

from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries
from ledger.model import Book, Entry, Line


def keep_reserve(*, payee_id: UUID, currency: str, amount_minor: int) -> Entries:
    """Dr fl.avail, Cr fl.rsv."""
    return (
        Entry(
            Book.CUSTODY,
            currency,
            (
                Line(account("custody.earned_available", currency, payee_id), amount_minor),
                Line(account("custody.earned_reserved", currency, payee_id), -amount_minor),
            ),
        ),
    )


def give_reserve(*, payee_id: UUID, currency: str, amount_minor: int) -> Entries:
    """Dr fl.rsv, Cr fl.avail."""
    return (
        Entry(
            Book.CUSTODY,
            currency,
            (
                Line(account("custody.earned_reserved", currency, payee_id), amount_minor),
                Line(account("custody.earned_available", currency, payee_id), -amount_minor),
            ),
        ),
    )
