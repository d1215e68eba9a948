"""Fee schedules on the real database: drawn up by one person of finance, approved by another."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from commissions import service_schedule as service
from commissions.commands import DecideSchedule, PrepareSchedule
from commissions.model import Band, Scope, Side, Tariff
from kernel.commands import Outcome
from kernel.ids import new_id
from kernel.principals import Actor, PrincipalKind

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
TIERS = (Band(50_000, 2_000), Band(1_000_000, 1_000), Band(None, 500))
"""20 % to 500.00, 10 % to 10,000.00, 5 % above: domain/escrow.md 3.1."""


def finance() -> Actor:
    """A person of finance; every call is another one."""
    return Actor(new_id(), PrincipalKind.PERSON, None, is_operator=True)


def tariff(currency: str = "EUR", *bands: Band, **more: Any) -> Tariff:
    """The prices in a currency; ten in a hundred where no band is given."""
    return Tariff(currency, bands or (Band(None, 1_000),), **more)


def draw_up(name: str = "standard", **fields: Any) -> PrepareSchedule:
    """The command that prepares a schedule: everybody's, taken from the payee, from now on."""
    given: dict[str, Any] = {
        "actor": finance(),
        "schedule_id": new_id(),
        "side": Side.PAYEE,
        "scope": Scope(),
        "tariffs": (tariff(),),
    }
    return PrepareSchedule(**given | {"name": name} | fields)


def prepare(connection: Connection, command: PrepareSchedule, at: datetime = START) -> Outcome:
    return service.prepare(connection, [command], at=at)[0]


def approve(
    connection: Connection, schedule_id: UUID, at: datetime = START, *, actor: Actor | None = None
) -> Outcome:
    command = DecideSchedule(actor=actor or finance(), schedule_id=schedule_id)
    return service.approve(connection, [command], at=at)[0]


def hold(
    connection: Connection,
    name: str = "standard",
    *,
    at: datetime = START,
    **fields: Any,
) -> UUID:
    """A schedule that two people have put in force; its id."""
    command = draw_up(name, **fields)
    for outcome in (
        prepare(connection, command, at),
        approve(connection, command.schedule_id, at),
    ):
        assert outcome.is_done, outcome
    return command.schedule_id


def rows(connection: Connection, tables: Sequence[str]) -> dict[str, int]:
    """How many rows each table has."""
    return {
        table: connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
        for table in tables
    }
