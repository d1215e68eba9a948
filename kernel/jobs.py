"""Jobs: rows written in the transaction of the command that wants them, so no commit, no job.

A row is a dramatiq message with one time, `run_at`: not before, and while a worker has the job,
when its lease ends. What is done is deleted; what cannot be done moves to `job_dead`. The table
holds no facts: a job may run twice, and what it must do is found in the tables it reads.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import dramatiq
from sqlalchemy import Connection

MAX_LOST_STARTS: Final = 5
"""A job whose workers die is started this often again, and then put with the dead."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that this worker has until its lease ends; `body` is an encoded message.

    `was_lost`: a worker had it and let its lease run out, so it may be what killed that worker.
    """

    id: int
    body: bytes
    was_lost: bool


_ADD: Final = """
INSERT INTO job (queue, actor, priority, body, run_at)
SELECT queue, actor, priority, body, now() + delay
FROM unnest(%s::text[], %s::text[], %s::smallint[], %s::text[], %s::interval[])
    AS given (queue, actor, priority, body, delay)
"""

# A worker never takes what it holds: its own lease may have run out while it slept. What it took
# without hearing of it, because the connection broke, it may take again.
_CLAIM: Final = """
WITH next AS (
    SELECT id FROM job
    WHERE queue = %s AND run_at <= now() AND id <> ALL (%s::bigint[])
    ORDER BY priority, run_at
    LIMIT %s
    FOR UPDATE SKIP LOCKED
)
UPDATE job SET run_at = now() + %s, worker = %s
FROM next WHERE job.id = next.id
RETURNING job.id, job.body, job.priority, old.run_at,
    old.worker IS NOT NULL OR old.attempts > 0 AS was_lost
"""

_FINISH: Final = """
DELETE FROM job USING unnest(%s::bigint[], %s::uuid[]) AS done (id, worker)
WHERE job.id = done.id AND job.worker = done.worker
"""

_BURY: Final = """
WITH dying AS (
    DELETE FROM job USING unnest(%s::bigint[], %s::uuid[], %s::text[]) AS failed (id, worker, why)
    WHERE job.id = failed.id AND job.worker = failed.worker
    RETURNING job.id, added_at, priority, attempts, queue, actor, body, failed.why
)
INSERT INTO job_dead (id, added_at, priority, attempts, queue, actor, body, why)
SELECT id, added_at, priority, attempts, queue, actor, body, why FROM dying
"""

_RELEASE: Final = """
UPDATE job SET run_at = now(), worker = NULL
FROM unnest(%s::bigint[], %s::uuid[]) AS mine (id, worker)
WHERE job.id = mine.id AND job.worker = mine.worker
"""

_KEEP: Final = """
UPDATE job SET run_at = now() + %s
FROM unnest(%s::bigint[], %s::uuid[]) AS mine (id, worker)
WHERE job.id = mine.id AND job.worker = mine.worker
RETURNING job.id
"""

_REVIVE: Final = """
WITH risen AS (DELETE FROM job_dead WHERE id = ANY (%s) RETURNING queue, actor, priority, body)
INSERT INTO job (queue, actor, priority, body, run_at)
SELECT queue, actor, priority, body, now() FROM risen
"""

# A backlog is noticed at its first row; only when all jobs wait are all of them read.
_NEXT_RUN_AT: Final = """
SELECT CASE
    WHEN EXISTS (SELECT FROM job WHERE run_at <= now()) THEN now()
    ELSE (SELECT min(run_at) FROM job)
END
"""


# Rows come by the thousand into a table that was empty when its statements were planned. A plan
# of that moment reads the whole table for each job: 900 jobs/s instead of 11,000.
_BY_INDEX: Final = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
    set_config('enable_mergejoin', 'off', true), set_config('synchronous_commit', 'off', true)
"""


def settle_in(connection: Connection) -> None:
    """Fit this transaction for taking and settling jobs, and for nothing else.

    What a crash of the server could lose of it is only that a job runs once more.
    """
    connection.exec_driver_sql(_BY_INDEX)


def add(
    connection: Connection,
    messages: Sequence[dramatiq.Message[Any]],
    *,
    delay: timedelta = timedelta(),
    priorities: Mapping[str, int] | None = None,
) -> None:
    """Write jobs in the caller's transaction; after the commit, ring the broker's doorbell.

    A message is built by an actor's `message(...)`. `priorities` go by actor name, the smaller
    the sooner, 0 where missing (`TableBroker.priorities` knows them).
    """
    if not messages:
        return
    rank = priorities or {}
    columns = (
        [message.queue_name for message in messages],
        [message.actor_name for message in messages],
        [rank.get(message.actor_name, 0) for message in messages],
        [message.encode().decode() for message in messages],
        [delay] * len(messages),
    )
    connection.exec_driver_sql(_ADD, columns)


def claim(
    connection: Connection,
    *,
    queue: str,
    worker: UUID,
    limit: int,
    lease_for: timedelta,
    holding: Collection[int] = (),
) -> list[Claimed]:
    """Take up to `limit` jobs of a queue whose time has come, most urgent first.

    `holding` are the ids of this tenant's jobs that the worker has in memory.
    """
    given = (queue, list(holding), limit, lease_for, worker)
    rows = connection.exec_driver_sql(_CLAIM, given).all()
    return [
        Claimed(row.id, row.body.encode(), row.was_lost)
        for row in sorted(rows, key=lambda row: (row.priority, row.run_at, row.id))
    ]


def finish(connection: Connection, done: Collection[tuple[int, UUID]]) -> int:
    """Delete jobs that are done, each by its id and worker; the number that were still ours.

    A job whose lease has moved to another worker stays.
    """
    ids, workers = _apart(done)
    return connection.exec_driver_sql(_FINISH, (ids, workers)).rowcount


def bury(connection: Connection, failed: Mapping[tuple[int, UUID], str]) -> int:
    """Move jobs that cannot be done to the dead, with the reason; fenced like `finish`."""
    ids, workers = _apart(failed)
    return connection.exec_driver_sql(_BURY, (ids, workers, list(failed.values()))).rowcount


def release(connection: Connection, held: Collection[tuple[int, UUID]]) -> None:
    """Give jobs back that were taken and not begun; any worker may take them at once."""
    connection.exec_driver_sql(_RELEASE, _apart(held))


def keep(
    connection: Connection, held: Collection[tuple[int, UUID]], *, lease_for: timedelta
) -> set[int]:
    """Push the lease of jobs in work on; the ids of those that are still ours."""
    rows = connection.exec_driver_sql(_KEEP, (lease_for, *_apart(held)))
    return {row.id for row in rows}


def count_lost_start(connection: Connection, job_id: int, worker: UUID) -> int:
    """Count that a job begins again after it lost its worker; how often it did, 0 if not ours."""
    statement = (
        "UPDATE job SET attempts = attempts + 1 WHERE id = %s AND worker = %s RETURNING attempts"
    )
    attempts: int | None = connection.exec_driver_sql(statement, (job_id, worker)).scalar()
    return attempts or 0


def revive(connection: Connection, ids: Sequence[int]) -> int:
    """Bring dead jobs back to their queues; the number that came back."""
    return connection.exec_driver_sql(_REVIVE, (list(ids),)).rowcount


def count_waiting(connection: Connection, queue: str) -> int:
    """Jobs of a queue that are not done: waiting, delayed or in work."""
    statement = "SELECT count(*) FROM job WHERE queue = %s"
    count: int = connection.exec_driver_sql(statement, (queue,)).scalar_one()
    return count


def find_next_run_at(connection: Connection) -> datetime | None:
    """When the next job may run, or the next lease ends (real time); None without a job."""
    found: datetime | None = connection.exec_driver_sql(_NEXT_RUN_AT).scalar_one()
    return found


def drop(connection: Connection, queue: str) -> None:
    """Forget all jobs of a queue."""
    connection.exec_driver_sql("DELETE FROM job WHERE queue = %s", (queue,))


def _apart(held: Collection[tuple[int, UUID]]) -> tuple[list[int], list[UUID]]:
    return [job_id for job_id, _ in held], [worker for _, worker in held]
