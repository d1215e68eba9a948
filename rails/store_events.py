"""All SQL of the events that rails send, and of how often rails are asked for what they missed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, RowMapping

from rails.model_events import Authentic, RailEvent
from rails.model_kept import EventState, KeptEvent

_EVENT: Final = """event_no, rail, account, event_id, kind, object_ref, authentic, is_live, body,
    occurred_at, received_at, state, tries, failures, trouble, retry_at, leased_until,
    processed_at"""

_ADD: Final = """
INSERT INTO rail_event (rail, account, event_id, kind, object_ref, authentic, is_live, body,
    occurred_at, received_at)
SELECT came.*, %(at)s
FROM unnest(%(rails)s::text[], %(accounts)s::text[], %(ids)s::text[], %(kinds)s::text[],
            %(objects)s::text[], %(authentic)s::text[], %(live)s::boolean[], %(bodies)s::bytea[],
            %(times)s::timestamptz[]) AS came (rail, account, event_id)
ORDER BY came.rail, came.account, came.event_id
ON CONFLICT ON CONSTRAINT rail_event_is_kept_once DO NOTHING
"""

_TAKE: Final = f"""
UPDATE rail_event SET leased_until = clock_timestamp() + %(lease)s
WHERE event_no = ANY (ARRAY(
    SELECT event_no FROM rail_event
    WHERE rail = %(rail)s AND state IN ('new', 'parked')
      AND (retry_at IS NULL OR retry_at <= %(at)s)
      AND (leased_until IS NULL OR leased_until <= clock_timestamp())
    ORDER BY event_no LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING {_EVENT}
"""

_LOCK: Final = f"""
SELECT {_EVENT} FROM rail_event WHERE event_no = %(event_no)s FOR UPDATE
"""

_PROCESSED: Final = """
UPDATE rail_event
SET state = 'processed', processed_at = %(at)s, retry_at = NULL, leased_until = NULL, trouble = ''
WHERE event_no = %(event_no)s
"""

_PARK: Final = """
UPDATE rail_event
SET state = 'parked', tries = tries + 1, retry_at = %(retry_at)s, leased_until = NULL,
    trouble = %(trouble)s
WHERE event_no = %(event_no)s
"""

_EXCEPT: Final = """
UPDATE rail_event
SET state = 'exception', retry_at = NULL, leased_until = NULL, trouble = %(trouble)s
WHERE event_no = %(event_no)s AND state IN ('new', 'parked')
"""

_FAIL: Final = """
UPDATE rail_event
SET failures = failures + %(more)s, trouble = %(trouble)s,
    leased_until = clock_timestamp() + %(wait)s
WHERE event_no = %(event_no)s AND state IN ('new', 'parked')
"""

_RETRY: Final = """
UPDATE rail_event
SET state = 'parked', tries = 0, failures = 0, retry_at = %(at)s, leased_until = NULL
WHERE event_no = %(event_no)s AND state IN ('parked', 'exception')
"""

_LIST: Final = f"""
SELECT {_EVENT} FROM rail_event
WHERE event_no > %(after)s
  AND (%(rail)s::text IS NULL OR rail = %(rail)s) AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY event_no LIMIT %(limit)s
"""

_COUNT: Final = """
SELECT rail, state, count(*) AS number FROM rail_event GROUP BY rail, state ORDER BY rail, state
"""

_CLAIM: Final = """
INSERT INTO rail_cursor (rail, position, asked_at)
VALUES (%(name)s, '', clock_timestamp())
ON CONFLICT (rail) DO UPDATE SET asked_at = clock_timestamp()
WHERE rail_cursor.asked_at IS NULL OR rail_cursor.asked_at <= clock_timestamp() - %(every)s
RETURNING position
"""

_ASK_AGAIN: Final = "UPDATE rail_cursor SET asked_at = NULL WHERE rail = %(name)s"


def add_events(connection: Connection, events: Sequence[RailEvent], at: datetime) -> int:
    """Keep events as they came; how many were never seen before."""
    columns = {
        "rails": [event.rail for event in events],
        "accounts": [event.account for event in events],
        "ids": [event.event_id for event in events],
        "kinds": [event.kind for event in events],
        "objects": [event.object_ref for event in events],
        "authentic": [event.authentic.value for event in events],
        "live": [event.is_live for event in events],
        "bodies": [event.body for event in events],
        "times": [event.occurred_at for event in events],
    }
    return connection.exec_driver_sql(_ADD, {**columns, "at": at}).rowcount


def take_events(
    connection: Connection, rail: str, at: datetime, *, limit: int, lease: timedelta
) -> list[KeptEvent]:
    """Lease events that wait, oldest first; nobody else gets them before the lease is over."""
    arguments = {"rail": rail, "at": at, "limit": limit, "lease": lease}
    rows = connection.exec_driver_sql(_TAKE, arguments).mappings()
    return sorted((_kept(row) for row in rows), key=lambda kept: kept.event_no)


def lock_event(connection: Connection, event_no: int) -> KeptEvent | None:
    """One event under its lock; None where there is none of this number."""
    row = connection.exec_driver_sql(_LOCK, {"event_no": event_no}).mappings().one_or_none()
    return None if row is None else _kept(row)


def save_processed(connection: Connection, event_no: int, at: datetime) -> None:
    """Mark an event processed, in the transaction that booked what it led to."""
    connection.exec_driver_sql(_PROCESSED, {"event_no": event_no, "at": at})


def save_parked(connection: Connection, event_no: int, retry_at: datetime, trouble: str) -> None:
    """Let an event wait for what it is about."""
    arguments = {"event_no": event_no, "retry_at": retry_at, "trouble": trouble}
    connection.exec_driver_sql(_PARK, arguments)


def save_exception(connection: Connection, event_no: int, trouble: str) -> None:
    """Put an event before people."""
    connection.exec_driver_sql(_EXCEPT, {"event_no": event_no, "trouble": trouble})


def save_failure(
    connection: Connection, event_no: int, *, trouble: str, wait: timedelta, counts: bool
) -> None:
    """Let an event be tried again after a while of real time; `counts`: as one of its failures."""
    arguments = {"event_no": event_no, "trouble": trouble, "wait": wait, "more": int(counts)}
    connection.exec_driver_sql(_FAIL, arguments)


def save_retry(connection: Connection, event_no: int, at: datetime) -> bool:
    """Have an event tried again now, as if it had just come; False if it is no longer waiting."""
    return connection.exec_driver_sql(_RETRY, {"event_no": event_no, "at": at}).rowcount == 1


def list_events(
    connection: Connection,
    *,
    after: int = 0,
    limit: int,
    rail: str | None = None,
    state: EventState | None = None,
) -> list[KeptEvent]:
    """Events in the order in which they came."""
    arguments = {"after": after, "limit": limit, "rail": rail, "state": state and state.value}
    return [_kept(row) for row in connection.exec_driver_sql(_LIST, arguments).mappings()]


def count_events(connection: Connection) -> dict[tuple[str, EventState], int]:
    """How many events there are by rail and state."""
    rows = connection.exec_driver_sql(_COUNT)
    return {(row.rail, EventState(row.state)): row.number for row in rows}


def claim_asking(connection: Connection, name: str, every: timedelta) -> str | None:
    """Where a list was read to, if it was not asked for within `every` of real time; else None."""
    found = connection.exec_driver_sql(_CLAIM, {"name": name, "every": every})
    position = found.scalar_one_or_none()
    return None if position is None else str(position)


def ask_again(connection: Connection, name: str) -> None:
    """Have a list go on to be read at the next look: it was longer than one look."""
    connection.exec_driver_sql(_ASK_AGAIN, {"name": name})


def _kept(row: RowMapping) -> KeptEvent:
    return KeptEvent(
        event_no=row["event_no"],
        event=RailEvent(
            rail=row["rail"],
            account=row["account"],
            event_id=row["event_id"],
            kind=row["kind"],
            object_ref=row["object_ref"],
            authentic=Authentic(row["authentic"]),
            is_live=row["is_live"],
            body=bytes(row["body"]),
            occurred_at=row["occurred_at"],
        ),
        received_at=row["received_at"],
        state=EventState(row["state"]),
        tries=row["tries"],
        failures=row["failures"],
        trouble=row["trouble"],
        retry_at=row["retry_at"],
        leased_until=row["leased_until"],
        processed_at=row["processed_at"],
    )
