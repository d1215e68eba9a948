"""Holds: rows that block every outflow of their subject. State is not hold, and holds may overlap.

Placing or lifting a hold locks its subject first, so that an outflow that holds the subject FOR
SHARE is either before it or sees it (design.md section 4).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.database import driver
from kernel.errors import Refusal
from kernel.ids import new_id
from ledger.model import Draft
from ledger.parties import OperatorOnly
from ledger.service import post


class HoldKind(StrEnum):
    """Why money must not leave."""

    DISPUTE = "dispute"
    CHARGEBACK = "chargeback"
    COMPLIANCE = "compliance"
    PROCESSOR = "processor"
    TAX = "tax"


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold; open while `lifted_at` is None. `subject` is `slot:<uuid>`, `party:<uuid>`, ..."""

    id: UUID
    subject: str
    kind: HoldKind
    reason: str
    placed_by: UUID
    placed_at: datetime
    lifted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceHold(Command):
    """Block every outflow of a subject. The reason is shown to whoever is blocked."""

    subject: str
    kind: HoldKind
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftHold(Command):
    """End one hold; others on the same subject stay."""

    hold_id: UUID
    reason: str = ""


class UnknownSubject(Refusal):
    """Nothing of this name can be held: a subject is `party:`, `contract:` or `slot:` and an id."""

    code = "hold.unknown_subject"


class UnknownHold(Refusal):
    """No open hold has this id."""

    code = "hold.unknown"


class ReasonMissing(Refusal):
    """A hold carries a reason: nobody is frozen without one."""

    code = "hold.reason_missing"


_COLUMNS: Final = "id, subject, kind, reason, placed_by, placed_at, lifted_at"

_SUBJECT_TABLES: Final = {"party": "party", "contract": "contract", "slot": "slot"}


def list_open(connection: Connection, subjects: Iterable[str]) -> dict[str, list[Hold]]:
    """The open holds on these subjects, oldest first; a subject without one is missing."""
    rows = driver(connection).execute(
        f"SELECT {_COLUMNS} FROM hold WHERE subject = ANY(%s) AND lifted_at IS NULL ORDER BY id",
        (list(subjects),),
    )
    found: dict[str, list[Hold]] = {}
    for row in rows:
        hold = _hold(row)
        found.setdefault(hold.subject, []).append(hold)
    return found


def place(connection: Connection, commands: Sequence[PlaceHold], *, at: datetime) -> list[Outcome]:
    """Place holds; refuses `hold.unknown_subject`, `hold.reason_missing`, `party.operator_only`."""
    there = _lock_subjects(connection, {command.subject for command in commands})
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    holds: list[Hold] = []
    for command in commands:
        try:
            _check_place(command, there)
        except Refusal as refusal:
            outcomes.append(refused(refusal))
            continue
        hold = Hold(
            new_id(),
            command.subject,
            command.kind,
            command.reason,
            command.actor.principal_id,
            at,
            None,
        )
        holds.append(hold)
        drafts.append(
            Draft(
                "hold.placed",
                hold.subject,
                command.actor,
                at,
                reason=hold.reason,
                detail={"hold_id": str(hold.id), "kind": hold.kind.value},
            )
        )
        outcomes.append(done(**as_json(hold)))
    driver(connection).cursor().executemany(
        "INSERT INTO hold (id, subject, kind, reason, placed_by, placed_at)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [(h.id, h.subject, h.kind, h.reason, h.placed_by, h.placed_at) for h in holds],
    )
    post(connection, drafts)
    return outcomes


def lift(connection: Connection, commands: Sequence[LiftHold], *, at: datetime) -> list[Outcome]:
    """Lift holds; refuses `hold.unknown` and `party.operator_only`."""
    rows = driver(connection).execute(
        f"SELECT {_COLUMNS} FROM hold WHERE id = ANY(%s) AND lifted_at IS NULL"
        " ORDER BY id FOR UPDATE",
        ([command.hold_id for command in commands],),
    )
    known = {hold.id: hold for hold in map(_hold, rows)}
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    lifted: list[tuple[UUID, datetime, UUID]] = []
    for command in commands:
        if not command.actor.is_operator:
            outcomes.append(refused(OperatorOnly(hold_id=str(command.hold_id))))
            continue
        hold = known.pop(command.hold_id, None)
        if hold is None:
            outcomes.append(refused(UnknownHold(hold_id=str(command.hold_id))))
            continue
        lifted.append((command.actor.principal_id, at, hold.id))
        drafts.append(
            Draft(
                "hold.lifted",
                hold.subject,
                command.actor,
                at,
                reason=command.reason,
                detail={"hold_id": str(hold.id), "kind": hold.kind.value},
            )
        )
        outcomes.append(done(**as_json(hold), lifted_at=at.isoformat()))
    driver(connection).cursor().executemany(
        "UPDATE hold SET lifted_by = %s, lifted_at = %s WHERE id = %s", lifted
    )
    post(connection, drafts)
    return outcomes


def as_json(hold: Hold) -> dict[str, Any]:
    """The hold as the API shows it."""
    return {
        "id": str(hold.id),
        "subject": hold.subject,
        "kind": hold.kind.value,
        "reason": hold.reason,
        "placed_at": hold.placed_at.isoformat(),
    }


def _check_place(command: PlaceHold, there: set[str]) -> None:
    if not command.actor.is_operator:
        raise OperatorOnly(subject=command.subject[:80])
    if command.subject not in there:
        raise UnknownSubject(subject=command.subject[:80])
    if not command.reason.strip():
        raise ReasonMissing(subject=command.subject)


def _lock_subjects(connection: Connection, subjects: Iterable[str]) -> set[str]:
    """Lock the rows that the subjects name, parties before contracts before slots, each by id."""
    by_kind: dict[str, list[UUID]] = {}
    for subject in sorted(subjects):
        kind, _, text = subject.partition(":")
        try:
            by_kind.setdefault(kind, []).append(UUID(text))
        except ValueError:
            continue
    there: set[str] = set()
    for kind, table in _SUBJECT_TABLES.items():
        ids = sorted(by_kind.get(kind, []))
        if ids:
            rows = driver(connection).execute(
                f"SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id FOR UPDATE".encode(),
                (ids,),
            )
            there |= {f"{kind}:{found}" for (found,) in rows}
    return there


def _hold(row: tuple[Any, ...]) -> Hold:
    return Hold(row[0], row[1], HoldKind(row[2]), *row[3:])
