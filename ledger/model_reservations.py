"""Money set aside: a reservation, the steps it took, and the commands that make and end it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from kernel.commands import Command
from kernel.money import to_json
from ledger.model import AccountKey


class ReservationState(StrEnum):
    """Open while something remains; then how the last of it went."""

    OPEN = "open"
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


class StepKind(StrEnum):
    """What happened to a reservation."""

    MADE = "made"
    POSTED = "posted"
    VOIDED = "voided"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Reservation:
    """One reservation. What neither remains nor was posted went back to the account.

    Past `expires_at` an open one can only expire: its timer gives back what remains.
    """

    id: UUID
    account: AccountKey
    amount_minor: int
    remaining_minor: int
    posted_minor: int
    state: ReservationState
    version: int
    reason: str
    made_at: datetime
    expires_at: datetime | None
    ended_at: datetime | None

    @property
    def subject(self) -> str:
        """The reservation as events and timers name it."""
        return f"reservation:{self.id}"

    @property
    def returned_minor(self) -> int:
        """What went back to the account; never negative."""
        return self.amount_minor - self.posted_minor - self.remaining_minor


@dataclass(frozen=True, slots=True)
class Step:
    """What one step moves out of the reserved twin: to the targets, and back to the account."""

    kind: StepKind
    posted_minor: int
    returned_minor: int
    remaining_minor: int


@dataclass(frozen=True, slots=True)
class Target:
    """An account that is given a part of what was set aside; above zero, in minor units."""

    account: AccountKey
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserve(Command):
    """Set money of an account aside. `amount_minor` is above zero whatever the account's side.

    `expires_at` is when what remains goes back by itself; None: never.
    """

    reservation_id: UUID
    account: AccountKey
    amount_minor: int
    reason: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostReserved(Command):
    """Pay out of what was set aside. `is_last`: what then remains goes back to the account."""

    reservation_id: UUID
    targets: tuple[Target, ...]
    is_last: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoidReservation(Command):
    """Give all that remains back to the account."""

    reservation_id: UUID
    reason: str = ""


def as_json(row: Reservation) -> Mapping[str, Any]:
    """The reservation as the API shows it."""
    currency = row.account.currency
    return {
        "id": str(row.id),
        "account": row.account.code,
        "kind": row.account.kind,
        "subject": row.account.subject,
        "state": row.state.value,
        "version": row.version,
        "amount": to_json(row.amount_minor, currency),
        "remaining": to_json(row.remaining_minor, currency),
        "posted": to_json(row.posted_minor, currency),
        "returned": to_json(row.returned_minor, currency),
        "reason": row.reason,
        "made_at": row.made_at.isoformat(),
        "expires_at": row.expires_at and row.expires_at.isoformat(),
        "ended_at": row.ended_at and row.ended_at.isoformat(),
    }
