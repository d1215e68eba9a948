"""Payout runs, their items, and how far one is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from kernel.money import to_json


class RunState(StrEnum):
    """Where a run is. APPROVED waits for its start; STOPPED goes on where it was."""

    PREPARED = "prepared"
    APPROVED = "approved"
    EXECUTING = "executing"
    STOPPED = "stopped"
    DONE = "done"
    WITHDRAWN = "withdrawn"


class RunKind(StrEnum):
    """Whom a run is about: those whose schedule is due, or everybody with money."""

    SCHEDULED = "scheduled"
    EVERYONE = "everyone"


class ItemState(StrEnum):
    """What became of a payee; DROPPED: planned, and refused when his turn came."""

    PLANNED = "planned"
    LEFT_OUT = "left_out"
    REQUESTED = "requested"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One payee of a run. `amount_minor` leaves his balance, `fee_minor` of it is our fee.

    `reason` is the code for which he was left out when the run was prepared, `code` the one for
    which he was dropped later.
    """

    payee_id: UUID
    method_id: UUID | None
    amount_minor: int
    fee_minor: int
    reason: str = ""
    state: ItemState = ItemState.PLANNED
    code: str = ""
    payout_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one currency; what it plans to pay is bound by `content_sha256`.

    `limit_minor` is up to what sum it needs no approval, 0 if a person prepared it.
    """

    id: UUID
    currency: str
    kind: RunKind
    due_from_on: date
    cut_off_on: date
    state: RunState = RunState.PREPARED
    version: int = 1
    item_count: int
    planned_count: int
    planned_minor: int
    fee_minor: int
    limit_minor: int
    content_sha256: bytes
    prepared_by: UUID
    prepared_at: datetime
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str = ""

    @property
    def subject(self) -> str:
        """Its name in events."""
        return f"payout_run:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is: items and amounts by state, and how many for which reason."""

    counts: Mapping[ItemState, int]
    sums_minor: Mapping[ItemState, int]
    reasons: Mapping[str, int]

    @property
    def to_do(self) -> int:
        """Payees whom it has not come to."""
        return self.counts.get(ItemState.PLANNED, 0)


def payout_id_of(*, run_id: UUID, payee_id: UUID) -> UUID:
    """The id of a payee's payout in a run: always the same, so that he is paid once."""
    return uuid5(run_id, str(payee_id))


def run_json(run: Run, progress: Progress | None = None) -> dict[str, Any]:
    """The run as the API shows it."""
    currency = run.currency
    told: dict[str, Any] = {
        "run_id": str(run.id),
        "currency": currency,
        "kind": run.kind.value,
        "due_from_on": run.due_from_on.isoformat(),
        "cut_off_on": run.cut_off_on.isoformat(),
        "state": run.state.value,
        "version": run.version,
        "item_count": run.item_count,
        "planned_count": run.planned_count,
        "planned": to_json(run.planned_minor, currency),
        "fees": to_json(run.fee_minor, currency),
        "limit": to_json(run.limit_minor, currency),
        "content": run.content_sha256.hex(),
        "reason": run.reason,
        "prepared_by": str(run.prepared_by),
        "prepared_at": run.prepared_at.isoformat(),
        "approved_by": str(run.approved_by) if run.approved_by else None,
        "approved_at": _text(run.approved_at),
        "started_at": _text(run.started_at),
        "ended_at": _text(run.ended_at),
    }
    if progress is not None:
        told["progress"] = {
            state.value: {
                "count": progress.counts.get(state, 0),
                "amount": to_json(progress.sums_minor.get(state, 0), currency),
            }
            for state in ItemState
        }
        told["reasons"] = dict(sorted(progress.reasons.items()))
    return told


def item_json(item: Item, currency: str) -> dict[str, Any]:
    """An item as the API shows it."""
    return {
        "payee_id": str(item.payee_id),
        "method_id": str(item.method_id) if item.method_id else None,
        "amount": to_json(item.amount_minor, currency),
        "fee": to_json(item.fee_minor, currency),
        "state": item.state.value,
        "why": item.reason or item.code,
        "payout_id": str(item.payout_id) if item.payout_id else None,
    }


def progress_of(items: Sequence[Item]) -> Progress:
    """The progress of items that lie before us."""
    counts: dict[ItemState, int] = {}
    sums: dict[ItemState, int] = {}
    reasons: dict[str, int] = {}
    for item in items:
        counts[item.state] = counts.get(item.state, 0) + 1
        sums[item.state] = sums.get(item.state, 0) + item.amount_minor
        if why := item.reason or item.code:
            reasons[why] = reasons.get(why, 0) + 1
    return Progress(counts=counts, sums_minor=sums, reasons=reasons)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
