"""What a rail's own statement moves by itself: its fees, what it keeps back, and when it lets go.

Edge cases and P-numbers are those of domain/escrow.md 2.10 and 2.11. Amounts are minor units.
"""

from typing import Final

from ledger.chart import account
from ledger.entries import Entries, custody, platform

LARGEST_ROUNDING_MINOR: Final = 1
"""What a processor credits more or less than booked is rounding up to here (P46)."""


def p02_not_yet_available(*, rail_account: str, currency: str, amount_minor: int) -> Entries:
    """What was booked as available is not so yet: P02's first half the other way, till it is."""
    return custody(
        currency,
        (account("custody.processor_pending", currency, rail_account), amount_minor),
        (account("custody.processor_available", currency, rail_account), -amount_minor),
    )


def fee_billed(*, rail_account: str, currency: str, fee_minor: int) -> Entries:
    """The processor billed a fee by itself: our expense; below zero: it gave one back."""
    return (
        *custody(
            currency,
            (account("custody.due_from_platform", currency), fee_minor),
            (account("custody.processor_available", currency, rail_account), -fee_minor),
        ),
        *_cost(currency, "platform.expense.processor", fee_minor),
    )


def fee_changed(*, rail_account: str, currency: str, more_minor: int, is_pending: bool) -> Entries:
    """The processor kept more (or less) of a payment than was booked; never a client's money.

    A single minor unit is rounding (P46), more of it the processor's fee (edge case 46).
    """
    kind = "custody.processor_pending" if is_pending else "custody.processor_available"
    is_rounding = abs(more_minor) <= LARGEST_ROUNDING_MINOR
    cost = "platform.expense.rounding" if is_rounding else "platform.expense.processor"
    return (
        *custody(
            currency,
            (account("custody.due_from_platform", currency), more_minor),
            (account(kind, currency, rail_account), -more_minor),
        ),
        *_cost(currency, cost, more_minor),
    )


def keep_in_reserve(*, rail_account: str, currency: str, amount_minor: int) -> Entries:
    """The processor keeps back what was available; below zero: it let go of it."""
    return custody(
        currency,
        (account("custody.processor_reserved", currency, rail_account), amount_minor),
        (account("custody.processor_available", currency, rail_account), -amount_minor),
    )


def _cost(currency: str, kind: str, amount_minor: int) -> Entries:
    return platform(
        currency,
        (account(kind, currency), amount_minor),
        (account("platform.due_to_custody", currency), -amount_minor),
    )
