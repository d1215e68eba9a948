"""The money map of tax that goes back: a number that was valid before it was known to be.

The fee stays as it was. Its tax is owed to the country no more, and goes back to whoever bore it:
the platform owes it to client money until the daily settlement, as P17 does with a commission.
"""

from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, custody, platform


def tax_credited(*, payee_id: UUID, currency: str, country: str, tax_minor: int) -> Entries:
    """The tax on a commission goes to what the payee can withdraw."""
    return (
        *custody(
            currency,
            (account("custody.due_from_platform", currency), tax_minor),
            (account("custody.earned_available", currency, payee_id), -tax_minor),
        ),
        *platform(
            currency,
            (account("platform.vat_payable", currency, country), tax_minor),
            (account("platform.due_to_custody", currency), -tax_minor),
        ),
    )
