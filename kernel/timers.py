"""Timers: rows that say which handler must look at which subject, and when.

One timer per subject and kind; the kind is also the handler's name (`escrow.auto_release`).
Reminders are columns of the timer (`kernel.reminders`), so they move, stop and go with it.
Due timers are read in due order without a lock. Whoever fires them locks the subjects first,
in order, and only then claims the timers, which deletes them in the same transaction as the
work: the other order deadlocks against a command that cancels a timer of its subject.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, LiteralString

import psycopg
from sqlalchemy import Connection, Engine

from kernel.database import Tenant, driver
from kernel.errors import Broken
from kernel.reminders import MARK

GRACE: Final = timedelta(seconds=60)
"""A command that came in before a timer was due is applied first: the timer waits this long."""

_NO_FLOORS: Final[Mapping[str, timedelta]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Arm:
    """A timer to set, or to set anew: `subject_version` is what its handler checks against."""

    subject: str
    kind: str
    due_at: datetime
    subject_version: int


@dataclass(frozen=True, slots=True, order=True)
class DueTimer:
    """A timer as it was read; it may be gone, or armed anew, by the time it is claimed."""

    due_at: datetime
    subject: str
    kind: str
    subject_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A timer as people see it; while it is paused, `due_at` says what no longer holds."""

    subject: str
    kind: str
    due_at: datetime
    subject_version: int
    paused_remaining: timedelta | None
    armed_at: datetime
    failed_times: int
    reminded: int = 0
    remind_at: datetime | None = None
    remind_length: timedelta | None = None
    was_delayed: bool = False


_ARM: Final = f"""
INSERT INTO timer (subject, kind, due_at, subject_version, armed_at, remind_length, remind_at)
SELECT subject, kind, due_at, subject_version, set_at, remind_length,
    {MARK.format(reminded="0")}
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::integer[])
    AS given (subject, kind, due_at, subject_version),
    coalesce(%s::timestamptz, clock_now()) AS set_at,
    LATERAL (SELECT CASE WHEN kind = ANY (%s::text[]) AND due_at > set_at
        THEN due_at - set_at END) AS whole (remind_length)
ORDER BY subject, kind
ON CONFLICT (subject, kind) DO UPDATE SET
    due_at = excluded.due_at, subject_version = excluded.subject_version,
    armed_at = excluded.armed_at, paused_remaining = NULL, failed_times = 0, retry_at = NULL,
    remind_length = excluded.remind_length, remind_at = excluded.remind_at, reminded = 0,
    was_delayed = false
"""  # noqa: S608  a constant of ours

_CANCEL: Final = """
WITH locked AS (
    SELECT timer.subject, timer.kind
    FROM timer JOIN unnest(%s::text[], %s::text[]) AS given (subject, kind) USING (subject, kind)
    ORDER BY subject, kind
    FOR UPDATE OF timer
)
DELETE FROM timer USING locked WHERE timer.subject = locked.subject AND timer.kind = locked.kind
"""

_PAUSE: Final = """
WITH locked AS (
    SELECT timer.subject, timer.kind
    FROM timer
    WHERE subject = ANY (%s::text[]) AND (kind = ANY (%s::text[]) OR %s)
        AND paused_remaining IS NULL
    ORDER BY subject, kind
    FOR UPDATE
)
UPDATE timer SET paused_remaining = greatest(due_at - %s::timestamptz, interval '0')
FROM locked WHERE timer.subject = locked.subject AND timer.kind = locked.kind
"""

_RESUME: Final = f"""
WITH locked AS (
    SELECT timer.subject, timer.kind,
        %s::timestamptz + greatest(paused_remaining, given.floor) AS due_at
    FROM timer
    JOIN unnest(%s::text[], %s::interval[]) AS given (subject, floor) USING (subject)
    WHERE (kind = ANY (%s::text[]) OR %s) AND paused_remaining IS NOT NULL
    ORDER BY subject, kind
    FOR UPDATE OF timer
)
UPDATE timer SET
    due_at = locked.due_at, paused_remaining = NULL, failed_times = 0, retry_at = NULL,
    remind_at = {MARK.format(reminded="reminded").replace("due_at", "locked.due_at")}
FROM locked WHERE timer.subject = locked.subject AND timer.kind = locked.kind
"""  # noqa: S608  a constant of ours

_POSTPONE: Final = """
WITH locked AS (
    SELECT timer.subject, timer.kind, given.until
    FROM timer
    JOIN unnest(%s::text[], %s::text[], %s::timestamptz[], %s::integer[], %s::timestamptz[])
        AS given (subject, kind, due_at, subject_version, until)
        USING (subject, kind, due_at, subject_version)
    WHERE paused_remaining IS NULL
    ORDER BY subject, kind
    FOR UPDATE OF timer
)
UPDATE timer SET
    due_at = locked.until, armed_at = %s, failed_times = 0, retry_at = NULL, reminded = 0,
    remind_length = CASE WHEN remind_length IS NOT NULL THEN locked.until - %s END,
    remind_at = CASE WHEN remind_length IS NOT NULL THEN %s + (locked.until - %s) / 2 END
FROM locked WHERE timer.subject = locked.subject AND timer.kind = locked.kind
RETURNING locked.until, timer.subject, timer.kind, timer.subject_version
"""

_LIST_DUE: Final = """
SELECT due_at, subject, kind, subject_version
FROM timer
WHERE paused_remaining IS NULL
    AND due_at <= %s AND (due_at, subject, kind) > (%s, %s, %s)
    AND (retry_at IS NULL OR retry_at <= clock_timestamp())
ORDER BY due_at, subject, kind
LIMIT %s
"""

_CLAIM: Final = """
WITH locked AS (
    SELECT timer.subject, timer.kind
    FROM timer
    JOIN unnest(%s::text[], %s::text[], %s::timestamptz[], %s::integer[])
        AS given (subject, kind, due_at, subject_version)
        USING (subject, kind, due_at, subject_version)
    WHERE paused_remaining IS NULL
    ORDER BY subject, kind
    FOR UPDATE OF timer
)
DELETE FROM timer USING locked WHERE timer.subject = locked.subject AND timer.kind = locked.kind
RETURNING timer.due_at, timer.subject, timer.kind, timer.subject_version
"""

# A minute, two, four, ... at most six hours.
_PUSH_BACK: Final = """
UPDATE timer SET
    failed_times = failed_times + 1,
    retry_at = clock_timestamp()
        + least(interval '1 minute' * 2 ^ least(failed_times, 16), interval '6 hours')
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::integer[])
    AS given (subject, kind, due_at, subject_version)
WHERE timer.subject = given.subject AND timer.kind = given.kind
    AND timer.due_at = given.due_at AND timer.subject_version = given.subject_version
"""

_LIST_OF: Final = """
SELECT subject, kind, due_at, subject_version, paused_remaining, armed_at, failed_times,
    reminded, remind_at, remind_length, was_delayed
FROM timer
WHERE subject = ANY (%s::text[])
ORDER BY subject, due_at, kind
"""


_TRY_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_UNLOCK: Final = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"


def arm(
    connection: Connection,
    arms: Sequence[Arm],
    *,
    at: datetime | None = None,
    reminded: Collection[str] = (),
) -> None:
    """Set timers; one that is set already starts anew, also if it was paused.

    A subject and kind may be named once. `at` is when they start, the tenant's time if None;
    timers of the kinds `reminded` tell of themselves on the way.
    """
    if not arms:
        return
    if len({(each.subject, each.kind) for each in arms}) != len(arms):
        raise Broken("a timer is armed twice in one batch", subjects=[a.subject for a in arms])
    connection.exec_driver_sql(_ARM, (*_columns(arms), at, list(reminded)))


def cancel(connection: Connection, timers: Sequence[tuple[str, str]]) -> int:
    """Take timers away, by (subject, kind); the number that were set."""
    if not timers:
        return 0
    subjects, kinds = zip(*timers, strict=True)
    return _run(connection, _CANCEL, (list(subjects), list(kinds))).rowcount


def pause(
    connection: Connection,
    subjects: Sequence[str],
    *,
    at: datetime,
    kinds: Sequence[str] | None = None,
) -> int:
    """Stop the subjects' timers and keep what remains of each; the number now stopped.

    A timer that is paused already keeps what it had: holds may overlap. `kinds` leaves timers of
    other kinds alone; None stops all.
    """
    if not subjects:
        return 0
    given = (list(subjects), list(kinds or ()), kinds is None, at)
    return _run(connection, _PAUSE, given).rowcount


def resume(
    connection: Connection,
    subjects: Sequence[str],
    *,
    at: datetime,
    floors: Mapping[str, timedelta] = _NO_FLOORS,
    kinds: Sequence[str] | None = None,
) -> int:
    """Let paused timers run on for what remained of them; the number that run again.

    `floors` is by subject the least time that must be left, as an auto-release's
    min(72 h, full length). `kinds` leaves timers of other kinds alone; None resumes all.
    """
    if not subjects:
        return 0
    distinct = sorted(set(subjects))
    least = [floors.get(subject, timedelta()) for subject in distinct]
    given = (at, distinct, least, list(kinds or ()), kinds is None)
    return _run(connection, _RESUME.encode(), given).rowcount


def postpone(
    connection: Connection, due: Sequence[tuple[DueTimer, datetime]], *, at: datetime
) -> list[DueTimer]:
    """Start due timers anew from `at`, each until its own time; those that were still there.

    The row stays: a command that waits to cancel such a timer under its subject's lock finds it.
    Reminders begin from the start.
    """
    if not due:
        return []
    timers, until = zip(*due, strict=True)
    given = (*_columns(timers), list(until), at, at, at, at)
    return sorted(DueTimer(*row) for row in _run(connection, _POSTPONE, given))


def list_due(
    connection: Connection,
    *,
    at: datetime,
    limit: int,
    grace: timedelta = GRACE,
    after: DueTimer | None = None,
) -> list[DueTimer]:
    """Timers whose due time and grace are over at `at`, in due order, without a lock.

    A next page begins `after` the last timer of the page before.
    """
    start = (after.due_at, after.subject, after.kind) if after else ("-infinity", "", "")
    rows = connection.exec_driver_sql(_LIST_DUE, (at - grace, *start, limit))
    return [DueTimer(*row) for row in rows]


def claim(connection: Connection, due: Sequence[DueTimer]) -> list[DueTimer]:
    """Take due timers for this transaction; those that are really still there, in due order.

    Call it when the subjects are locked. A timer that was cancelled, paused, armed anew or
    claimed by another scanner is not among them. A rollback brings the claimed ones back.
    """
    if not due:
        return []
    rows = _run(connection, _CLAIM, _columns(due))
    return sorted(DueTimer(*row) for row in rows)


def push_back(connection: Connection, due: Sequence[DueTimer]) -> None:
    """Leave timers whose handler failed alone for a while: a minute at first, then twice as long.

    Their due time stays what it was; the while is real time, also in a sandbox.
    """
    if due:
        connection.exec_driver_sql(_PUSH_BACK, _columns(due))


def list_of(connection: Connection, subjects: Sequence[str]) -> list[Timer]:
    """What happens to these subjects if nobody does anything; by subject, soonest first."""
    rows = connection.exec_driver_sql(_LIST_OF, (list(subjects),))
    return [
        Timer(
            subject=row.subject,
            kind=row.kind,
            due_at=row.due_at,
            subject_version=row.subject_version,
            paused_remaining=row.paused_remaining,
            armed_at=row.armed_at,
            failed_times=row.failed_times,
            reminded=row.reminded,
            remind_at=row.remind_at,
            remind_length=row.remind_length,
            was_delayed=row.was_delayed,
        )
        for row in rows
    ]


def find_next_due_at(connection: Connection) -> datetime | None:
    """When the soonest running timer falls due, by the tenant's clock; None without one."""
    statement = "SELECT min(due_at) FROM timer WHERE paused_remaining IS NULL"
    found: datetime | None = connection.exec_driver_sql(statement).scalar_one()
    return found


@contextmanager
def sole_scanner(engine: Engine, tenant: Tenant) -> Iterator[bool]:
    """Whether we may walk this tenant's timers: False while another scanner does, anywhere.

    The lock spares work; what keeps a timer from firing twice is `claim`. It is held on a
    connection that is in no transaction meanwhile.
    """
    name = (f"holdfast.timers.{tenant.name}",)
    with engine.connect() as plain:
        guard = plain.execution_options(isolation_level="AUTOCOMMIT")
        is_ours = bool(guard.exec_driver_sql(_TRY_LOCK, name).scalar_one())
        try:
            yield is_ours
        finally:
            if is_ours:
                guard.exec_driver_sql(_UNLOCK, name)


def _run(
    connection: Connection, statement: LiteralString | bytes, given: Sequence[object]
) -> psycopg.Cursor[tuple[Any, ...]]:
    """Run a statement with a plan of its own.

    A plan kept from when the table was empty would read all of it for each timer of a batch.
    """
    return driver(connection).execute(statement, given, prepare=False)


def _columns(timers: Sequence[Arm] | Sequence[DueTimer]) -> tuple[list[object], ...]:
    return (
        [timer.subject for timer in timers],
        [timer.kind for timer in timers],
        [timer.due_at for timer in timers],
        [timer.subject_version for timer in timers],
    )
