"""The tax on our fees and the payee's currency, added to the entries of any movement.

Each movement stands in the contract's currency, with all that we take as one figure. Here the
tax goes from revenue to what we owe its country (P08), and what is paid in another currency goes
over the bridge `custody.fx` (P33). Amounts are minor units.
"""

from collections.abc import Mapping
from functools import lru_cache
from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, custody, entry
from ledger.model import AccountKey, Book, Entry, Line

_account = lru_cache(maxsize=4_096)(account)
"""Of the platform's own accounts, which every release names again."""


def with_taxes(
    entries: Entries,
    *,
    currency: str,
    on_commission: Mapping[str, int],
    on_client_fee: Mapping[str, int],
) -> Entries:
    """Of what a movement earned, the tax is owed to its country; below zero it comes back from it.

    Taxes are by country, in the contract's currency. P08 without withholding.
    """
    found = entries
    for kind, taxes in (("commission", on_commission), ("client_fee", on_client_fee)):
        source = _account(f"platform.revenue.{kind}", currency)
        for country, tax_minor in sorted(taxes.items()):
            if tax_minor:
                target = _account("platform.vat_payable", currency, country)
                found = _move(found, source, target, tax_minor)
    return found


def as_loss(entries: Entries, *, currency: str, amount_minor: int) -> Entries:
    """What a movement took from our commission beyond what was charged is a loss of ours."""
    if not amount_minor:
        return entries
    source = account("platform.revenue.commission", currency)
    return _move(entries, source, account("platform.expense.bad_debt", currency), -amount_minor)


def with_exchange(
    entries: Entries, *, payee_id: UUID, sold: str, bought: str, sold_minor: int, bought_minor: int
) -> Entries:
    """P33: the payee's part of a release leaves in one currency and reaches him in another."""
    source = account("custody.earned_pending", sold, payee_id)
    bridged = _move(entries, source, _account("custody.fx", sold), sold_minor)
    return (
        *bridged,
        *custody(
            bought,
            (_account("custody.fx", bought), bought_minor),
            (account("custody.earned_pending", bought, payee_id), -bought_minor),
        ),
    )


def with_refund_exchanged(
    entries: Entries,
    *,
    client_id: UUID,
    refund_id: UUID,
    sold: str,
    bought: str,
    sold_minor: int,
    bought_minor: int,
) -> Entries:
    """P14 of money that was exchanged when it came: over the bridge to the card, not the wallet."""
    source = account("custody.wallet", sold, client_id)
    bridged = _move(entries, source, _account("custody.fx", sold), sold_minor)
    return (
        *bridged,
        *custody(
            bought,
            (_account("custody.fx", bought), bought_minor),
            (account("custody.refund_in_transit", bought, refund_id), -bought_minor),
        ),
    )


def _move(entries: Entries, source: AccountKey, target: AccountKey, credit_minor: int) -> Entries:
    """So much of the credit on one account stands on another, in the entry that has the first."""
    for at, each in enumerate(entries):
        if any(line.account == source for line in each.lines):
            moved = _moved(each, source, target, credit_minor)
            return (*entries[:at], *moved, *entries[at + 1 :])
    book = Book.CUSTODY if source.kind.startswith("custody") else Book.PLATFORM
    # A movement that earns nothing has no line to take it from.
    lines = ((source, credit_minor), (target, -credit_minor))
    return (*entries, *entry(book, source.currency, *lines))


def _moved(each: Entry, source: AccountKey, target: AccountKey, credit_minor: int) -> Entries:
    left, lines = credit_minor, []
    for line in each.lines:
        if line.account == source and left:
            lines.append(Line(source, line.amount_minor + left))
            left = 0
        else:
            lines.append(line)
    for place, line in enumerate(lines):
        if line.account == target:
            lines[place] = Line(target, line.amount_minor - credit_minor)
            break
    else:
        lines.append(Line(target, -credit_minor))
    kept = tuple(line for line in lines if line.amount_minor)
    return (Entry(each.book, each.currency, kept),) if kept else ()
