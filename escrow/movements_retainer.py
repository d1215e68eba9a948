"""The money map of escrow, continued: P31 and P32, the end of a retainer's period.

P-numbers are those of domain/escrow.md 2.10. Amounts are minor units; parts of zero leave no
line, and an entry without lines is left out. None of them leaves the platform more than the
commission and the client's fee on what the payee gets.
"""

from dataclasses import dataclass
from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, entry
from ledger.model import Book


@dataclass(frozen=True, slots=True, kw_only=True)
class PayeePart:
    """What the payee gets of a period: before commission, our part of it, and the fee earned."""

    amount_minor: int = 0
    commission_minor: int = 0
    fee_earned_minor: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientPart:
    """What goes back: (refund, minor units with its fee) by a rail, the rest to the wallet."""

    refunds: tuple[tuple[UUID, int], ...] = ()
    to_wallet_minor: int = 0
    fee_returned_minor: int = 0


def p31_divide(
    *,
    slot_id: UUID,
    client_id: UUID,
    payee_id: UUID,
    currency: str,
    payee: PayeePart,
    client: ClientPart,
) -> Entries:
    """A period ends: the payee's part as in P07, the client's back to him with its fee."""
    back = sum(amount for _, amount in client.refunds) + client.to_wallet_minor
    gone = payee.amount_minor + back - client.fee_returned_minor
    net = payee.amount_minor - payee.commission_minor
    earned, returned = payee.fee_earned_minor, client.fee_returned_minor
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.escrow", currency, slot_id), gone),
            (account("custody.due_from_platform", currency), returned),
            (account("custody.earned_pending", currency, payee_id), -net),
            (account("custody.due_to_platform", currency), -payee.commission_minor),
            *(
                (account("custody.refund_in_transit", currency, refund_id), -amount)
                for refund_id, amount in client.refunds
            ),
            (account("custody.wallet", currency, client_id), -client.to_wallet_minor),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.due_from_custody", currency), payee.commission_minor),
            (account("platform.deferred_fees", currency), earned + returned),
            (account("platform.revenue.commission", currency), -payee.commission_minor),
            (account("platform.revenue.client_fee", currency), -earned),
            (account("platform.due_to_custody", currency), -returned),
        ),
    )


p32_unused = p31_divide
"""What expires goes to the payee (a) or to the client's wallet (b); the shape is P31's."""
