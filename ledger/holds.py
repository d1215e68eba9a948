"""Holds: rows that block every outflow of their subject. State is not hold, and holds may overlap.

Placing or lifting a hold locks its subject first, so that an outflow that holds the subject FOR
SHARE is either before it or sees it (design.md section 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from kernel.commands import Command, Outcome, done, refused
from kernel.errors import Refusal
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind
from ledger.model import Draft
from ledger.model_parties import Hold, HoldKind
from ledger.parties import OperatorOnly
from ledger.service import post
from ledger.store_parties import (
    add_holds,
    find_held,
    list_open,
    lock_open,
    lock_subjects,
    save_lifted,
)

__all__ = [
    "Hold",
    "HoldKind",
    "LiftHold",
    "PlaceHold",
    "ReasonMissing",
    "UnknownHold",
    "UnknownSubject",
    "as_json",
    "lift",
    "list_open",
    "place",
]


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


def place(connection: Connection, commands: Sequence[PlaceHold], *, at: datetime) -> list[Outcome]:
    """Place holds; refuses `hold.unknown_subject`, `hold.reason_missing`, `party.operator_only`."""
    there = lock_subjects(connection, {command.subject for command in commands})
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
    add_holds(connection, holds)
    post(connection, drafts)
    return outcomes


def lift(connection: Connection, commands: Sequence[LiftHold], *, at: datetime) -> list[Outcome]:
    """Lift holds; refuses `hold.unknown` and `party.operator_only`."""
    ids = [command.hold_id for command in commands]
    lock_subjects(connection, find_held(connection, ids))
    known = lock_open(connection, ids)
    outcomes: list[Outcome] = []
    drafts: list[Draft] = []
    lifted: list[tuple[UUID, datetime, UUID]] = []
    for command in commands:
        if not _may_hold(command.actor):
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
    save_lifted(connection, lifted)
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


def _may_hold(actor: Actor) -> bool:
    """An operator, or the engine and a rail themselves, whose acts no person asks for."""
    return actor.is_operator or actor.kind in (PrincipalKind.SYSTEM, PrincipalKind.RAIL)


def _check_place(command: PlaceHold, there: set[str]) -> None:
    if not _may_hold(command.actor):
        raise OperatorOnly(subject=command.subject[:80])
    if command.subject not in there:
        raise UnknownSubject(subject=command.subject[:80])
    if not command.reason.strip():
        raise ReasonMissing(subject=command.subject)
