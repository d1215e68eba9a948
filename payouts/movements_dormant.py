"""Money whose owner is silent: reclassified, given back, and remitted to the state (P42)."""

from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, custody, platform


def p42_reclassify(
    *, party_id: UUID, kind: str, jurisdiction: str, currency: str, amount_minor: int
) -> Entries:
    """Dormant money is owed to the state from now on; never income of ours."""
    return custody(
        currency,
        (account(kind, currency, party_id), amount_minor),
        (account("custody.unclaimed", currency, jurisdiction), -amount_minor),
    )


def p42_reactivate(
    *, party_id: UUID, kind: str, jurisdiction: str, currency: str, amount_minor: int
) -> Entries:
    """The owner turned up: the same the other way."""
    return p42_reclassify(
        party_id=party_id,
        kind=kind,
        jurisdiction=jurisdiction,
        currency=currency,
        amount_minor=-amount_minor,
    )


def p42_remit(*, jurisdiction: str, currency: str, amount_minor: int) -> Entries:
    """The money has left the custody bank for the state."""
    return custody(
        currency,
        (account("custody.unclaimed", currency, jurisdiction), amount_minor),
        (account("custody.bank", currency), -amount_minor),
    )


def p42_remittance_returned(
    *, jurisdiction: str, currency: str, amount_minor: int, charge_minor: int
) -> Entries:
    """It came back to the custody bank; the platform bears what the bank kept of it."""
    return (
        *custody(
            currency,
            (account("custody.bank", currency), amount_minor - charge_minor),
            (account("custody.due_from_platform", currency), charge_minor),
            (account("custody.unclaimed", currency, jurisdiction), -amount_minor),
        ),
        *platform(
            currency,
            (account("platform.expense.payout", currency), charge_minor),
            (account("platform.due_to_custody", currency), -charge_minor),
        ),
    )
