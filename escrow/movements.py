"""The money map of escrow: one function per money event, each giving its journal entries.

P-numbers are those of domain/escrow.md 2.10. Amounts are minor units; parts of zero leave no
line, and an entry without lines is left out. Every entry balances by itself, and what one book
owes the other stands in both (`ledger.chart.MIRRORS`).
"""

from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, custody, platform
from ledger.model import AccountKey


def _rail_fee(currency: str, rail_fee_minor: int) -> tuple[tuple[AccountKey, int], ...]:
    """Platform's side of a rail's fee: our expense, owed to client money, which paid it."""
    return (
        (account("platform.expense.processor", currency), rail_fee_minor),
        (account("platform.due_to_custody", currency), -rail_fee_minor),
    )


def p01_fund(
    *,
    slot_id: UUID,
    rail_account: str,
    currency: str,
    amount_minor: int,
    client_fee_minor: int,
    rail_fee_minor: int,
) -> Entries:
    """The client paid by a rail: money for the slot, his fee deferred, the rail's fee our cost."""
    paid = amount_minor + client_fee_minor
    return (
        *custody(
            currency,
            (account("custody.processor_pending", currency, rail_account), paid - rail_fee_minor),
            (account("custody.due_from_platform", currency), rail_fee_minor),
            (account("custody.escrow", currency, slot_id), -amount_minor),
            (account("custody.due_to_platform", currency), -client_fee_minor),
        ),
        *platform(
            currency,
            (account("platform.due_from_custody", currency), client_fee_minor),
            (account("platform.deferred_fees", currency), -client_fee_minor),
            *_rail_fee(currency, rail_fee_minor),
        ),
    )


def p05_fund_from_wallet(
    *, slot_id: UUID, client_id: UUID, currency: str, amount_minor: int, client_fee_minor: int
) -> Entries:
    """The client paid from his wallet: money for the slot, and his fee deferred."""
    return (
        *custody(
            currency,
            (account("custody.wallet", currency, client_id), amount_minor + client_fee_minor),
            (account("custody.escrow", currency, slot_id), -amount_minor),
            (account("custody.due_to_platform", currency), -client_fee_minor),
        ),
        *platform(
            currency,
            (account("platform.due_from_custody", currency), client_fee_minor),
            (account("platform.deferred_fees", currency), -client_fee_minor),
        ),
    )


def p06_receive_unidentified(
    *, rail_account: str, currency: str, amount_minor: int, rail_fee_minor: int
) -> Entries:
    """Money came that nothing waits for: it lies in suspense; the rail's fee is our cost."""
    net = amount_minor - rail_fee_minor
    return (
        *custody(
            currency,
            (account("custody.processor_pending", currency, rail_account), net),
            (account("custody.due_from_platform", currency), rail_fee_minor),
            (account("custody.suspense", currency), -amount_minor),
        ),
        *platform(currency, *_rail_fee(currency, rail_fee_minor)),
    )


def p06_credit_wallet(*, client_id: UUID, currency: str, amount_minor: int) -> Entries:
    """Money in suspense was matched to its client."""
    return custody(
        currency,
        (account("custody.suspense", currency), amount_minor),
        (account("custody.wallet", currency, client_id), -amount_minor),
    )


def p07_release(
    *,
    slot_id: UUID,
    payee_id: UUID,
    currency: str,
    amount_minor: int,
    commission_minor: int,
    fee_earned_minor: int,
) -> Entries:
    """Release in full: the payee's share pending, commission ours, the client's fee earned."""
    return (
        *custody(
            currency,
            (account("custody.escrow", currency, slot_id), amount_minor),
            (
                account("custody.earned_pending", currency, payee_id),
                commission_minor - amount_minor,
            ),
            (account("custody.due_to_platform", currency), -commission_minor),
        ),
        *platform(
            currency,
            (account("platform.due_from_custody", currency), commission_minor),
            (account("platform.deferred_fees", currency), fee_earned_minor),
            (account("platform.revenue.commission", currency), -commission_minor),
            (account("platform.revenue.client_fee", currency), -fee_earned_minor),
        ),
    )


p10_release_part = p07_release
"""A partial release moves money like a full one; the first of a slot earns the whole client fee."""


def p09_end_security_hold(*, payee_id: UUID, currency: str, amount_minor: int) -> Entries:
    """The security hold is over: the payee may withdraw it."""
    return custody(
        currency,
        (account("custody.earned_pending", currency, payee_id), amount_minor),
        (account("custody.earned_available", currency, payee_id), -amount_minor),
    )


def p11_roll(*, from_slot_id: UUID, to_slot_id: UUID, currency: str, amount_minor: int) -> Entries:
    """The rest of one slot becomes money of another of the same contract."""
    return custody(
        currency,
        (account("custody.escrow", currency, from_slot_id), amount_minor),
        (account("custody.escrow", currency, to_slot_id), -amount_minor),
    )


def p14_refund(
    *,
    slot_id: UUID,
    client_id: UUID,
    currency: str,
    refunds: tuple[tuple[UUID, int], ...],
    to_wallet_minor: int,
    fee_minor: int,
) -> Entries:
    """Unreleased money goes back with the client's fee, each part by the way it came.

    `refunds` are (refund, minor units with its fee) for what goes back by a rail;
    `to_wallet_minor` what came from the wallet, with its fee, and goes back there; `fee_minor`
    the fee inside all of them.
    """
    total = sum(amount for _, amount in refunds) + to_wallet_minor
    return (
        *custody(
            currency,
            (account("custody.escrow", currency, slot_id), total - fee_minor),
            (account("custody.due_from_platform", currency), fee_minor),
            *(
                (account("custody.refund_in_transit", currency, refund_id), -amount)
                for refund_id, amount in refunds
            ),
            (account("custody.wallet", currency, client_id), -to_wallet_minor),
        ),
        *platform(
            currency,
            (account("platform.deferred_fees", currency), fee_minor),
            (account("platform.due_to_custody", currency), -fee_minor),
        ),
    )


def p15_refund_paid(
    *, refund_id: UUID, rail_account: str, currency: str, amount_minor: int, rail_fee_minor: int
) -> Entries:
    """The rail paid the refund out; its first fee stays our cost, and so does any further one."""
    return (
        *custody(
            currency,
            (account("custody.refund_in_transit", currency, refund_id), amount_minor),
            (account("custody.due_from_platform", currency), rail_fee_minor),
            (
                account("custody.processor_available", currency, rail_account),
                -amount_minor - rail_fee_minor,
            ),
        ),
        *platform(currency, *_rail_fee(currency, rail_fee_minor)),
    )


def p15_refund_returned(
    *, refund_id: UUID, rail_account: str, currency: str, amount_minor: int
) -> Entries:
    """A refund that was paid came back to the rail: P15 the other way; P16 follows."""
    return custody(
        currency,
        (account("custody.processor_available", currency, rail_account), amount_minor),
        (account("custody.refund_in_transit", currency, refund_id), -amount_minor),
    )


def p16_refund_bounced(
    *, refund_id: UUID, client_id: UUID, currency: str, amount_minor: int
) -> Entries:
    """The refund could not be paid: it lies in the client's wallet instead."""
    return custody(
        currency,
        (account("custody.refund_in_transit", currency, refund_id), amount_minor),
        (account("custody.wallet", currency, client_id), -amount_minor),
    )


def p25_tip(
    *,
    source: AccountKey,
    payee_id: UUID,
    currency: str,
    amount_minor: int,
    commission_minor: int,
    client_fee_minor: int,
    rail_fee_minor: int,
) -> Entries:
    """A tip goes straight to the payee, less commission; both fees are earned at once.

    `source` is the processor's pending account, or the client's wallet (then without rail fee).
    """
    paid = amount_minor + client_fee_minor
    ours = commission_minor + client_fee_minor
    return (
        *custody(
            currency,
            (source, paid - rail_fee_minor),
            (account("custody.due_from_platform", currency), rail_fee_minor),
            (
                account("custody.earned_pending", currency, payee_id),
                commission_minor - amount_minor,
            ),
            (account("custody.due_to_platform", currency), -ours),
        ),
        *platform(
            currency,
            (account("platform.due_from_custody", currency), ours),
            (account("platform.revenue.commission", currency), -commission_minor),
            (account("platform.revenue.client_fee", currency), -client_fee_minor),
            *_rail_fee(currency, rail_fee_minor),
        ),
    )
