"""Money of clients' wallets: paid in, on its way back, and taken back by the payer's bank.

A top-up is P06 with its owner known; a withdrawal goes back by P15 and P16, or by a payout.
"""

from uuid import UUID

from ledger.chart import account
from ledger.entries import Entries, custody, platform


def p06_received(
    *, rail_account: str, currency: str, amount_minor: int, rail_fee_minor: int
) -> Entries:
    """The client paid by a rail for nothing in particular; the rail's fee is our cost.

    It lies in suspense until it has cleared.
    """
    return (
        *custody(
            currency,
            (
                account("custody.processor_pending", currency, rail_account),
                amount_minor - rail_fee_minor,
            ),
            (account("custody.due_from_platform", currency), rail_fee_minor),
            (account("custody.suspense", currency), -amount_minor),
        ),
        *platform(
            currency,
            (account("platform.expense.processor", currency), rail_fee_minor),
            (account("platform.due_to_custody", currency), -rail_fee_minor),
        ),
    )


def p06_credited(*, client_id: UUID, currency: str, amount_minor: int) -> Entries:
    """It has cleared: it is in the wallet."""
    return custody(
        currency,
        (account("custody.suspense", currency), amount_minor),
        (account("custody.wallet", currency, client_id), -amount_minor),
    )


def uncleared_taken_back(*, rail_account: str, currency: str, amount_minor: int) -> Entries:
    """It never cleared: it is gone from suspense, and the rail's fee stays our cost."""
    return custody(
        currency,
        (account("custody.suspense", currency), amount_minor),
        (account("custody.processor_pending", currency, rail_account), -amount_minor),
    )


def withdraw(
    *, client_id: UUID, currency: str, refunds: tuple[tuple[UUID, int], ...], paid_out_minor: int
) -> Entries:
    """Wallet money on its way back: (refund, minor units) by payments, the rest to be paid out."""
    total = sum(minor for _, minor in refunds) + paid_out_minor
    return custody(
        currency,
        (account("custody.wallet", currency, client_id), total),
        *(
            (account("custody.refund_in_transit", currency, refund_id), -minor)
            for refund_id, minor in refunds
        ),
        (account("custody.earned_available", currency, client_id), -paid_out_minor),
    )


def put_back(*, client_id: UUID, currency: str, amount_minor: int) -> Entries:
    """A payout of wallet money did not arrive: it lies in the wallet again."""
    return custody(
        currency,
        (account("custody.earned_available", currency, client_id), amount_minor),
        (account("custody.wallet", currency, client_id), -amount_minor),
    )


def p15_paid_back(
    *, refund_id: UUID, rail_account: str, currency: str, amount_minor: int, rail_fee_minor: int
) -> Entries:
    """The rail gave it back to the payment's method; a fee of its own is our cost."""
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
        *platform(
            currency,
            (account("platform.expense.processor", currency), rail_fee_minor),
            (account("platform.due_to_custody", currency), -rail_fee_minor),
        ),
    )


def p15_came_back(
    *, refund_id: UUID, rail_account: str, currency: str, amount_minor: int
) -> Entries:
    """What was given back came to the rail again; P16 follows."""
    return custody(
        currency,
        (account("custody.processor_available", currency, rail_account), amount_minor),
        (account("custody.refund_in_transit", currency, refund_id), -amount_minor),
    )


def p16_bounced(*, refund_id: UUID, client_id: UUID, currency: str, amount_minor: int) -> Entries:
    """It could not be given back: it lies in the wallet again."""
    return custody(
        currency,
        (account("custody.refund_in_transit", currency, refund_id), amount_minor),
        (account("custody.wallet", currency, client_id), -amount_minor),
    )


def taken_back(
    *,
    client_id: UUID,
    rail_account: str,
    currency: str,
    wallet_minor: int,
    claim_minor: int,
    fee_minor: int = 0,
) -> Entries:
    """The payer's bank took a top-up back: the wallet bears what it has, the client owes the rest.

    The platform puts the rest into client money the same day, and claims it from the client; the
    bank's own fee is its expense.
    """
    return (
        *custody(
            currency,
            (account("custody.wallet", currency, client_id), wallet_minor),
            (account("custody.due_from_platform", currency), claim_minor + fee_minor),
            (
                account("custody.processor_available", currency, rail_account),
                -wallet_minor - claim_minor - fee_minor,
            ),
        ),
        *platform(
            currency,
            (account("platform.claim_on_client", currency, client_id), claim_minor),
            (account("platform.expense.chargeback_fee", currency), fee_minor),
            (account("platform.due_to_custody", currency), -claim_minor - fee_minor),
        ),
    )


def given_again(
    *,
    client_id: UUID,
    rail_account: str,
    currency: str,
    wallet_minor: int,
    claim_minor: int,
) -> Entries:
    """A chargeback of a top-up was won: the claim on the client ends, the rest is his again."""
    return (
        *custody(
            currency,
            (
                account("custody.processor_available", currency, rail_account),
                wallet_minor + claim_minor,
            ),
            (account("custody.wallet", currency, client_id), -wallet_minor),
            (account("custody.due_to_platform", currency), -claim_minor),
        ),
        *platform(
            currency,
            (account("platform.due_from_custody", currency), claim_minor),
            (account("platform.claim_on_client", currency, client_id), -claim_minor),
        ),
    )
