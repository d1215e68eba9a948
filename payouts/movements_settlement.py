"""What a processor credits less, or more, than was booked by the least of amounts (P46)."""

from typing import Final

from ledger.chart import account
from ledger.entries import Entries, custody, platform

BANK: Final = "custody.bank"
MOST_MINOR: Final = 10
"""More than this is no rounding: somebody must look at it."""


def p46_rounding(
    *,
    rail_account: str,
    currency: str,
    short_minor: int,
    is_available: bool = False,
    most_minor: int = MOST_MINOR,
) -> Entries:
    """The processor credited `short_minor` less than booked (below zero: more); never a client's.

    Where the money is short the platform puts it into client money the same day, at the cost of
    rounding; where it is over, the platform has it. Without a rail account it is the custody
    bank. ValueError beyond `most_minor`, and for zero.
    """
    if not 0 < abs(short_minor) <= most_minor:
        raise ValueError(f"{short_minor} minor units are no rounding")
    kind = f"custody.processor_{'available' if is_available else 'pending'}"
    place = account(kind, currency, rail_account) if rail_account else account(BANK, currency)
    there = (place, -short_minor)
    cost = (account("platform.expense.rounding", currency), short_minor)
    if short_minor < 0:
        return (
            *custody(currency, there, (account("custody.due_to_platform", currency), short_minor)),
            *platform(
                currency, cost, (account("platform.due_from_custody", currency), -short_minor)
            ),
        )
    return (
        *custody(currency, there, (account("custody.due_from_platform", currency), short_minor)),
        *platform(currency, cost, (account("platform.due_to_custody", currency), -short_minor)),
    )
