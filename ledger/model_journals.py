"""What a manual journal is, from its preparing to its end, and how it is written and told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from kernel.money import format_minor
from ledger.chart import account
from ledger.model import Book, Entry, Line


class State(StrEnum):
    """What became of a journal."""

    PREPARED = "prepared"
    POSTED = "posted"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Role(StrEnum):
    """Whose limit: how much one person may prepare, and another approve."""

    PREPARER = "preparer"
    APPROVER = "approver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """A manual journal as it stands. `decided_by` approved or rejected it, or let it expire.

    `effective_at` is when it counts; `original_effective_on` the day on which it should have
    counted, where that lies in a closed period. At `reverse_at` it is reversed by itself.
    """

    id: UUID
    state: State
    entries: tuple[Entry, ...]
    reason: str
    attachment_sha256: bytes
    effective_at: datetime
    original_effective_on: date | None
    reverse_at: datetime | None
    expires_at: datetime
    prepared_by: UUID
    prepared_at: datetime
    prepared_event_id: int = 0
    decided_by: UUID | None = None
    decider_kind: str | None = None
    decided_at: datetime | None = None
    decision_reason: str = ""
    event_id: int | None = None
    reversal_event_id: int | None = None

    @property
    def subject(self) -> str:
        """How events and timers name it."""
        return f"journal:{self.id}"


def written(entries: Sequence[Entry]) -> str:
    """The entries as canonical JSON, amounts as text."""
    told = [
        {
            "book": entry.book.value,
            "currency": entry.currency,
            "lines": [
                {
                    "kind": line.account.kind,
                    "subject": line.account.subject,
                    "amount_minor": str(line.amount_minor),
                }
                for line in entry.lines
            ],
        }
        for entry in entries
    ]
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()


def read(text: str) -> tuple[Entry, ...]:
    """The entries from their canonical JSON."""
    return tuple(
        Entry(
            Book(entry["book"]),
            entry["currency"],
            tuple(
                Line(
                    account(line["kind"], entry["currency"], line["subject"]),
                    int(line["amount_minor"]),
                )
                for line in entry["lines"]
            ),
        )
        for entry in orjson.loads(text)
    )


def content_sha256(entries: Sequence[Entry]) -> str:
    """What was prepared, as a hash in hexadecimal: the event of the preparer holds it."""
    return sha256(written(entries).encode()).hexdigest()


def as_json(journal: Journal) -> dict[str, Any]:
    """The journal as the API shows it; of debit and credit one is there."""
    return {
        "id": str(journal.id),
        "state": journal.state.value,
        "reason": journal.reason,
        "attachment_sha256": journal.attachment_sha256.hex(),
        "effective_at": journal.effective_at.isoformat(),
        "original_effective_on": _day(journal.original_effective_on),
        "reverse_at": _time(journal.reverse_at),
        "expires_at": journal.expires_at.isoformat(),
        "prepared_by": str(journal.prepared_by),
        "prepared_at": journal.prepared_at.isoformat(),
        "decided_by": str(journal.decided_by) if journal.decided_by else None,
        "decided_at": _time(journal.decided_at),
        "decision_reason": journal.decision_reason,
        "event_id": str(journal.event_id) if journal.event_id else None,
        "reversal_event_id": str(journal.reversal_event_id) if journal.reversal_event_id else None,
        "entries": [
            {
                "book": entry.book.value,
                "currency": entry.currency,
                "lines": [_line(line) for line in entry.lines],
            }
            for entry in journal.entries
        ],
    }


def _line(line: Line) -> dict[str, Any]:
    key, amount_minor = line
    amount = {"amount": format_minor(abs(amount_minor), key.currency), "currency": key.currency}
    return {
        "kind": key.kind,
        "subject": key.subject,
        "debit": amount if amount_minor > 0 else None,
        "credit": amount if amount_minor < 0 else None,
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
