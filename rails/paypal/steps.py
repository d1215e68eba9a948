"""What one operation is sent by, read by, and led on by, at PayPal."""

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from kernel.errors import RailTrouble
from rails.http import Answer, NotTaken
from rails.model import NOT_FOUND, OperationKind, RailOperation, RailOutcome
from rails.paypal import bodies, rules
from rails.paypal.calls import ORDERS, PAYMENTS, PAYOUTS, Calls
from rails.paypal.rules import Said, code_of, issue_of, operation_of
from rails.refusals import NotOffered

ORDER_KEY_LASTS: Final = timedelta(hours=5)
"""PayPal remembers the key of an order for six hours; we count on five."""

ORDER_LASTS: Final = timedelta(days=7)
"""An order that nobody approved is gone after some days; we count on no more than a week."""

BATCH_ID_LASTS: Final = timedelta(days=29)
"""PayPal remembers the id of a batch for thirty days; we count on one less."""

_WAIT: Final = frozenset({"PENDING_CAPTURE"})
_CAPTURED: Final = frozenset({"ORDER_ALREADY_CAPTURED", "ORDER_COMPLETED_OR_VOIDED"})
_NOT_YET: Final = frozenset({"ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED"})


class Steps:
    """The steps of operations of one account. Each may raise RailTrouble, NotTaken at best."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def start(self, operation: RailOperation, at: datetime) -> Said:
        """Send it, with its key; what PayPal does not offer is refused here."""
        if operation.kind is OperationKind.FUND:
            settings = self._calls.settings
            body = bodies.order_body(
                operation, return_url=settings.return_url, cancel_url=settings.cancel_url
            )
            answer = self._calls.post(ORDERS, body, key=operation.key)
            return rules.order_says(answer.said) if answer.is_good else _refused(answer)
        if operation.kind is OperationKind.REFUND:
            return self._refund(operation)
        if operation.kind is OperationKind.PAYOUT:
            return self._pay_out(operation, at)
        return Said(outcome=RailOutcome.REFUSED, rail_ref="", code=NotOffered.code)

    def _refund(self, operation: RailOperation) -> Said:
        order_id = str(operation.facts.get("funding_ref") or "")
        if not order_id:
            return Said(outcome=RailOutcome.REFUSED, rail_ref="", code=code_of("NO_FUNDING_REF"))
        try:
            order = self._calls.order(order_id)
        except RailTrouble as trouble:
            raise NotTaken(str(trouble)) from trouble
        made = rules.refund_in(order, operation.id)
        if made is not None:
            return rules.refund_says(made)
        capture_id = rules.captured_in(order)
        if not capture_id:
            return Said(outcome=RailOutcome.REFUSED, rail_ref="", code=code_of("NO_CAPTURE"))
        path = f"{PAYMENTS}/captures/{capture_id}/refund"
        answer = self._calls.post(path, bodies.refund_body(operation), key=operation.key)
        if not answer.is_good and issue_of(answer.said) in _WAIT:
            raise NotTaken("PayPal: the capture is still pending", wait_s=3_600)
        return rules.refund_says(answer.said) if answer.is_good else _refused(answer)

    def _pay_out(self, operation: RailOperation, at: datetime) -> Said:
        answer = self._calls.post(PAYOUTS, bodies.payout_body(operation), key=operation.key)
        if answer.is_good:
            return rules.batch_of(answer.said)
        twin = rules.twin_of(answer.said)
        if twin:
            return self._read_batch(twin, operation, at)
        return _refused(answer)

    def read(self, operation: RailOperation, at: datetime) -> Said:
        """What became of it, by the name that PayPal gave it, else by its order."""
        if operation.kind is OperationKind.FUND:
            return self._read_order(operation, at)
        if operation.kind is OperationKind.REFUND:
            return self._read_refund_of(operation)
        if operation.kind is OperationKind.PAYOUT and operation.rail_ref:
            return self._read_batch(operation.rail_ref, operation, at)
        return Said(outcome=RailOutcome.UNKNOWN, rail_ref="", code=NOT_FOUND)

    def step(self, operation: RailOperation, at: datetime) -> Said:
        """Capture what was approved, send a payout again whose answer was lost; else read."""
        if operation.kind is OperationKind.FUND:
            said = self.read(operation, at)
            return self._capture(operation) if said.code == rules.APPROVED else said
        if operation.kind is OperationKind.PAYOUT and not operation.rail_ref:
            made_at = operation.created_at or at
            if at - made_at < BATCH_ID_LASTS:
                return self._pay_out(operation, at)
            return Said(outcome=RailOutcome.UNKNOWN, rail_ref="")
        return self.read(operation, at)

    def _capture(self, operation: RailOperation) -> Said:
        path = f"{ORDERS}/{operation.rail_ref}/capture"
        answer = self._calls.post(path, {}, key=f"{operation.key}:capture")
        if answer.is_good:
            return rules.order_says(answer.said)
        issue = issue_of(answer.said)
        if issue in _CAPTURED | _NOT_YET:
            return rules.order_says(self._calls.order(operation.rail_ref))
        if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return _refused(answer, rail_ref=operation.rail_ref)
        raise RailTrouble(f"PayPal: capture: {answer.status} {issue}")

    def _read_order(self, operation: RailOperation, at: datetime) -> Said:
        """An order without a name is lost: nobody has its link, so nobody can pay it.

        One that is gone after a week was never paid: PayPal keeps those that were.
        """
        if not operation.rail_ref:
            if at - (operation.created_at or at) < ORDER_KEY_LASTS:
                return Said(outcome=RailOutcome.UNKNOWN, rail_ref="", code=NOT_FOUND)
            return Said(outcome=RailOutcome.REFUSED, rail_ref="", code="paypal.order_lost")
        order = self._calls.found(f"{ORDERS}/{operation.rail_ref}")
        if not order and at - (operation.created_at or at) < ORDER_LASTS:
            return Said(outcome=RailOutcome.UNKNOWN, rail_ref=operation.rail_ref)
        if not order:
            code = "paypal.order_expired"
            return Said(outcome=RailOutcome.REFUSED, rail_ref=operation.rail_ref, code=code)
        return rules.order_says(order)

    def _read_refund_of(self, operation: RailOperation) -> Said:
        if operation.rail_ref:
            return rules.refund_says(self._calls.get(f"{PAYMENTS}/refunds/{operation.rail_ref}"))
        order_id = str(operation.facts.get("funding_ref") or "")
        made = rules.refund_in(self._calls.order(order_id), operation.id) if order_id else None
        if made is None:
            return Said(outcome=RailOutcome.UNKNOWN, rail_ref="", code=NOT_FOUND)
        return rules.refund_says(made)

    def _read_batch(self, batch_id: str, operation: RailOperation, at: datetime) -> Said:
        batch = self._calls.get(f"{PAYOUTS}/{batch_id}")
        status = str((batch.get("batch_header") or {}).get("batch_status") or "")
        for item in batch.get("items") or ():
            if operation_of((item.get("payout_item") or {}).get("sender_item_id")) == operation.id:
                return rules.item_says(item, batch_status=status)
        if status in {"DENIED", "CANCELED"}:
            return Said(
                outcome=RailOutcome.REFUSED, rail_ref=batch_id, code="paypal.denied", occurred_at=at
            )
        return Said(outcome=RailOutcome.PENDING, rail_ref=batch_id)


def _refused(answer: Answer, *, rail_ref: str = "") -> Said:
    return Said(outcome=RailOutcome.REFUSED, rail_ref=rail_ref, code=code_of(issue_of(answer.said)))
