"""The money map of what is sold besides fees: P44 of domain/escrow.md 2.10.

A charge lies deferred until its days earn it; its tax is due at once. A client's plan is paid from
his wallet, a payee's from what he may withdraw.
"""

from typing import Final
from uuid import UUID

from commissions.model import Side
from commissions.model_plans import OfferingKind
from ledger.chart import account
from ledger.entries import Entries, custody, platform
from ledger.model import AccountKey

_REVENUE: Final = {
    OfferingKind.PLAN: "platform.revenue.subscription",
    OfferingKind.PRODUCT: "platform.revenue.product",
}


def purse(side: Side, party_id: UUID, currency: str) -> AccountKey:
    """Whose money pays: a payee's available balance, or a client's wallet."""
    kind = "custody.earned_available" if side is Side.PAYEE else "custody.wallet"
    return account(kind, currency, party_id)


def p44_charge(
    *, paid_from: AccountKey, net_minor: int, tax_minor: int, country: str | None
) -> Entries:
    """The price and its tax, out of client money: the price is deferred, the tax payable."""
    currency = paid_from.currency
    total = net_minor + tax_minor
    return (
        *custody(
            currency,
            (paid_from, total),
            (account("custody.due_to_platform", currency), -total),
        ),
        *platform(
            currency,
            (account("platform.due_from_custody", currency), total),
            (account("platform.deferred_fees", currency), -net_minor),
            *_tax(currency, country, -tax_minor),
        ),
    )


def p44_earn(*, kind: OfferingKind, currency: str, amount_minor: int) -> Entries:
    """A part of the price whose days are over."""
    return platform(
        currency,
        (account("platform.deferred_fees", currency), amount_minor),
        (account(_REVENUE[kind], currency), -amount_minor),
    )


def p44_back(
    *, paid_to: AccountKey, net_minor: int, tax_minor: int, country: str | None
) -> Entries:
    """What was not earned, with the tax on it, back where it came from."""
    currency = paid_to.currency
    total = net_minor + tax_minor
    return (
        *custody(
            currency,
            (account("custody.due_from_platform", currency), total),
            (paid_to, -total),
        ),
        *platform(
            currency,
            (account("platform.deferred_fees", currency), net_minor),
            *_tax(currency, country, tax_minor),
            (account("platform.due_to_custody", currency), -total),
        ),
    )


def _tax(
    currency: str, country: str | None, amount_minor: int
) -> tuple[tuple[AccountKey, int], ...]:
    if not amount_minor:
        return ()
    assert country is not None
    return ((account("platform.vat_payable", currency, country), amount_minor),)
