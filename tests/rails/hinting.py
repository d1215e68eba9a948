"""A rail of the smallest kind that sends events and lists its movements, to work events with.

Its objects are operations of ours by their rail's name; an event is only ever a hint to look at
one of them.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from kernel.errors import RailTrouble
from rails.capabilities import STRIPE
from rails.model import (
    PAYEE_CHANGED,
    Capabilities,
    LogLine,
    Notice,
    NoticePage,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.model_events import (
    Authentic,
    RailEvent,
    RailTransaction,
    TransactionKind,
    TransactionPage,
)
from rails.refusals import BadEvent, BadSignature
from tests.rails.builders import NOON

SECRET = b"a secret of the test's own"


@dataclass
class HintingRail:
    """What the rail knows, by the name of each object; `objects` are our operations there."""

    objects: dict[str, RailOperation] = field(default_factory=dict)
    outcomes: dict[str, RailOutcome] = field(default_factory=dict)
    payees: dict[str, tuple[bool, datetime]] = field(default_factory=dict)
    unsent: list[RailEvent] = field(default_factory=list)
    statement: list[RailTransaction] = field(default_factory=list)
    asked_as: list[str] = field(default_factory=list)
    is_away: bool = False
    poll_every_s: int = 60
    name: str = "stripe"

    @property
    def capabilities(self) -> Capabilities:
        return replace(STRIPE, poll_every_s=self.poll_every_s)

    def execute(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        for operation in operations:
            self.objects[f"pi_{operation.id.hex}"] = operation
            self.outcomes.setdefault(f"pi_{operation.id.hex}", RailOutcome.DONE)
        return [self._result(operation, at) for operation in operations]

    def resolve(self, operations: Sequence[RailOperation], *, at: datetime) -> list[RailResult]:
        return [self._result(operation, at) for operation in operations]

    def notices(self, *, after: str, limit: int, at: datetime) -> NoticePage:
        del limit, at
        return NoticePage((), after)

    def chargebacks(self, operation_ids: Sequence[UUID], *, at: datetime) -> list[Notice]:
        del operation_ids, at
        return []

    def balances(self, *, at: datetime) -> list[RailBalance]:
        del at
        return []

    def log(self, *, after: int, limit: int, at: datetime) -> list[LogLine]:
        del after, limit, at
        return []

    def open_event(
        self, body: bytes, headers: Mapping[str, str], *, endpoint: str, at: datetime
    ) -> list[RailEvent]:
        del at
        if not hmac.compare_digest(headers.get("signature", ""), sign(body)):
            raise BadSignature(endpoint=endpoint)
        try:
            told = json.loads(body)
        except ValueError:
            raise BadEvent(endpoint=endpoint) from None
        return [event(told["id"], told["about"], account=told.get("account", ""), body=body)]

    def read_event(self, event: RailEvent, *, at: datetime) -> list[Notice]:
        self.asked_as.append(event.account)
        if self.is_away:
            raise RailTrouble("the rail is away")
        if event.object_ref in self.payees:
            return [self._payee(event.object_ref)]
        operation = self.objects.get(event.object_ref)
        if operation is None:
            return [self._word(event.object_ref, UUID(event.object_ref.removeprefix("pi_")), at)]
        return [self._word(event.object_ref, operation.id, at, operation)]

    def list_events(self, *, after: str, limit: int, at: datetime) -> tuple[list[RailEvent], str]:
        del at
        start = int(after or 0)
        listed = self.unsent[start : start + limit]
        return listed, str(start + len(listed))

    def transactions(self, *, after: str, limit: int, at: datetime) -> TransactionPage:
        del at
        start = int(after or 0)
        listed = self.statement[start : start + limit]
        end = start + len(listed)
        return TransactionPage(tuple(listed), str(end), end == len(self.statement))

    def _result(self, operation: RailOperation, at: datetime) -> RailResult:
        ref = f"pi_{operation.id.hex}"
        return RailResult(
            operation_id=operation.id,
            kind=operation.kind,
            subject=operation.subject,
            outcome=self.outcomes.get(ref, RailOutcome.UNKNOWN),
            amount_minor=operation.amount_minor,
            currency=operation.currency,
            fee_minor=29,
            rail_ref=ref,
            occurred_at=at,
            transaction_ref=f"txn_{operation.id.hex}",
        )

    def _word(
        self, ref: str, operation_id: UUID, at: datetime, operation: RailOperation | None = None
    ) -> Notice:
        outcome = self.outcomes.get(ref, RailOutcome.DONE)
        return Notice(
            rail=self.name,
            notice_id=f"{ref}:{outcome.value}",
            kind="operation_changed",
            rail_ref=ref,
            operation_id=operation_id,
            outcome=outcome,
            amount_minor=operation.amount_minor if operation else 100,
            currency=operation.currency if operation else "EUR",
            fee_minor=29 if operation else 0,
            occurred_at=at,
            transaction_ref=f"txn_{operation_id.hex}",
        )

    def _payee(self, account: str) -> Notice:
        may_be_paid_out, as_of = self.payees[account]
        return Notice(
            rail=self.name,
            notice_id=f"{account}:{may_be_paid_out}:{as_of.isoformat()}",
            kind=PAYEE_CHANGED,
            rail_ref=account,
            currency="EUR",
            occurred_at=as_of,
            facts={"account": account, "may_be_paid_out": may_be_paid_out},
        )


def sign(body: bytes) -> str:
    """How the rail signs the bytes that it sends."""
    return hmac.new(SECRET, body, sha256).hexdigest()


def event(
    event_id: str, about: str, *, account: str = "", body: bytes = b"{}", rail: str = "stripe"
) -> RailEvent:
    """A hint to look at an object."""
    return RailEvent(
        rail=rail,
        account=account,
        event_id=event_id,
        kind="object.changed",
        object_ref=about,
        authentic=Authentic.SIGNATURE,
        is_live=False,
        body=body,
        occurred_at=NOON,
    )


def line(
    ref: str,
    kind: TransactionKind,
    amount_minor: int,
    *,
    fee_minor: int = 0,
    currency: str = "EUR",
    account: str = "",
    operation_id: UUID | None = None,
    available_after: timedelta = timedelta(),
) -> RailTransaction:
    """One line of the rail's statement, of noon."""
    return RailTransaction(
        rail="stripe",
        account=account,
        transaction_ref=ref,
        kind=kind,
        rail_kind=kind.value,
        amount_minor=amount_minor,
        fee_minor=fee_minor,
        currency=currency,
        source_ref=f"src_{ref}",
        operation_id=operation_id,
        occurred_at=NOON,
        available_at=NOON + available_after,
    )
