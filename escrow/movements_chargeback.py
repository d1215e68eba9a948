"""The money map of escrow, continued: P17 to P24; the rules are those of `movements`.

P-numbers are those of domain/escrow.md 2.10. Amounts are minor units; parts of zero leave no
line, and an entry without lines is left out.
"""

from typing import NamedTuple
from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, entry
from ledger.model import AccountKey, Book


def p17_refund_released(
    *,
    payee_id: UUID,
    client_id: UUID,
    currency: str,
    refunds: tuple[tuple[UUID, int], ...],
    to_wallet_minor: int,
    commission_minor: int,
    fronted_minor: int,
) -> Entries:
    """Released money goes back: the payee his net, we our commission, and what he is short of.

    `refunds` are (refund, minor units) for what goes back by a rail, `to_wallet_minor` what goes
    back to the wallet; `fronted_minor` the part that we pay for the payee and claim from him.
    """
    back = sum(amount for _, amount in refunds) + to_wallet_minor
    ours = commission_minor + fronted_minor
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.earned_available", currency, payee_id), back - ours),
            (account("custody.due_from_platform", currency), ours),
            *(
                (account("custody.refund_in_transit", currency, refund_id), -amount)
                for refund_id, amount in refunds
            ),
            (account("custody.wallet", currency, client_id), -to_wallet_minor),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.revenue.commission", currency), commission_minor),
            (account("platform.claim_on_payee", currency, payee_id), fronted_minor),
            (account("platform.due_to_custody", currency), -ours),
        ),
    )


class Taken(NamedTuple):
    """What a chargeback takes from a slot, or gives back to it; `frozen` lies in a dispute."""

    slot_id: UUID
    free_minor: int
    frozen_minor: int


class Extra(NamedTuple):
    """What moves at the rail besides the money of the payment, at the platform's cost.

    The network's own fee, and the drift of the rail's currency: what moved above what it stands
    for. With money that comes back both are the platform's gain.
    """

    network_fee_minor: int = 0
    drift_minor: int = 0


def _slots(currency: str, slots: tuple[Taken, ...]) -> tuple[tuple[AccountKey, int], ...]:
    return tuple(
        line
        for each in slots
        for line in (
            (account("custody.escrow", currency, each.slot_id), each.free_minor),
            (account("custody.escrow_disputed", currency, each.slot_id), each.frozen_minor),
        )
    )


def _extra(currency: str, extra: Extra) -> tuple[tuple[AccountKey, int], ...]:
    return (
        (account("platform.expense.chargeback_fee", currency), extra.network_fee_minor),
        (account("platform.expense.fx", currency), extra.drift_minor),
    )


def p18_contest(
    *,
    rail_account: str,
    currency: str,
    slots: tuple[Taken, ...],
    client_fee_minor: int,
    extra: Extra,
) -> Entries:
    """The client's bank takes back what slots still hold, with his fee: nobody has lost yet."""
    ours = client_fee_minor + sum(extra)
    total = sum(each.free_minor + each.frozen_minor for each in slots) + ours
    return (
        *entry(
            Book.CUSTODY,
            currency,
            *_slots(currency, slots),
            (account("custody.due_from_platform", currency), ours),
            (account("custody.processor_available", currency, rail_account), -total),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.deferred_fees", currency), client_fee_minor),
            *_extra(currency, extra),
            (account("platform.due_to_custody", currency), -ours),
        ),
    )


def p19_reinstate(
    *,
    rail_account: str,
    currency: str,
    slots: tuple[Taken, ...],
    client_id: UUID,
    to_wallet_minor: int,
    client_fee_minor: int,
    extra: Extra,
) -> Entries:
    """What was taken from slots is there again; what finds no slot lies in the client's wallet."""
    ours = client_fee_minor + sum(extra)
    back = tuple(Taken(s, -free, -frozen) for s, free, frozen in slots)
    total = to_wallet_minor + ours + sum(free + frozen for _, free, frozen in slots)
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.processor_available", currency, rail_account), total),
            *_slots(currency, back),
            (account("custody.wallet", currency, client_id), -to_wallet_minor),
            (account("custody.due_to_platform", currency), -ours),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.due_from_custody", currency), ours),
            (account("platform.deferred_fees", currency), -client_fee_minor),
            *((key, -amount) for key, amount in _extra(currency, extra)),
        ),
    )


def p20_front(*, rail_account: str, currency: str, amount_minor: int, extra: Extra) -> Entries:
    """The bank takes from client money what the payee has: the platform puts it back at once."""
    total = amount_minor + sum(extra)
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.due_from_platform", currency), total),
            (account("custody.processor_available", currency, rail_account), -total),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.chargebacks_contested", currency), amount_minor),
            *_extra(currency, extra),
            (account("platform.due_to_custody", currency), -total),
        ),
    )


def p20_reserve(
    *, payee_id: UUID, currency: str, available_minor: int, pending_minor: int
) -> Entries:
    """What the payee has of it is reserved, and not more."""
    return entry(
        Book.CUSTODY,
        currency,
        (account("custody.earned_available", currency, payee_id), available_minor),
        (account("custody.earned_pending", currency, payee_id), pending_minor),
        (
            account("custody.earned_reserved", currency, payee_id),
            -available_minor - pending_minor,
        ),
    )


def p21_lose(
    *,
    payee_id: UUID,
    currency: str,
    recovered_minor: int,
    claimed_minor: int,
    commission_minor: int,
    client_fee_minor: int,
) -> Entries:
    """It is lost: what was reserved pays, the rest is a claim on the payee, our fees go back."""
    fronted = recovered_minor + claimed_minor + commission_minor + client_fee_minor
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.earned_reserved", currency, payee_id), recovered_minor),
            (account("custody.due_to_platform", currency), -recovered_minor),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.due_from_custody", currency), recovered_minor),
            (account("platform.claim_on_payee", currency, payee_id), claimed_minor),
            (account("platform.revenue.commission", currency), commission_minor),
            (account("platform.revenue.client_fee", currency), client_fee_minor),
            (account("platform.chargebacks_contested", currency), -fronted),
        ),
    )


def p21_lose_beyond(*, currency: str, amount_minor: int) -> Entries:
    """More was taken than was left of the payment, and it is lost: our loss (edge case 6)."""
    return entry(
        Book.PLATFORM,
        currency,
        (account("platform.expense.chargeback_loss", currency), amount_minor),
        (account("platform.chargebacks_contested", currency), -amount_minor),
    )


def p22_reinstate(*, rail_account: str, currency: str, amount_minor: int, extra: Extra) -> Entries:
    """What the platform fronted comes back to it."""
    total = amount_minor + sum(extra)
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.processor_available", currency, rail_account), total),
            (account("custody.due_to_platform", currency), -total),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.due_from_custody", currency), total),
            (account("platform.chargebacks_contested", currency), -amount_minor),
            *((key, -amount) for key, amount in _extra(currency, extra)),
        ),
    )


def p22_lift(*, payee_id: UUID, currency: str, available_minor: int, pending_minor: int) -> Entries:
    """The reserve is lifted: P20's second part the other way."""
    return p20_reserve(
        payee_id=payee_id,
        currency=currency,
        available_minor=-available_minor,
        pending_minor=-pending_minor,
    )


def p22_restore(
    *,
    payee_id: UUID,
    currency: str,
    paid_back_minor: int,
    relieved_minor: int,
    written_off_minor: int,
    commission_minor: int,
    client_fee_minor: int,
) -> Entries:
    """Money that was lost came back on appeal: P21 the other way, as far as the payee had paid."""
    restored = (
        paid_back_minor + relieved_minor + written_off_minor + commission_minor + client_fee_minor
    )
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.due_from_platform", currency), paid_back_minor),
            (account("custody.earned_available", currency, payee_id), -paid_back_minor),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.chargebacks_contested", currency), restored),
            (account("platform.claim_on_payee", currency, payee_id), -relieved_minor),
            (account("platform.expense.bad_debt", currency), -written_off_minor),
            (account("platform.revenue.commission", currency), -commission_minor),
            (account("platform.revenue.client_fee", currency), -client_fee_minor),
            (account("platform.due_to_custody", currency), -paid_back_minor),
        ),
    )


def p23_recover_claim(*, payee_id: UUID, currency: str, amount_minor: int) -> Entries:
    """A part of what became available pays what its payee owes us."""
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.earned_available", currency, payee_id), amount_minor),
            (account("custody.due_to_platform", currency), -amount_minor),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.due_from_custody", currency), amount_minor),
            (account("platform.claim_on_payee", currency, payee_id), -amount_minor),
        ),
    )


def p24_write_off(*, payee_id: UUID, currency: str, amount_minor: int) -> Entries:
    """A claim that nobody will pay is our loss."""
    return entry(
        Book.PLATFORM,
        currency,
        (account("platform.expense.bad_debt", currency), amount_minor),
        (account("platform.claim_on_payee", currency, payee_id), -amount_minor),
    )
