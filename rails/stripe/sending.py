"""One operation sent to Stripe, with its own key, and what came back at once.

The key goes into the options; a second step has a key made of the operation's. What cannot succeed
now (money that is not available) is not sent at all: Stripe would keep the refusal under the key.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import stripe

from rails.model import NOT_NOW, OperationKind, RailOperation, RailOutcome
from rails.refusals import NotOffered
from rails.stripe import answers, calls
from rails.stripe.amounts import to_ours
from rails.stripe.errors import LATER, MONEY_LATER, is_final, spread
from rails.stripe.model import Answer, Fields, account_of, id_of
from rails.stripe.reading import Reader, way_of
from rails.stripe.wire import Wire, on_account, plain


@dataclass(slots=True)
class Sender:
    """One batch on its way. Balances are read once per account and carried on."""

    wire: Wire
    tenant: str
    reader: Reader
    at: datetime
    _balances: dict[str, Fields] = field(default_factory=dict)
    _spent_minor: dict[tuple[str, str], int] = field(default_factory=dict)

    def send(self, operation: RailOperation) -> Answer:
        """Send one operation; `stripe.StripeError` and refusals of ours come through."""
        senders = {
            OperationKind.FUND: self._fund,
            OperationKind.CAPTURE: self._capture,
            OperationKind.CANCEL: self._cancel,
            OperationKind.REFUND: self._refund,
            OperationKind.TRANSFER: self._transfer,
            OperationKind.TRANSFER_BACK: self._transfer_back,
            OperationKind.PAYOUT: self._payout,
            OperationKind.BANK_TRANSFER: self._between_banks,
            OperationKind.TOP_UP: self._between_banks,
            OperationKind.EVIDENCE: self._evidence,
            OperationKind.PAYEE: self._payee,
        }
        return senders[operation.kind](operation)

    def _fund(self, operation: RailOperation) -> Answer:
        params = calls.fund(operation, tenant=self.tenant)
        made = self.wire.v1.payment_intents.create(params, on_account("", key=operation.key))
        return self.reader.answer_of_payment(plain(made))

    def _capture(self, operation: RailOperation) -> Answer:
        payment = self._payment(operation)
        if payment is None:
            return self._refused(operation, "rail.unknown_payment")
        params = calls.capture(operation)
        reference, options = str(payment["id"]), on_account("", key=operation.key)
        taken = plain(self.wire.v1.payment_intents.capture(reference, params, options))
        answer = answers.of_capture(taken, operation)
        return answer or self._said(operation, RailOutcome.PENDING, rail_ref=reference)

    def _cancel(self, operation: RailOperation) -> Answer:
        payment = self._payment(operation)
        if payment is None:
            return self._refused(operation, "rail.unknown_payment")
        known = answers.of_cancel(payment, operation)
        if known is not None:
            return known
        reference, options = str(payment["id"]), on_account("", key=operation.key)
        closed = plain(self.wire.v1.payment_intents.cancel(reference, calls.cancel(), options))
        answer = answers.of_cancel(closed, operation)
        return answer or self._said(operation, RailOutcome.PENDING, rail_ref=reference)

    def _refund(self, operation: RailOperation) -> Answer:
        payment = self._payment(operation)
        if payment is None:
            return self._refused(operation, "rail.unknown_payment")
        params = calls.refund(operation, payment_ref=str(payment["id"]), tenant=self.tenant)
        made = self.wire.v1.refunds.create(params, on_account("", key=operation.key))
        return answers.of_refund(plain(made))

    def _transfer(self, operation: RailOperation) -> Answer:
        """Of one charge it may go before settlement; else only what is available by now."""
        account = account_of(str(operation.facts.get("target", "")))
        if not account:
            return self._refused(operation, NotOffered.code)
        charge_ref = self._charge_ref(operation)
        if self._is_short(account, operation.currency) or not (
            charge_ref or self._covers("", operation)
        ):
            return self._not_now(operation)
        params = calls.transfer(operation, charge_ref=charge_ref, tenant=self.tenant)
        self._balances.pop(account)  # what it holds by then is read anew
        made = self.wire.v1.transfers.create(params, on_account("", key=operation.key))
        return answers.of_transfer(plain(made))

    def _transfer_back(self, operation: RailOperation) -> Answer:
        reference = self.reader.transfer_ref(operation)
        if not reference:
            return self._refused(operation, "rail.unknown_transfer")
        params = calls.transfer_back(operation, tenant=self.tenant)
        options = on_account("", key=operation.key)
        made = self.wire.v1.transfers.reversals.create(reference, params, options)
        return answers.of_transfer(plain(made))

    def _payout(self, operation: RailOperation) -> Answer:
        """From the payee's own account, once the money there is available (gumroad#5480)."""
        account = account_of(str(operation.facts.get("account", "")))
        if not account:
            return self._refused(operation, NotOffered.code)
        return self._pay_out(operation, account)

    def _pay_out(self, operation: RailOperation, account: str) -> Answer:
        if not self._covers(account, operation):
            return self._not_now(operation)
        params = calls.payout(operation, tenant=self.tenant)
        made = self.wire.v1.payouts.create(params, on_account(account, key=operation.key))
        return answers.of_payout(plain(made))

    def _between_banks(self, operation: RailOperation) -> Answer:
        way = way_of(operation)
        if way == "payout":
            return self._pay_out(operation, "")
        if way != "top_up":
            return self._refused(operation, NotOffered.code)
        params = calls.top_up(operation, tenant=self.tenant)
        made = self.wire.v1.topups.create(params, on_account("", key=operation.key))
        return answers.of_top_up(plain(made))

    def _evidence(self, operation: RailOperation) -> Answer:
        reference = str(operation.facts["chargeback"])
        if not reference.startswith(("dp_", "du_")):
            return self._refused(operation, NotOffered.code)
        params, options = calls.evidence(operation), on_account("", key=operation.key)
        sent = plain(self.wire.v1.disputes.update(reference, params, options))
        answer = answers.of_evidence(sent, operation)
        return answer or self._said(operation, RailOutcome.UNKNOWN, rail_ref=reference)

    def _payee(self, operation: RailOperation) -> Answer:
        """Two steps: the account, then that it is paid out only when we say so.

        v2 works a failed call anew under the same key, so the account is looked for first.
        """
        found = self.reader.opened(operation)
        if found is None:
            params = calls.payee(operation, tenant=self.tenant)
            made = self.wire.v2.core.accounts.create(params, on_account("", key=operation.key))
            found = plain(made)
        options = on_account(str(found["id"]), key=f"{operation.key}:schedule")
        try:
            self.wire.v1.balance_settings.update(calls.manual_payouts(), options)
        except stripe.StripeError as error:
            if not is_final(error):
                raise
            # The account is there: this is no refusal, but something for people to set right.
            return self._not_now(operation, LATER)
        return answers.of_account(found, operation)

    def _payment(self, operation: RailOperation) -> Fields | None:
        return self.reader.funding_of(operation)

    def _charge_ref(self, operation: RailOperation) -> str:
        """The charge, never the payment intent, of the payment that covers a transfer."""
        funding_id = str(operation.facts.get("charge_of") or "")
        if not funding_id:
            return ""
        payment = self.reader.charged(UUID(funding_id))
        if payment is None or payment["status"] != "succeeded":
            return ""
        return id_of(payment["latest_charge"])

    def _covers(self, account: str, operation: RailOperation) -> bool:
        """Whether an account has the money available; money that is pending is not looked at."""
        currency = operation.currency
        there_minor = self._held(account, currency, "available")
        spent_minor = self._spent_minor.get((account, currency), 0)
        if there_minor - spent_minor < operation.amount_minor:
            return False
        self._spent_minor[account, currency] = spent_minor + operation.amount_minor
        return True

    def _is_short(self, account: str, currency: str) -> bool:
        """Whether a payee's account is below zero, so that it would swallow a transfer."""
        return self._held(account, currency, "available", "pending") < 0

    def _held(self, account: str, currency: str, *parts: str) -> int:
        if account not in self._balances:
            self._balances[account] = self.wire.balance(account=account)
        return sum(
            to_ours(part["amount"], currency)
            for name in parts
            for part in self._balances[account][name]
            if str(part["currency"]).upper() == currency
        )

    def _not_now(self, operation: RailOperation, wait: timedelta = MONEY_LATER) -> Answer:
        retry_at = self.at + spread(wait, operation.id)
        return self._said(operation, RailOutcome.UNKNOWN, code=NOT_NOW, retry_at=retry_at)

    def _refused(self, operation: RailOperation, code: str) -> Answer:
        return self._said(operation, RailOutcome.REFUSED, code=code)

    def _said(
        self,
        operation: RailOperation,
        outcome: RailOutcome,
        *,
        code: str = "",
        rail_ref: str = "",
        retry_at: datetime | None = None,
    ) -> Answer:
        """An answer of our own, about the operation as it is."""
        return Answer(
            outcome=outcome,
            rail_ref=rail_ref,
            state="",
            amount_minor=operation.amount_minor,
            currency=operation.currency,
            occurred_at=self.at,
            code=code,
            retry_at=retry_at,
        )
