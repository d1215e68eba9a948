"""One shortcode at M-Pesa as a Rail: customers are asked by STK push, payees are paid by B2C.

A funding is asked for at once by the push query. A payout is asked for by a status query, whose
answer comes by a callback; so `resolve` only has it sent. Refunds are not offered.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from kernel.errors import RailTrouble
from rails.capabilities import MPESA
from rails.http import NONSENSE, NotTaken, side_by_side
from rails.model import (
    KEY_SPENT,
    NOT_NOW,
    LogLine,
    Notice,
    NoticePage,
    OperationKind,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.model_events import Authentic, RailEvent
from rails.mpesa import rules
from rails.mpesa.calls import (
    PAY,
    PUSH,
    PUSH_QUERY,
    STATUS_QUERY,
    Calls,
    error_of,
    is_accepted,
)
from rails.mpesa.rules import Address, result_of
from rails.mpesa.settings import MpesaSettings
from rails.refusals import AmountNotPossible, NotOffered

_TRANSACTION_TYPE: Final = "CustomerPayBillOnline"
_COMMAND: Final = "BusinessPayment"
_SHORTCODE_TYPE: Final = "4"
_REMARKS: Final = "Payment"
_DUPLICATE: Final = "duplicate"
_IN_WORK: Final = "being processed"

_Act = Callable[[RailOperation, datetime], RailResult]


class MpesaRail:
    """A tenant's shortcode at M-Pesa. Holds no money state: all is asked of M-Pesa."""

    name: str = rules.NAME
    capabilities = MPESA

    def __init__(self, settings: MpesaSettings) -> None:
        self._settings = settings
        self._calls = Calls(settings)

    def __repr__(self) -> str:
        """Where it asks; no secret."""
        return f"MpesaRail({self._settings.shortcode} at {self._settings.api_base})"

    def close(self) -> None:
        """Close its connections; it opens new ones if it is asked again."""
        self._calls.api.close()

    # Operations

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Send each operation once; accepted means PENDING, a lost answer UNKNOWN."""
        return [self._safely(each, self._start, at) for each in operations]

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        """Ask what became of each: of a push by its answer, of a payout by a later callback.

        A push whose answer was lost has no name to ask by: it waits for its callback.
        """
        return side_by_side(lambda each: self._safely(each, self._read, at), operations)

    # What M-Pesa tells

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:  # noqa: ARG002
        """None: M-Pesa speaks by callbacks."""
        return NoticePage((), after)

    def chargebacks(
        self,
        operation_ids: Sequence[UUID],  # noqa: ARG002
        *,
        at: datetime,  # noqa: ARG002
    ) -> list[Notice]:
        """None: there are no disputes at M-Pesa that an API tells of."""
        return []

    def balances(self, *, at: datetime) -> list[RailBalance]:  # noqa: ARG002
        """None: the balance comes by a callback only, and from the portal's statement."""
        return []

    def log(self, *, after: int, limit: int, at: datetime) -> list[LogLine]:  # noqa: ARG002
        """None: there is no statement but the portal's file."""
        return []

    # Callbacks

    def open_event(
        self,
        body: bytes,
        headers: Mapping[str, str],  # noqa: ARG002  nothing in them proves anything
        *,
        endpoint: str,
        at: datetime,
    ) -> list[RailEvent]:
        """A hint, if it came to an address that only we could make; people's data are left out."""
        address = rules.address_of(endpoint, token=self._settings.callback_token)
        kept = rules.kept_of(address, body)
        facts = {
            "what": address.what,
            "operation_id": str(address.operation_id),
            "amount_minor": str(address.amount_minor),
            "reason": address.reason,
            **kept,
        }
        trimmed = json.dumps(facts, sort_keys=True).encode()
        digest = hashlib.sha256(trimmed).hexdigest()[:16]
        return [
            RailEvent(
                rail=self.name,
                account="",
                event_id=f"{address.what}:{address.operation_id}:{digest}",
                kind=address.what,
                object_ref=kept.get("checkout") or kept.get("conversation", ""),
                authentic=Authentic.NONE,
                is_live=self._settings.is_live,
                body=trimmed,
                occurred_at=at,
            )
        ]

    def read_event(self, event: RailEvent, *, at: datetime) -> list[Notice]:
        """Ask M-Pesa about what a callback hints at; only the answer to a query counts.

        A push that is still open gets its name by its callback, so that it can be asked for. A
        callback of a payout has a status query sent, whose answer is the next event.
        """
        facts: dict[str, str] = json.loads(event.body)
        address = Address(
            facts["what"],
            UUID(facts["operation_id"]),
            int(facts["amount_minor"]),
            facts["reason"],
        )
        if address.what == rules.STK:
            return self._push_notices(address, event.object_ref, at)
        if address.what == rules.STATUS:
            notice = rules.status_says(address, facts, at=at)
            return [notice] if notice else []
        if address.what in {rules.B2C, rules.TIMEOUT}:
            reason = facts.get("code", "").replace("_", "")[:12]
            self._ask_status(replace(address, what=rules.STATUS, reason=reason))
        return []

    def _push_notices(self, address: Address, checkout: str, at: datetime) -> list[Notice]:
        outcome, code = self._push_outcome(checkout, at)
        notice = rules.notice_of(
            address,
            outcome,
            at=at,
            rail_ref=checkout,
            code=code,
            transaction_ref=checkout if outcome is RailOutcome.DONE else "",
        )
        return [notice]

    def list_events(
        self,
        *,
        after: str,
        limit: int,  # noqa: ARG002
        at: datetime,  # noqa: ARG002
    ) -> tuple[list[RailEvent], str]:
        """None: Daraja keeps no list of callbacks; `resolve` asks for what is missing."""
        return [], after

    # What each operation is sent and read by

    def _start(self, operation: RailOperation, at: datetime) -> RailResult:
        if operation.kind not in {OperationKind.FUND, OperationKind.PAYOUT}:
            return result_of(operation, RailOutcome.REFUSED, at=at, code=NotOffered.code)
        phone = rules.phone_of(operation.method)
        if not phone:
            return result_of(operation, RailOutcome.REFUSED, at=at, code="mpesa.no_phone")
        try:
            amount = rules.shillings(operation.amount_minor, operation.currency)
        except AmountNotPossible as refusal:
            return result_of(operation, RailOutcome.REFUSED, at=at, code=refusal.code)
        if operation.kind is OperationKind.FUND:
            return self._push(operation, phone, amount, at)
        return self._pay(operation, phone, amount, at)

    def _push(self, operation: RailOperation, phone: str, amount: str, at: datetime) -> RailResult:
        body = {
            **self._signed(at),
            "TransactionType": _TRANSACTION_TYPE,
            "Amount": amount,
            "PartyA": phone,
            "PartyB": self._settings.shortcode,
            "PhoneNumber": phone,
            "CallBackURL": self._url(Address(rules.STK, operation.id, operation.amount_minor)),
            "AccountReference": rules.account_reference(operation.id),
            "TransactionDesc": _REMARKS,
        }
        answer = self._calls.post(PUSH, body)
        named = str(answer.said.get("CheckoutRequestID") or "")
        if is_accepted(answer) and named:
            return result_of(operation, RailOutcome.PENDING, at=at, rail_ref=named)
        if is_accepted(answer) or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RailTrouble(f"M-Pesa: push: {answer.status} {error_of(answer)}")
        code = error_of(answer) or str(answer.said.get("ResponseCode") or answer.status)
        return result_of(operation, RailOutcome.REFUSED, at=at, code=f"mpesa.{code[:40]}")

    def _pay(self, operation: RailOperation, phone: str, amount: str, at: datetime) -> RailResult:
        settings = self._settings
        minor = operation.amount_minor
        body = {
            "OriginatorConversationID": operation.key,
            "InitiatorName": settings.initiator,
            "SecurityCredential": settings.security_credential,
            "CommandID": _COMMAND,
            "Amount": amount,
            "PartyA": settings.shortcode,
            "PartyB": phone,
            "Remarks": _REMARKS,
            "QueueTimeOutURL": self._url(Address(rules.TIMEOUT, operation.id, minor)),
            "ResultURL": self._url(Address(rules.B2C, operation.id, minor)),
        }
        answer = self._calls.post(PAY, body)
        if is_accepted(answer):
            named = str(answer.said.get("ConversationID") or "")
            return result_of(operation, RailOutcome.PENDING, at=at, rail_ref=named)
        if _DUPLICATE in str(answer.said.get("errorMessage") or "").lower():
            return result_of(operation, RailOutcome.UNKNOWN, at=at, code=KEY_SPENT)
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise RailTrouble(f"M-Pesa: payout: {answer.status} {error_of(answer)}")
        code = error_of(answer) or str(answer.said.get("ResponseCode") or answer.status)
        return result_of(operation, RailOutcome.REFUSED, at=at, code=f"mpesa.{code[:40]}")

    def _read(self, operation: RailOperation, at: datetime) -> RailResult:
        """What is true of a push by now; of a payout nothing yet: its answer comes later."""
        if operation.kind is OperationKind.FUND and operation.rail_ref:
            outcome, code = self._push_outcome(operation.rail_ref, at)
            ref = operation.rail_ref if outcome is RailOutcome.DONE else ""
            return result_of(operation, outcome, at=at, code=code, transaction_ref=ref)
        if operation.kind is OperationKind.PAYOUT:
            self._ask_status(Address(rules.STATUS, operation.id, operation.amount_minor))
        return result_of(operation, RailOutcome.UNKNOWN, at=at)

    def _push_outcome(self, checkout: str, at: datetime) -> tuple[RailOutcome, str]:
        """By the push query, which answers at once; RailTrouble if it cannot tell."""
        answer = self._calls.post(PUSH_QUERY, {**self._signed(at), "CheckoutRequestID": checkout})
        if _IN_WORK in str(answer.said.get("errorMessage") or "").lower():
            return RailOutcome.PENDING, ""
        if not is_accepted(answer) or answer.said.get("CheckoutRequestID") != checkout:
            raise RailTrouble(f"M-Pesa: push query: {answer.status} {error_of(answer)}")
        return rules.push_says(str(answer.said.get("ResultCode", "")))

    def _ask_status(self, address: Address) -> None:
        """Have M-Pesa tell, by a callback to an address of its own, what became of a payout."""
        settings = self._settings
        answer = self._calls.post(
            STATUS_QUERY,
            {
                "Initiator": settings.initiator,
                "SecurityCredential": settings.security_credential,
                "CommandID": "TransactionStatusQuery",
                "TransactionID": "",
                "OriginalConversationID": str(address.operation_id),
                "PartyA": settings.shortcode,
                "IdentifierType": _SHORTCODE_TYPE,
                "ResultURL": self._url(address),
                "QueueTimeOutURL": self._url(replace(address, what=rules.LATE)),
                "Remarks": _REMARKS,
                "Occasion": _REMARKS,
            },
        )
        if not is_accepted(answer):
            raise RailTrouble(f"M-Pesa: status query: {answer.status} {error_of(answer)}")

    def _safely(self, operation: RailOperation, act: _Act, at: datetime) -> RailResult:
        """One operation's trouble is its own: its neighbours keep their answers."""
        try:
            return act(operation, at)
        except NotTaken as trouble:
            result = result_of(operation, RailOutcome.UNKNOWN, at=at, code=NOT_NOW)
            return replace(result, retry_at=at + timedelta(seconds=trouble.wait_s))
        except (RailTrouble, *NONSENSE):
            return result_of(operation, RailOutcome.UNKNOWN, at=at)

    def _signed(self, at: datetime) -> dict[str, str]:
        settings = self._settings
        stamped = rules.stamp(at)
        return {
            "BusinessShortCode": settings.shortcode,
            "Password": rules.password(
                shortcode=settings.shortcode, passkey=settings.passkey, stamped=stamped
            ),
            "Timestamp": stamped,
        }

    def _url(self, address: Address) -> str:
        settings = self._settings
        return (
            f"{settings.callback_base}/{rules.endpoint_of(address, token=settings.callback_token)}"
        )
