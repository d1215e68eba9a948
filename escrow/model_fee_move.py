"""The move of running contracts to another fee schedule: downwards alone, and by two people."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from kernel.commands import Command

MOST_NAMED: Final = 10_000


class MoveState(StrEnum):
    """How far a move has come."""

    PREPARED = "prepared"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"
    DONE = "done"


class Which(StrEnum):
    """Which running contracts a move looks at.

    `all`: those that would get the schedule if they were accepted now. `accepted_before`: those
    that were accepted before an instant. `named`: a list.
    """

    ALL = "all"
    ACCEPTED_BEFORE = "accepted_before"
    NAMED = "named"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeMove:
    """One move. It has looked at every contract up to `looked_to`, in the order of their ids."""

    id: UUID
    schedule_id: UUID
    which: Which
    accepted_before: datetime | None
    contract_ids: list[UUID] | None
    reason: str
    state: MoveState
    prepared_by: UUID
    prepared_at: datetime
    approved_by: UUID | None = None
    decided_by: UUID | None = None
    decided_at: datetime | None = None
    looked_to: UUID | None = None
    moved_count: int = 0
    skipped_count: int = 0

    @property
    def subject(self) -> str:
        """Its name in events and timers."""
        return f"fee_move:{self.id}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one contract: it moves where `why_not` is None."""

    contract_id: UUID
    from_schedule_id: UUID | None
    why_not: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareMove(Command):
    """Propose to move running contracts; `named` where contracts are given, and so on."""

    move_id: UUID
    schedule_id: UUID
    accepted_before: datetime | None = None
    contract_ids: tuple[UUID, ...] | None = None
    reason: str = ""

    @property
    def which(self) -> Which:
        """Which contracts, by what was given."""
        if self.contract_ids is not None:
            return Which.NAMED
        return Which.ALL if self.accepted_before is None else Which.ACCEPTED_BEFORE


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideMove(Command):
    """Approve or withdraw a move."""

    move_id: UUID
    reason: str = ""


def as_json(move: FeeMove) -> dict[str, Any]:
    """A move as the API shows it."""
    named = move.contract_ids
    return {
        "move_id": str(move.id),
        "schedule_id": str(move.schedule_id),
        "which": move.which.value,
        "accepted_before": move.accepted_before and move.accepted_before.isoformat(),
        "contract_ids": None if named is None else [str(each) for each in named],
        "reason": move.reason,
        "state": move.state.value,
        "prepared_by": str(move.prepared_by),
        "approved_by": None if move.approved_by is None else str(move.approved_by),
        "decided_at": move.decided_at and move.decided_at.isoformat(),
        "moved_count": move.moved_count,
        "skipped_count": move.skipped_count,
    }


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """What becomes of a contract, as the API shows it."""
    pinned = verdict.from_schedule_id
    return {
        "contract_id": str(verdict.contract_id),
        "from_schedule_id": None if pinned is None else str(pinned),
        "moves": verdict.why_not is None,
        "why_not": verdict.why_not,
    }
