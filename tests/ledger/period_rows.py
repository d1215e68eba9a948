"""Periods for tests: moved by hand, row by row, and by the people who may."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from kernel.commands import Outcome
from kernel.database import Tenant, transaction
from kernel.principals import Actor, PrincipalKind
from ledger import periods
from ledger.periods import ClosePeriod, PeriodCommand
from tests.ledger.raw_rows import Row, check, draw, insert, write

ANN: Final = Actor(UUID(int=71), PrincipalKind.PERSON, is_operator=True)
BOB: Final = Actor(UUID(int=72), PrincipalKind.PERSON, is_operator=True)

MARCH: Final = "[2026-03-01 00:00:00+00,2026-04-01 00:00:00+00)"
APRIL: Final = "[2026-04-01 00:00:00+00,2026-05-01 00:00:00+00)"
IN_MARCH: Final = datetime(2026, 3, 15, tzinfo=UTC)
IN_APRIL: Final = datetime(2026, 4, 15, tzinfo=UTC)
IN_MAY: Final = datetime(2026, 5, 15, tzinfo=UTC)

KINDS: Final = {
    "soft_close": ("soft_closed", "period.soft_closed"),
    "close": ("closed", "period.closed"),
    "ask_reopening": ("closed", "period.reopening_asked"),
    "reopen": ("reopened", "period.reopened"),
}


def add_period(connection: Connection, during: str) -> int:
    """Open a period of this span; its number."""
    statement = text("INSERT INTO period (during) VALUES (:during) RETURNING id")
    return int(connection.execute(statement, {"during": during}).scalar_one())


def period_row(connection: Connection, period_id: int) -> Row:
    statement = text("SELECT id, state, version, act_no FROM period WHERE id = :id")
    return dict(connection.execute(statement, {"id": period_id}).mappings().one())


def event_row(
    connection: Connection, kind: str, subject: str, *, actor: Actor = ANN, **more: Any
) -> int:
    """Write an event without entries by hand; its number."""
    rows = draw(connection, [], recorded_at=datetime.now(UTC))
    rows.events[0] |= {
        "kind": kind,
        "subject": subject,
        "actor_id": actor.principal_id,
        "actor_kind": actor.kind.value,
        **more,
    }
    write(connection, rows)
    return int(rows.events[0]["id"])


def act_row(connection: Connection, period_id: int, act: str, **spoiled: Any) -> Row:
    """The row of an act with its event, drawn up right unless something is spoiled."""
    was = period_row(connection, period_id)
    actor = spoiled.pop("actor", ANN)
    reason = spoiled.pop("reason", "a reason")
    subject = f"period:{period_id}"
    event_id = event_row(connection, KINDS[act][1], subject, actor=actor, reason=reason)
    return {
        "period_id": period_id,
        "act_no": was["act_no"] + 1,
        "act": act,
        "version": was["version"] + (act == "close"),
        "actor_id": actor.principal_id,
        "actor_kind": actor.kind.value,
        "reason": reason,
        "acted_at": datetime.now(UTC),
        "event_id": event_id,
        **spoiled,
    }


def move(connection: Connection, period_id: int, state: str, **more: int) -> None:
    """Update the period by hand."""
    columns = {"state": state, **more}
    settings = ", ".join(f"{name} = :{name}" for name in columns)
    statement = text(f"UPDATE period SET {settings} WHERE id = :id")
    connection.execute(statement, {**columns, "id": period_id})


def act_by_hand(connection: Connection, period_id: int, act: str, **spoiled: Any) -> None:
    """Write an act and move the period by it, as the service would."""
    row = act_row(connection, period_id, act, **spoiled)
    insert(connection, "period_act", [row])
    move(connection, period_id, KINDS[act][0], act_no=row["act_no"], version=row["version"])


def one(outcomes: list[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def soft_close(
    connection: Connection, period_id: int, *, at: datetime = IN_MAY, actor: Actor = ANN
) -> Outcome:
    check(connection)  # what was posted in this very transaction is as if committed before
    command = PeriodCommand(actor=actor, period_id=period_id)
    return one(periods.soft_close(connection, [command], at=at))


def close(
    connection: Connection, period_id: int, *, at: datetime = IN_MAY, actor: Actor = ANN
) -> Outcome:
    """Close without a proof of the books: tests of the proof give its findings themselves."""
    command = ClosePeriod(actor=actor, period_id=period_id, findings=())
    return one(periods.close(connection, [command], at=at))


def ask(
    connection: Connection, period_id: int, *, at: datetime = IN_MAY, actor: Actor = ANN
) -> Outcome:
    command = PeriodCommand(actor=actor, period_id=period_id, reason="an invoice was missed")
    return one(periods.ask_reopening(connection, [command], at=at))


def reopen(
    connection: Connection, period_id: int, *, at: datetime = IN_MAY, actor: Actor = BOB
) -> Outcome:
    command = PeriodCommand(actor=actor, period_id=period_id, reason="seen, it was missed")
    return one(periods.reopen(connection, [command], at=at))


def period_at(engine: Engine, tenant: Tenant, at: datetime) -> int:
    """The number of the period that an instant lies in."""
    with transaction(engine, tenant) as connection:
        statement = text("SELECT id FROM period WHERE during @> cast(:at AS timestamptz)")
        return int(connection.execute(statement, {"at": at}).scalar_one())


def days(number: int) -> timedelta:
    return timedelta(days=number)
