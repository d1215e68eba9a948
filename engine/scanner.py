"""The timer scanner: finds each tenant's due timers and hands them, in chunks, to their handlers.

A chunk is one transaction of one handler. The handler locks its subjects with SKIP LOCKED, claims
the timers (`kernel.timers.claim`), and does the work; what it skipped stays due for the next
round. A chunk that fails is halved until the timer that fails stands alone: that one is pushed
back and logged, its neighbours fire. Time is what the database says; this machine's own clock
only measures how long we wait.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import psycopg
import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from kernel import clock, due, jobs, reminders, timers
from kernel.database import Tenant, transaction
from kernel.timers import DueTimer

TimerHandler = Callable[[Connection, Sequence[DueTimer], datetime], int]
"""Fires what it can of the due timers, all of its own kind, and says how many those were."""

BACKLOG_AFTER: Final = timedelta(seconds=60)
"""Timers that are later than this, beyond their grace, are a backlog, which is paced."""

_REMINDERS: Final = 1_000
_REMINDER_BATCHES: Final = 5
"""So much is told between two rounds, so that reminders never keep a due timer waiting."""

_DEADLOCK_TRIES: Final = 3

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """Walks the tenants; several may run, on any machine: each tenant is walked by one at a time.

    `tenants` says whose timers may be due; `handlers` names a handler for each kind. A timer of
    a kind that nobody knows stays where it is. `chunk_size` timers share one transaction, after
    whose commit `ring` tells the workers, because a handler may have written jobs.
    `begin_round` notes that somebody looks, and says how many timers of a backlog may fire in a
    second (None: all). `remind` tells of so many clocks whose next mark has passed.
    """

    engine: Engine
    tenants: Callable[[], Sequence[Tenant]]
    handlers: Mapping[str, TimerHandler]
    ring: Callable[[Tenant], None] | None = None
    begin_round: Callable[[Connection, datetime], int | None] | None = None
    remind: Callable[[Connection, datetime, int], int] | None = None
    grace: timedelta = timers.GRACE
    chunk_size: int = 1_000
    page_size: int = 10_000
    interval_s: float = 1.0
    longest_visit_s: float = 5.0
    deadlocks: Counter[str] = field(default_factory=Counter)

    def run_forever(self, stop: threading.Event) -> None:
        """Scan until `stop` is set, at least once in `interval_s` and at once while there is work.

        Trouble with one tenant is logged and waits for the next round.
        """
        while not stop.is_set():
            if not self.run_once(stop):
                stop.wait(self.interval_s)

    def run_once(self, stop: threading.Event | None = None) -> Counter[str]:
        """Fire all that is due, and what becomes due by that; how many fired of each kind.

        A tenant with endless work is left after `longest_visit_s`, so that others have their turn.
        """
        fired: Counter[str] = Counter()
        for tenant in self._list_tenants():
            if stop is not None and stop.is_set():
                break
            try:
                with timers.sole_scanner(self.engine, tenant) as is_ours:
                    if is_ours:
                        fired += self.fire_due(tenant, stop)
                        self._plan_next(tenant)
            except (SQLAlchemyError, psycopg.Error) as trouble:
                _log.warning("timers.scan_failed", tenant=tenant.name, trouble=_name(trouble))
        return fired

    def fire_due(self, tenant: Tenant, stop: threading.Event | None = None) -> Counter[str]:
        """Go over one tenant's due timers until a round fires none; without the tenant's lock.

        With `stop` it ends after `longest_visit_s`, too.
        """
        fired: Counter[str] = Counter()
        leave_at = time.monotonic() + self.longest_visit_s
        while stop is None or not (stop.is_set() or time.monotonic() > leave_at):
            round_fired = self._go_over(tenant, self._begin(tenant), stop)
            self._remind(tenant)
            if not round_fired:
                break
            fired += round_fired
        return fired

    def _begin(self, tenant: Tenant) -> int | None:
        if self.begin_round is None:
            return None
        with transaction(self.engine, tenant) as connection:
            return self.begin_round(connection, clock.now(connection))

    def _remind(self, tenant: Tenant) -> None:
        for _ in range(_REMINDER_BATCHES if self.remind else 0):
            with transaction(self.engine, tenant) as connection:
                assert self.remind is not None
                taken = self.remind(connection, clock.now(connection), _REMINDERS)
            if taken < _REMINDERS:
                break

    def _plan_next(self, tenant: Tenant) -> None:
        """Move the tenant's hint to when something will be due; a sandbox stands still until told.

        What is due already and was skipped or left alone keeps the tenant awake.
        """
        with transaction(self.engine, tenant) as connection:
            now = clock.now(connection)
            timer_at = timers.find_next_due_at(connection)
            remind_at = reminders.find_next_at(connection) if self.remind else None
            job_at = jobs.find_next_run_at(connection)
            is_live = clock.get_mode(connection) is clock.Mode.LIVE
            real_now = clock.real_now(connection)
        ring_at = None if timer_at is None else timer_at + self.grace
        due_at = min(filter(None, (ring_at, remind_at)), default=None)
        if due_at is not None and not is_live:
            due_at = real_now if due_at <= now else None
        with self.engine.begin() as connection:
            due.move_hint(connection, tenant, to=min(filter(None, (due_at, job_at)), default=None))

    def _go_over(
        self, tenant: Tenant, per_s: int | None, stop: threading.Event | None
    ) -> Counter[str]:
        """One round, page by page; what a handler skips is not seen again in this round."""
        fired: Counter[str] = Counter()
        began = time.monotonic()
        for now, page in self._pages(tenant):
            by_kind: dict[str, list[DueTimer]] = {}
            for timer in page:
                by_kind.setdefault(timer.kind, []).append(timer)
            for kind, of_kind in by_kind.items():
                handler = self.handlers.get(kind)
                if handler is None:
                    _log.error("timer.no_handler", tenant=tenant.name, kind=kind)
                    continue
                for start in range(0, len(of_kind), self.chunk_size):
                    if stop is not None and stop.is_set():
                        return fired
                    chunk = of_kind[start : start + self.chunk_size]
                    fired[kind] += self._fire(tenant, handler, chunk)
                    is_backlog = chunk[-1].due_at + self.grace + BACKLOG_AFTER < now
                    if per_s and stop is not None and is_backlog:
                        stop.wait(max(0.0, began + fired.total() / per_s - time.monotonic()))
        return +fired

    def _pages(self, tenant: Tenant) -> Iterator[tuple[datetime, list[DueTimer]]]:
        after: DueTimer | None = None
        while True:
            with transaction(self.engine, tenant) as connection:
                now = clock.now(connection)
                page = timers.list_due(
                    connection,
                    at=now,
                    grace=self.grace,
                    limit=self.page_size,
                    after=after,
                )
            if page:
                yield now, page
            if len(page) < self.page_size:
                return
            after = page[-1]

    def _fire(self, tenant: Tenant, handler: TimerHandler, chunk: Sequence[DueTimer]) -> int:
        """Fire a chunk, or its halves if it fails, down to the one timer that must wait."""
        try:
            return self._fire_together(tenant, handler, chunk)
        except Exception as failure:
            # The outermost frame of a handler: whatever it raises must not stop its neighbours.
            if _is_server_gone(failure):
                raise
            if len(chunk) == 1:
                self._push_back(tenant, chunk[0])
                return 0
        middle = len(chunk) // 2
        halves = (chunk[:middle], chunk[middle:])
        return sum(self._fire(tenant, handler, half) for half in halves)

    def _fire_together(
        self, tenant: Tenant, handler: TimerHandler, chunk: Sequence[DueTimer]
    ) -> int:
        tries = 0
        while True:
            try:
                with transaction(self.engine, tenant) as connection:
                    fired = handler(connection, chunk, clock.now(connection))
            except (DBAPIError, psycopg.Error) as failure:
                if not _is_deadlock(failure):
                    raise
                tries += 1
                self.deadlocks[chunk[0].kind] += 1
                if tries == _DEADLOCK_TRIES:
                    raise
            else:
                if fired and self.ring is not None:
                    self.ring(tenant)
                return fired

    def _push_back(self, tenant: Tenant, timer: DueTimer) -> None:
        _log.exception(
            "timer.failed",
            tenant=tenant.name,
            kind=timer.kind,
            subject=timer.subject,
            due_at=timer.due_at.isoformat(),
        )
        with transaction(self.engine, tenant) as connection:
            timers.push_back(connection, [timer])

    def _list_tenants(self) -> Sequence[Tenant]:
        try:
            return self.tenants()
        except SQLAlchemyError as trouble:
            _log.warning("timers.tenants_unknown", trouble=_name(trouble))
            return ()


def _cause(failure: Exception) -> object:
    """What PostgreSQL said, whether it came through SQLAlchemy or from psycopg itself."""
    return failure.orig if isinstance(failure, DBAPIError) else failure


def _is_deadlock(failure: Exception) -> bool:
    return isinstance(_cause(failure), psycopg.errors.DeadlockDetected)


def _is_server_gone(failure: Exception) -> bool:
    """Whether the fault is the connection's or the server's, and no timer's."""
    cause = _cause(failure)
    return isinstance(cause, psycopg.OperationalError) and (
        cause.sqlstate is None or cause.sqlstate.startswith(("08", "57P"))
    )


def _name(trouble: Exception) -> str:
    return type(trouble).__name__
