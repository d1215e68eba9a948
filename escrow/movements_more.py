"""The money map of escrow, continued: P12, P13 and P45; the rules are those of `movements`.

P-numbers are those of domain/escrow.md 2.10. Amounts are minor units; parts of zero leave no
line, and an entry without lines is left out.
"""

from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, entry
from ledger.model import AccountKey, Book


def p12_freeze(*, slot_id: UUID, currency: str, amount_minor: int) -> Entries:
    """A part of a slot is frozen by a dispute."""
    return entry(
        Book.CUSTODY,
        currency,
        (account("custody.escrow", currency, slot_id), amount_minor),
        (account("custody.escrow_disputed", currency, slot_id), -amount_minor),
    )


def p12_thaw(*, slot_id: UUID, currency: str, amount_minor: int) -> Entries:
    """The dispute is withdrawn, or both agree to go on: P12 the other way."""
    return entry(
        Book.CUSTODY,
        currency,
        (account("custody.escrow_disputed", currency, slot_id), amount_minor),
        (account("custody.escrow", currency, slot_id), -amount_minor),
    )


def p13_split(
    *,
    slot_id: UUID,
    client_id: UUID,
    payee_id: UUID,
    currency: str,
    payee_minor: int,
    commission_minor: int,
    fee_earned_minor: int,
    refunds: tuple[tuple[UUID, int], ...],
    to_wallet_minor: int,
    fee_returned_minor: int,
) -> Entries:
    """What was frozen goes to both sides: the payee's part as in P07, the client's as in P14.

    `payee_minor` is before commission. `refunds` are (refund, minor units with its fee) for what
    goes back by a rail, `to_wallet_minor` what goes back to the wallet, with its fee;
    `fee_returned_minor` is the fee inside all of them.
    """
    back = sum(amount for _, amount in refunds) + to_wallet_minor
    frozen = payee_minor + back - fee_returned_minor
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.escrow_disputed", currency, slot_id), frozen),
            (account("custody.due_from_platform", currency), fee_returned_minor),
            (account("custody.earned_pending", currency, payee_id), commission_minor - payee_minor),
            (account("custody.due_to_platform", currency), -commission_minor),
            *(
                (account("custody.refund_in_transit", currency, refund_id), -amount)
                for refund_id, amount in refunds
            ),
            (account("custody.wallet", currency, client_id), -to_wallet_minor),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.due_from_custody", currency), commission_minor),
            (account("platform.deferred_fees", currency), fee_earned_minor + fee_returned_minor),
            (account("platform.revenue.commission", currency), -commission_minor),
            (account("platform.revenue.client_fee", currency), -fee_earned_minor),
            (account("platform.due_to_custody", currency), -fee_returned_minor),
        ),
    )


def p12_set_aside(*, payee_id: UUID, currency: str, net_minor: int) -> Entries:
    """Released money in its security hold is disputed: P12, from the payee's own account."""
    return entry(
        Book.CUSTODY,
        currency,
        (account("custody.earned_pending", currency, payee_id), net_minor),
        (account("custody.earned_reserved", currency, payee_id), -net_minor),
    )


def p12_put_back(*, payee_id: UUID, currency: str, net_minor: int, is_available: bool) -> Entries:
    """What was set aside is the payee's again; at once, where its security hold is over."""
    return entry(
        Book.CUSTODY,
        currency,
        (account("custody.earned_reserved", currency, payee_id), net_minor),
        (_earned(payee_id, currency, is_available=is_available), -net_minor),
    )


def p13_split_set_aside(
    *,
    client_id: UUID,
    payee_id: UUID,
    currency: str,
    reserved_minor: int,
    payee_net_minor: int,
    commission_minor: int,
    refunds: tuple[tuple[UUID, int], ...],
    to_wallet_minor: int,
    is_available: bool,
) -> Entries:
    """What was set aside of the payee's goes to both: his part as P12 back, the client's as P17.

    `commission_minor` is ours on the client's part and goes back with it; his fee was earned by
    the release and stays. `reserved_minor` + `commission_minor` is what both get.
    """
    back = sum(amount for _, amount in refunds) + to_wallet_minor
    assert reserved_minor + commission_minor == payee_net_minor + back
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.earned_reserved", currency, payee_id), reserved_minor),
            (account("custody.due_from_platform", currency), commission_minor),
            (_earned(payee_id, currency, is_available=is_available), -payee_net_minor),
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
            (account("platform.due_to_custody", currency), -commission_minor),
        ),
    )


def _earned(payee_id: UUID, currency: str, *, is_available: bool) -> AccountKey:
    kind = "custody.earned_available" if is_available else "custody.earned_pending"
    return account(kind, currency, payee_id)


def p45_arbitration_fee(
    *, client_id: UUID, payee_id: UUID, currency: str, client_minor: int, payee_minor: int
) -> Entries:
    """Either side pays for arbitration, from his wallet or from what he may withdraw."""
    both = client_minor + payee_minor
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.wallet", currency, client_id), client_minor),
            (account("custody.earned_available", currency, payee_id), payee_minor),
            (account("custody.due_to_platform", currency), -both),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.due_from_custody", currency), both),
            (account("platform.arbitration_fees_held", currency), -both),
        ),
    )


def p45_fee_back(
    *, client_id: UUID, payee_id: UUID, currency: str, client_minor: int, payee_minor: int
) -> Entries:
    """The winner of an arbitration gets back what he paid for it; the rest is the arbitrators'."""
    both = client_minor + payee_minor
    return (
        *entry(
            Book.CUSTODY,
            currency,
            (account("custody.due_from_platform", currency), both),
            (account("custody.wallet", currency, client_id), -client_minor),
            (account("custody.earned_available", currency, payee_id), -payee_minor),
        ),
        *entry(
            Book.PLATFORM,
            currency,
            (account("platform.arbitration_fees_held", currency), both),
            (account("platform.due_to_custody", currency), -both),
        ),
    )
