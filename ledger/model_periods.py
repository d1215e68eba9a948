"""What a period is: its states and acts, trial balance and closings, and how they are told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

FORMAT: Final = "holdfast-trial-balance/1"


class State(StrEnum):
    """Who may post into a period: anyone, finance people, nobody, finance people again."""

    OPEN = "open"
    SOFT_CLOSED = "soft_closed"
    CLOSED = "closed"
    REOPENED = "reopened"


class Act(StrEnum):
    """What people do to a period."""

    SOFT_CLOSE = "soft_close"
    CLOSE = "close"
    ASK_REOPENING = "ask_reopening"
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A period as it stands. `version` is how often it was closed; `act_no` its newest act."""

    id: int
    start: datetime
    end: datetime
    state: State
    version: int
    act_no: int

    @property
    def subject(self) -> str:
        """How events name it."""
        return f"period:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One act on a period, as it was written down. `asked_by` is a reopening's other person."""

    act_no: int
    act: Act
    version: int
    actor_id: UUID
    asked_by: UUID | None
    asked_act_no: int | None
    reason: str
    acted_at: datetime
    event_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialLine:
    """One kind in one currency: before the period, the two columns of it, and at its end.

    `opening_minor` and `closing_minor` are signed, debit positive; the columns never negative.
    """

    book: str
    kind: str
    currency: str
    opening_minor: int
    debit_minor: int
    credit_minor: int
    closing_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """One closing of a period: its trial balance as canonical JSON, and what it rests on.

    `log_root` is the root of the log at `last_journal_no`; the checkpoint is the newest that was
    signed by then, if there was one.
    """

    period_id: int
    version: int
    act_no: int
    last_journal_no: int
    trial_balance: str
    trial_balance_sha256: bytes
    log_root: bytes | None
    checkpoint_size: int | None
    checkpoint_root: bytes | None
    checks: str
    warnings: str
    closed_by: UUID
    closed_at: datetime


class Span(NamedTuple):
    """A period's span and state."""

    start: datetime
    end: datetime
    state: State


def document(
    period: Period, rows: Sequence[TrialLine], *, version: int, last_journal_no: int
) -> bytes:
    """The trial balance of a closing as canonical JSON: sorted keys, no blanks, amounts as text."""
    told = {
        "format": FORMAT,
        "period": {
            "id": str(period.id),
            "from": _written(period.start),
            "to": _written(period.end),
        },
        "version": version,
        "last_journal_no": str(last_journal_no),
        "rows": [
            {
                "book": row.book,
                "kind": row.kind,
                "currency": row.currency,
                "opening": str(row.opening_minor),
                "debit": str(row.debit_minor),
                "credit": str(row.credit_minor),
                "closing": str(row.closing_minor),
            }
            for row in rows
        ],
    }
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


def closing_balances(rows: Sequence[Mapping[str, str]]) -> dict[tuple[str, str], int]:
    """Closing balances by kind and currency, from the rows of a stored trial balance."""
    return {(row["kind"], row["currency"]): int(row["closing"]) for row in rows}


def as_json(period: Period) -> dict[str, Any]:
    """The period as the API shows it."""
    return {
        "id": str(period.id),
        "from": period.start.isoformat(),
        "to": period.end.isoformat(),
        "state": period.state.value,
        "version": period.version,
    }


def closing_as_json(closing: Closing) -> dict[str, Any]:
    """The closing as the API shows it, without its trial balance."""
    return {
        "version": closing.version,
        "last_journal_no": str(closing.last_journal_no),
        "trial_balance_sha256": closing.trial_balance_sha256.hex(),
        "log_root": closing.log_root.hex() if closing.log_root else None,
        "checkpoint": None
        if closing.checkpoint_root is None
        else {"size": str(closing.checkpoint_size), "root": closing.checkpoint_root.hex()},
        "warnings": orjson.loads(closing.warnings),
        "closed_by": str(closing.closed_by),
        "closed_at": closing.closed_at.isoformat(),
    }


def act_as_json(each: Done) -> dict[str, Any]:
    """The act as the API shows it."""
    return {
        "act_no": each.act_no,
        "act": each.act.value,
        "version": each.version,
        "by": str(each.actor_id),
        "asked_by": str(each.asked_by) if each.asked_by else None,
        "reason": each.reason,
        "at": each.acted_at.isoformat(),
        "event_id": str(each.event_id),
    }


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
