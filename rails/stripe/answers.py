"""What Stripe's objects say of the operations that made them: pure, over plain data.

Money has moved when a balance transaction says so, and by what it says: never by the amount of the
payment intent, which knows no fee, no exchange and no partial capture (domain/rails.md 1.4).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from rails.model import PAYOUT_RETURNED, RailOperation, RailOutcome
from rails.stripe.amounts import to_ours
from rails.stripe.calls import evidence_mark
from rails.stripe.errors import our_code
from rails.stripe.model import Answer, Fields, said_by, time_of

DEBITS: Final = frozenset(
    {
        *("acss_debit", "au_becs_debit", "bacs_debit", "nz_bank_account", "sepa_debit"),
        *("us_bank_account", "ach_debit"),
    }
)
"""Means of payment that the payer's bank may take back until the money is available."""

_OPEN_PAYMENTS: Final = frozenset(
    {
        *("requires_payment_method", "requires_confirmation", "requires_action"),
        *("processing", "requires_capture"),
    }
)

_EXPIRED: Final = frozenset({"automatic", "expired"})

_PARTS: Final = frozenset({"charge", "partial_capture_reversal"})
"""Reporting categories that make up what a payment brought."""


def charge_of(payment: Fields) -> Fields | None:
    """The latest charge of a payment, where it was asked for."""
    charge = payment.get("latest_charge")
    return charge if isinstance(charge, Mapping) else None


def is_debit(charge: object) -> bool:
    """Whether a charge was taken from a bank account, and may come back until it has settled."""
    return isinstance(charge, Mapping) and _family(charge) in DEBITS


def is_in_parts(payment: Fields) -> bool:
    """Whether less was captured than was authorised, so that several transactions tell of it."""
    charge = charge_of(payment)
    return charge is not None and bool(charge["captured"]) and _captured(charge) < charge["amount"]


def of_payment(payment: Fields, parts: Sequence[Fields] = ()) -> Answer:
    """What became of a funding. `parts` are the charge's transactions if it `is_in_parts`."""
    status = str(payment["status"])
    charge = charge_of(payment)
    if charge is not None:
        back = _transaction(charge.get("failure_balance_transaction"))
        if back is not None:
            return _taken_back(payment, back)
    if status == "succeeded" and charge is not None:
        return _paid(payment, charge, parts)
    waiting = _of(payment, RailOutcome.PENDING, status, cleared=False)
    if status == "canceled":
        expired = payment.get("cancellation_reason") in _EXPIRED
        code = "funding.expired" if expired else "funding.cancelled"
        return replace(waiting, outcome=RailOutcome.REFUSED, code=code, cleared=True)
    if status == "requires_payment_method" and _has_failed_for_good(payment):
        error = payment.get("last_payment_error") or {}
        code = our_code(str(error.get("code") or ""))
        return replace(waiting, outcome=RailOutcome.REFUSED, code=code, cleared=True)
    if status not in _OPEN_PAYMENTS and status != "succeeded":
        return replace(waiting, outcome=RailOutcome.UNKNOWN)
    return waiting


def of_capture(payment: Fields, operation: RailOperation) -> Answer | None:
    """What became of a capture; None: nothing was captured, or another amount.

    A payment is captured once. The money is the funding's, which is done by its transaction.
    """
    received_minor = to_ours(payment["amount_received"], str(payment["currency"]))
    if payment["status"] != "succeeded" or received_minor != operation.amount_minor:
        return None
    return _told(operation, payment, RailOutcome.DONE, "captured")


def of_cancel(payment: Fields, operation: RailOperation) -> Answer | None:
    """What became of a cancellation; None: the payment is still open."""
    if payment["status"] == "canceled":
        return _told(operation, payment, RailOutcome.DONE, "canceled")
    if payment["status"] == "succeeded":
        done = _told(operation, payment, RailOutcome.REFUSED, "succeeded")
        return replace(done, code="funding.already_paid")
    return None


def of_refund(refund: Fields) -> Answer:
    """What became of a refund: done once Stripe calls it succeeded and its transaction is there."""
    status = str(refund.get("status") or "")
    moved = _transaction(refund.get("balance_transaction"))
    if status in {"failed", "canceled"}:
        back = _transaction(refund.get("failure_balance_transaction"))
        answer = _of(refund, RailOutcome.REFUSED, status, transaction=back)
        return replace(answer, code="refund.bounced")
    if status == "succeeded" and moved is not None:
        return _of(refund, RailOutcome.DONE, status, transaction=moved)
    is_known = status in {"pending", "requires_action", "succeeded"}
    waits = str(refund.get("pending_reason") or status)
    return _of(refund, RailOutcome.PENDING if is_known else RailOutcome.UNKNOWN, waits)


def of_transfer(transfer: Fields) -> Answer:
    """What became of a transfer or a reversal: it is made when it is there, with its transaction.

    There is no event for a transfer that is paid, and none that fails later.
    """
    moved = _transaction(transfer.get("balance_transaction"))
    outcome = RailOutcome.PENDING if moved is None else RailOutcome.DONE
    return _of(transfer, outcome, "created", transaction=moved)


def of_payout(payout: Fields) -> Answer:
    """What became of a payout: it has left with its transaction, and may come back when paid."""
    status = str(payout["status"])
    moved = _transaction(payout.get("balance_transaction"))
    if status in {"failed", "canceled"}:
        return _payout_failed(payout, status, moved)
    if status == "paid" and moved is not None:
        return _of(payout, RailOutcome.DONE, status, transaction=moved, has_left=True)
    is_known = status in {"pending", "in_transit", "paid"}
    outcome = RailOutcome.PENDING if is_known else RailOutcome.UNKNOWN
    return _of(payout, outcome, status, transaction=moved, has_left=moved is not None)


def of_top_up(top_up: Fields) -> Answer:
    """What became of money that we sent to our own balance."""
    status = str(top_up["status"])
    moved = _transaction(top_up.get("balance_transaction"))
    if status in {"failed", "canceled", "reversed"}:
        return replace(_of(top_up, RailOutcome.REFUSED, status), code=f"top_up.{status}")
    if status == "succeeded" and moved is not None:
        return _of(top_up, RailOutcome.DONE, status, transaction=moved)
    is_known = status in {"pending", "succeeded"}
    return _of(top_up, RailOutcome.PENDING if is_known else RailOutcome.UNKNOWN, status)


def of_evidence(dispute: Fields, operation: RailOperation) -> Answer | None:
    """Whether a dispute has this evidence; None: not by what it remembers."""
    if evidence_mark(operation) not in said_by(dispute):
        return None
    return _told(operation, dispute, RailOutcome.DONE, "submitted")


def of_account(account: Fields, operation: RailOperation) -> Answer:
    """An account that was opened for a payee."""
    return _told(operation, account, RailOutcome.DONE, "opened")


def _paid(payment: Fields, charge: Fields, parts: Sequence[Fields]) -> Answer:
    moved = _transaction(charge.get("balance_transaction"))
    if moved is None:
        return _of(payment, RailOutcome.PENDING, "unsettled", cleared=False)
    known = [part for part in parts if part["reporting_category"] in _PARTS] or [moved]
    is_whole = sum(part["amount"] for part in known) == _captured(charge)
    if not is_whole and moved["currency"] == charge["currency"]:
        return _of(payment, RailOutcome.PENDING, "unsettled", cleared=False)
    cleared = not is_debit(charge) or moved["status"] == "available"
    answer = _of(
        payment,
        RailOutcome.DONE,
        "succeeded" if cleared else "uncleared",
        transaction=moved,
        cleared=cleared,
    )
    currency = str(moved["currency"])
    return replace(
        answer,
        amount_minor=to_ours(sum(part["amount"] for part in known), currency),
        fee_minor=to_ours(sum(part["fee"] for part in known), currency),
    )


def _taken_back(payment: Fields, back: Fields) -> Answer:
    """A debit that the payer's bank took back; what Stripe charged for it beside the money."""
    answer = _of(payment, RailOutcome.REFUSED, "taken_back", transaction=back)
    return replace(
        answer,
        code="debit.returned",
        amount_minor=abs(to_ours(back["amount"], str(back["currency"]))),
        fee_minor=max(to_ours(back["fee"], str(back["currency"])), 0),
    )


def _has_failed_for_good(payment: Fields) -> bool:
    """A stored method is tried once; in the browser the payer may try another."""
    is_told = payment.get("last_payment_error") is not None
    return is_told and said_by(payment).get("way") == "token"


def _payout_failed(payout: Fields, status: str, moved: Fields | None) -> Answer:
    if moved is None:
        refused = _of(payout, RailOutcome.REFUSED, status)
        return replace(refused, code="payout.failed")
    back = _transaction(payout.get("failure_balance_transaction"))
    if back is None:
        # The money is neither there nor here until its transaction comes.
        return _of(payout, RailOutcome.UNKNOWN, status)
    kept = -(moved["amount"] - moved["fee"]) - (back["amount"] - back["fee"])
    returned = _of(payout, RailOutcome.REFUSED, status, transaction=back)
    kept_minor = max(to_ours(kept, str(payout["currency"])), 0)
    return replace(returned, code=PAYOUT_RETURNED, fee_minor=kept_minor)


def _of(
    found: Fields,
    outcome: RailOutcome,
    state: str,
    *,
    transaction: Fields | None = None,
    cleared: bool = True,
    has_left: bool = False,
) -> Answer:
    """An object's own amount; under the currency of its transaction, so that none is taken wrong.

    An exchange is not what was asked for: the result then names another currency than the
    operation, which is refused as Broken and looked at (domain/rails.md 1.6).
    """
    currency = str(found["currency"])
    if transaction is not None and transaction["currency"] != currency:
        currency = str(transaction["currency"])
    moved_at = found["created"] if transaction is None else transaction["created"]
    return Answer(
        outcome=outcome,
        rail_ref=str(found["id"]),
        state=state,
        amount_minor=to_ours(found["amount"], str(found["currency"])),
        currency=currency.upper(),
        fee_minor=0 if transaction is None else _fee_minor(outcome, transaction),
        occurred_at=time_of(moved_at),
        cleared=cleared,
        has_left=has_left,
        transaction_ref="" if transaction is None else str(transaction["id"]),
    )


def _told(operation: RailOperation, found: Fields, outcome: RailOutcome, state: str) -> Answer:
    """What moves no money of its own: under the operation's amount, without a transaction."""
    return Answer(
        outcome=outcome,
        rail_ref=str(found["id"]),
        state=state,
        amount_minor=operation.amount_minor,
        currency=operation.currency,
        occurred_at=time_of(found["created"]),
    )


def _fee_minor(outcome: RailOutcome, transaction: Fields) -> int:
    if outcome is RailOutcome.REFUSED:
        return 0
    return max(to_ours(transaction["fee"], str(transaction["currency"])), 0)


def _transaction(reference: Any) -> Fields | None:  # noqa: ANN401  an id, an object, or nothing
    """A balance transaction that was expanded; a bare id tells nothing yet."""
    return reference if isinstance(reference, Mapping) else None


def _captured(charge: Fields) -> int:
    return int(charge["amount_captured"])


def _family(charge: Fields) -> str:
    return str((charge.get("payment_method_details") or {}).get("type", ""))
