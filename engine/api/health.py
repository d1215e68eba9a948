"""Whether the process lives, and whether it can serve."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from engine.api import store
from engine.store_startup import list_outdated
from kernel.database import Tenant, enter
from migrations import runner

REMEMBERED_S: Final = 1.0
"""How long a look is good for, so that asking often costs nothing."""

MOST_TENANTS: Final = 20
"""Tenants whose clocks and queues are looked at; more would make the look itself slow."""


@dataclass(slots=True, eq=False)
class Readiness:
    """Looks at the database at most once a second, as `tick` counts seconds."""

    engine: Engine
    tick: Callable[[], float] = time.monotonic
    looked_at: float = float("-inf")
    found: dict[str, Any] = field(default_factory=dict)

    def look(self) -> dict[str, Any]:
        """`ready` if the database answers and every schema is at this version."""
        if self.tick() - self.looked_at > REMEMBERED_S:
            self.found = self._look()
            self.looked_at = self.tick()
        return self.found

    def _look(self) -> dict[str, Any]:
        try:
            with self.engine.begin() as connection:
                stands_at = runner.revision(connection, runner.SHARED_SCHEMA)
                is_current = stands_at == runner.head("shared") and not list_outdated(connection)
                lateness: list[tuple[int | None, int | None]] = []
                for name in runner.list_tenants(connection)[:MOST_TENANTS] if is_current else ():
                    enter(connection, Tenant(name))
                    lateness.append(store.readiness(connection))
                    store.leave_tenant(connection)
        except SQLAlchemyError:
            return _answer(has_database=False, is_current=False, lateness=[])
        return _answer(has_database=True, is_current=is_current, lateness=lateness)


def _answer(
    *, has_database: bool, is_current: bool, lateness: list[tuple[int | None, int | None]]
) -> dict[str, Any]:
    timers = [max(late, 0) for late, _ in lateness if late is not None]
    jobs = [max(waits, 0) for _, waits in lateness if waits is not None]
    return {
        "status": "ready" if has_database and is_current else "not_ready",
        "database": has_database,
        "migrations": is_current,
        "timer_late_s": max(timers, default=None),
        "job_waits_s": max(jobs, default=None),
    }
