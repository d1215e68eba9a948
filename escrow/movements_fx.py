"""The money map of escrow where a currency changes: P34 to P36 of domain/escrow.md 2.10.

P33 is any way of paying a payee, with `movements_price.with_exchange`.

Each side of a conversion balances in its own currency against `custody.fx`. The customer's side
posts at once; the provider's fill posts later, empties the bridge, and shares the gap out.
"""

from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, custody, platform
from ledger.model import AccountKey


def p35_receive(
    *,
    slot_id: UUID,
    rail_account: str,
    sold: str,
    bought: str,
    received_minor: int,
    bought_minor: int,
) -> Entries:
    """Money that is converted when it comes: the slot holds the contract's currency from then."""
    return (
        *custody(
            sold,
            (account("custody.processor_available", sold, rail_account), received_minor),
            (account("custody.fx", sold), -received_minor),
        ),
        *custody(
            bought,
            (account("custody.fx", bought), bought_minor),
            (account("custody.escrow", bought, slot_id), -bought_minor),
        ),
    )


def p35_fund(
    *,
    slot_id: UUID,
    rail_account: str,
    sold: str,
    bought: str,
    received_minor: int,
    rail_fee_minor: int,
    amount_minor: int,
    client_fee_minor: int,
) -> Entries:
    """P35 with fees, as P01 has them: the rail's in the sold currency, the client's in the other.

    What was bought is `amount_minor` for the slot and `client_fee_minor` for us.
    """
    return (
        *custody(
            sold,
            (
                account("custody.processor_pending", sold, rail_account),
                received_minor - rail_fee_minor,
            ),
            (account("custody.due_from_platform", sold), rail_fee_minor),
            (account("custody.fx", sold), -received_minor),
        ),
        *custody(
            bought,
            (account("custody.fx", bought), amount_minor + client_fee_minor),
            (account("custody.escrow", bought, slot_id), -amount_minor),
            (account("custody.due_to_platform", bought), -client_fee_minor),
        ),
        *platform(
            sold,
            (account("platform.expense.processor", sold), rail_fee_minor),
            (account("platform.due_to_custody", sold), -rail_fee_minor),
        ),
        *platform(
            bought,
            (account("platform.due_from_custody", bought), client_fee_minor),
            (account("platform.deferred_fees", bought), -client_fee_minor),
        ),
    )


def convert_balance(
    *, kind: str, party_id: UUID, sold: str, bought: str, sold_minor: int, bought_minor: int
) -> Entries:
    """A party exchanges what is his: both halves stand against the bridge, as in P33.

    `kind` is that of his accounts: `custody.earned_available` of a payee, `custody.wallet` of a
    client.
    """
    return (
        *custody(
            sold,
            (account(kind, sold, party_id), sold_minor),
            (account("custody.fx", sold), -sold_minor),
        ),
        *custody(
            bought,
            (account("custody.fx", bought), bought_minor),
            (account(kind, bought, party_id), -bought_minor),
        ),
    )


def p34_fill(
    *,
    sold: str,
    bought: str,
    sold_minor: int,
    filled_minor: int,
    owed_minor: int,
    margin_minor: int,
    paid_from: AccountKey,
) -> Entries:
    """The provider's fill of P33 (from the bank) or P35 (from the processor: then it is P36).

    What it pays above what the customer got is the platform's, and what it pays less the platform
    adds: the margin is revenue, the rest the market's gain or loss.
    """
    gap = filled_minor - owed_minor
    loss = margin_minor - gap
    ours, theirs = max(gap, 0), max(-gap, 0)
    return (
        *custody(sold, (account("custody.fx", sold), sold_minor), (paid_from, -sold_minor)),
        *custody(
            bought,
            (account("custody.bank", bought), filled_minor),
            (account("custody.due_from_platform", bought), theirs),
            (account("custody.fx", bought), -owed_minor),
            (account("custody.due_to_platform", bought), -ours),
        ),
        *platform(
            bought,
            (account("platform.due_from_custody", bought), ours),
            (account("platform.expense.fx", bought), loss),
            (account("platform.revenue.fx_margin", bought), -margin_minor),
            (account("platform.due_to_custody", bought), -theirs),
        ),
    )
