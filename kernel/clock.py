"""What time it is for a tenant: the database's clock, or a sandbox's stored instant.

The clock is one row of the tenant's schema. Events, timers and periods go by it; job leases,
rate limits and sealing go by real time.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection

from kernel.errors import Broken, Refusal


class Mode(StrEnum):
    """LIVE goes by the database's clock; SANDBOX stands still until someone moves it on."""

    LIVE = "live"
    SANDBOX = "sandbox"


class NotSandbox(Refusal):
    """Only a sandbox's clock can be moved."""

    code = "clock.not_sandbox"


class Backwards(Refusal):
    """A sandbox's clock only moves forward."""

    code = "clock.backwards"


class HasEvents(Refusal):
    """A tenant with events in its log keeps the clock it has."""

    code = "clock.has_events"


def now(connection: Connection) -> datetime:
    """The tenant's time, in UTC. Read once per transaction, by whoever opened it."""
    at = connection.exec_driver_sql("SELECT clock_now()").scalar_one()
    if not isinstance(at, datetime):
        raise Broken("the tenant has no clock")
    return at


def real_now(connection: Connection) -> datetime:
    """What the database's own clock says, also for a sandbox; never this machine's."""
    at: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return at


def get_mode(connection: Connection) -> Mode:
    """Whether the tenant lives by the real clock or is a sandbox."""
    return Mode(connection.exec_driver_sql("SELECT mode FROM clock").scalar_one())


def advance(connection: Connection, *, to: datetime) -> datetime:
    """Move a sandbox's clock on; the same instant again is no mistake.

    Refuses a live clock (`clock.not_sandbox`) and an earlier instant (`clock.backwards`).
    """
    mode, sandbox_at = _lock(connection)
    if mode is not Mode.SANDBOX or sandbox_at is None:
        raise NotSandbox
    if to < sandbox_at:
        raise Backwards(now=sandbox_at.isoformat(), to=to.isoformat())
    connection.exec_driver_sql("UPDATE clock SET sandbox_at = %s", (to,))
    return to


def make_sandbox(connection: Connection, *, at: datetime) -> None:
    """Turn a tenant without events into a sandbox whose clock starts at `at`.

    Refuses a tenant with events (`clock.has_events`). A sandbox cannot be made twice with an
    earlier instant (`clock.backwards`) and never becomes live again.
    """
    mode, sandbox_at = _lock(connection)
    if connection.exec_driver_sql("SELECT EXISTS (SELECT FROM event)").scalar_one():
        raise HasEvents
    if mode is Mode.SANDBOX and sandbox_at is not None and at < sandbox_at:
        raise Backwards(now=sandbox_at.isoformat(), to=at.isoformat())
    connection.exec_driver_sql("UPDATE clock SET mode = 'sandbox', sandbox_at = %s", (at,))


def _lock(connection: Connection) -> tuple[Mode, datetime | None]:
    row = connection.exec_driver_sql("SELECT mode, sandbox_at FROM clock FOR UPDATE").one()
    return Mode(row.mode), row.sandbox_at
