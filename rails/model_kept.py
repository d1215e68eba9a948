"""Events and transactions as they are kept here: what came, and how far we are with it.

Pure: no rail is named here.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rails.model_events import RailEvent, RailTransaction


class EventState(StrEnum):
    """How far an event is: only one that was processed is over, whoever has seen it before."""

    NEW = "new"
    PROCESSED = "processed"
    PARKED = "parked"
    EXCEPTION = "exception"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEvent:
    """An event with what became of it. `tries` are looks that found nothing of ours.

    `failures` are looks that broke; `retry_at` is the tenant's time, `leased_until` real time.
    """

    event_no: int
    event: RailEvent
    received_at: datetime
    state: EventState
    tries: int = 0
    failures: int = 0
    trouble: str = ""
    retry_at: datetime | None = None
    leased_until: datetime | None = None
    processed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTransaction:
    """A transaction under its lock, with what explains it.

    `explained_by` names the operation (`operation:<id>`) or the notice on a chargeback
    (`notice:<id>`); `booked_fee_minor` is what the operation's booking took for the rail's fee.
    """

    seen_no: int
    transaction: RailTransaction
    explained_by: str = ""
    booked_fee_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionMove:
    """How a transaction is booked: it belongs to something, or an event of the books is its own.

    `pending_event_id` took out of the available what is not yet, `available_event_id` brought it
    there. What is None stays as it is.
    """

    seen_no: int
    state: str
    explained_by: str = ""
    event_id: int | None = None
    pending_event_id: int | None = None
    available_event_id: int | None = None
    became_available_at: datetime | None = None


def account_of(rail: str, *, account: str) -> str:
    """Subject of `custody.processor_*`: the rail, or one payee's account there."""
    return f"{rail}:{account}" if account else rail
