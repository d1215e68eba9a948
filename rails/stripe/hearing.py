"""What an event is about, fetched anew, and what is true of it by now.

An event of a payee's account is read with that account's header: without it Stripe knows no such
object (domain/rails.md 1.5, rule 6). What carries another tenant's name is left alone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import stripe

from kernel.errors import RailTrouble
from rails.model import OPERATION_CHANGED, Notice, RailOutcome
from rails.model_events import RailEvent
from rails.stripe import answers, chargebacks, payees
from rails.stripe.calls import MOVED
from rails.stripe.errors import is_missing
from rails.stripe.model import NAME, Answer, Fields, id_of, operation_of, said_by
from rails.stripe.reading import Reader
from rails.stripe.wire import PAGE, Wire, each, plain

_JUST: Final = timedelta(days=4)
"""How long ago money may have become available for its debit to be told as cleared."""

_FAMILIES: Final = (
    ("payment_intent.", "payment"),
    ("charge.dispute.", "dispute"),
    ("charge.refund.", "refund"),
    ("charge.", "charge"),
    ("refund.", "refund"),
    ("transfer.", "transfer"),
    ("payout.", "payout"),
    ("topup.", "top_up"),
    ("radar.early_fraud_warning.", "warning"),
    ("account.application.deauthorized", "gone"),
    ("account.", "account"),
    ("capability.", "account"),
    ("v2.core.account", "account"),
    ("balance.available", "cleared"),
)
"""By how the kind of an event begins; the first that fits."""

_AT_PAYEES: Final = frozenset({"payout", "gone", "account"})
"""What is ours at payees' accounts; their payments are our transfers, told by the platform's."""

_WITHOUT_OBJECT: Final = frozenset({"cleared", "gone", "account"})


@dataclass(frozen=True, slots=True)
class Hearer:
    """Reads what events are about."""

    wire: Wire
    reader: Reader
    tenant: str

    def read(self, event: RailEvent, *, at: datetime) -> list[Notice]:
        """What is true of an event's object; empty for kinds and objects that are not ours.

        `stripe.StripeError` comes through; RailTrouble where Stripe itself has not finished.
        """
        readers = {
            "payment": self._payment,
            "charge": self._charge,
            "refund": self._refund,
            "transfer": self._transfer,
            "payout": self._payout,
            "top_up": self._top_up,
            "dispute": self._dispute,
            "warning": self._warning,
            "gone": self._gone,
            "account": self._account,
            "cleared": self._cleared,
        }
        family = family_of(event.kind)
        if not family or (event.account and family not in _AT_PAYEES):
            return []
        if not (event.object_ref or family in _WITHOUT_OBJECT):
            return []
        return readers[family](event, at)

    def contested(self, funding_id: UUID, *, at: datetime) -> list[Notice]:
        """All disputes and warnings of a payment."""
        payment = self.reader.charged(funding_id)
        if payment is None:
            return []
        by_payment: Any = {"payment_intent": payment["id"], "limit": PAGE}
        notices: list[Notice] = []
        for warning in each(self.wire.v1.radar.early_fraud_warnings.list(by_payment)):
            charge = answers.charge_of(payment)
            assert charge is not None
            notices += chargebacks.of_warning(warning, charge=charge, funding_id=funding_id)
        for dispute in each(self.wire.v1.disputes.list(by_payment)):
            notices += chargebacks.of_dispute(dispute, funding_id, heard_at=at)
        return notices

    def _payment(self, event: RailEvent, _at: datetime) -> list[Notice]:
        return self._of_payment(self.wire.payment(event.object_ref))

    def _charge(self, event: RailEvent, _at: datetime) -> list[Notice]:
        """A charge is its payment's."""
        charge = plain(self.wire.v1.charges.retrieve(event.object_ref))
        reference = id_of(charge.get("payment_intent"))
        return self._of_payment(self.wire.payment(reference)) if reference else []

    def _of_payment(self, payment: Fields) -> list[Notice]:
        if operation_of(payment, self.tenant) is None:
            return []
        return self._told(payment, self.reader.answer_of_payment(payment))

    def _refund(self, event: RailEvent, _at: datetime) -> list[Notice]:
        refund = self.wire.refund(event.object_ref)
        return self._told(refund, answers.of_refund(refund))

    def _transfer(self, event: RailEvent, _at: datetime) -> list[Notice]:
        """The transfer, and each reversal of it that is ours."""
        transfer = self.wire.transfer(event.object_ref)
        notices = self._told(transfer, answers.of_transfer(transfer))
        if transfer["amount_reversed"]:
            params: Any = {"limit": PAGE, "expand": [f"data.{path}" for path in MOVED]}
            listed = self.wire.v1.transfers.reversals.list(event.object_ref, params)
            for reversal in each(listed):
                notices += self._told(reversal, answers.of_transfer(reversal))
        return notices

    def _payout(self, event: RailEvent, _at: datetime) -> list[Notice]:
        payout = self.wire.payout(event.object_ref, account=event.account)
        return self._told(payout, answers.of_payout(payout))

    def _top_up(self, event: RailEvent, _at: datetime) -> list[Notice]:
        top_up = plain(self.wire.v1.topups.retrieve(event.object_ref, {"expand": MOVED}))
        return self._told(top_up, answers.of_top_up(top_up))

    def _dispute(self, event: RailEvent, at: datetime) -> list[Notice]:
        dispute = plain(self.wire.v1.disputes.retrieve(event.object_ref))
        payment = self._payment_behind(dispute)
        funding_id = None if payment is None else operation_of(payment, self.tenant)
        if funding_id is None:
            return []
        return chargebacks.of_dispute(dispute, funding_id, heard_at=event.occurred_at or at)

    def _warning(self, event: RailEvent, _at: datetime) -> list[Notice]:
        warning = plain(self.wire.v1.radar.early_fraud_warnings.retrieve(event.object_ref))
        payment = self._payment_behind(warning)
        funding_id = None if payment is None else operation_of(payment, self.tenant)
        charge = None if payment is None else answers.charge_of(payment)
        if funding_id is None or charge is None:
            return []
        return chargebacks.of_warning(warning, charge=charge, funding_id=funding_id)

    def _payment_behind(self, found: Fields) -> Fields | None:
        """The payment of a dispute or a warning; some name only the charge."""
        reference = id_of(found.get("payment_intent"))
        if not reference:
            charge = plain(self.wire.v1.charges.retrieve(id_of(found["charge"])))
            reference = id_of(charge.get("payment_intent"))
        return self.wire.payment(reference) if reference else None

    def _account(self, event: RailEvent, _at: datetime) -> list[Notice]:
        """By the time of asking: what was asked for later is at least as new as any event before.

        Events tell whole seconds, and several changes fall into one; what they say is not used.
        """
        as_of = datetime.now(UTC)
        reference = event.account or event.object_ref
        if not reference.startswith("acct_"):
            return []
        try:
            account = self.wire.account(reference)
        except stripe.StripeError as error:
            if is_missing(error):
                return []
            raise
        if said_by(account).get("tenant") != self.tenant:
            return []
        return [payees.of_account(account, as_of=as_of)]

    def _gone(self, event: RailEvent, _at: datetime) -> list[Notice]:
        if not event.account:
            return []
        return [payees.gone(event.account, as_of=datetime.now(UTC))]

    def _cleared(self, event: RailEvent, at: datetime) -> list[Notice]:
        """Debits whose money has become available: their payer's bank has let go of it.

        Bank debits stand in the list as payments, cards as charges.
        """
        until = event.occurred_at or at
        params: Any = {
            "type": "payment",
            "created": {"gte": int((until - timedelta(days=30)).timestamp())},
            "limit": PAGE,
            "expand": ["data.source"],
        }
        notices: list[Notice] = []
        for moved in each(self.wire.v1.balance_transactions.list(params)):
            is_fresh = int((until - _JUST).timestamp()) <= moved["available_on"]
            source = moved["source"]
            if moved["status"] == "available" and is_fresh and answers.is_debit(source):
                reference = id_of(source.get("payment_intent"))
                notices += self._of_payment(self.wire.payment(reference)) if reference else []
        return notices

    def _told(self, found: Fields, answer: Answer) -> list[Notice]:
        operation_id = operation_of(found, self.tenant)
        if operation_id is None:
            return []
        if answer.outcome is RailOutcome.UNKNOWN:
            raise RailTrouble(f"stripe has not finished with {answer.rail_ref}")
        return [notice_of(answer, operation_id)]


def family_of(kind: str) -> str:
    """What an event is about; thin names of v1 events begin with `v1.`; empty: not ours."""
    plain_kind = kind.removeprefix("v1.")
    fits = (family for start, family in _FAMILIES if plain_kind.startswith(start))
    return next(fits, "")


def notice_of(answer: Answer, operation_id: UUID) -> Notice:
    """An answer about an operation as the rail's own word on it."""
    return Notice(
        rail=NAME,
        notice_id=answer.notice_id,
        kind=OPERATION_CHANGED,
        rail_ref=answer.rail_ref,
        operation_id=operation_id,
        outcome=answer.outcome,
        amount_minor=answer.amount_minor,
        currency=answer.currency,
        fee_minor=answer.fee_minor,
        code=answer.code,
        cleared=answer.cleared,
        occurred_at=answer.occurred_at,
        has_left=answer.has_left,
        transaction_ref=answer.transaction_ref,
    )
