"""All SQL of endpoints, their secrets, and deliveries. Arrays in, frozen dataclasses out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from engine.webhooks.model import Delivery, DeliveryState, Endpoint, EndpointState

_ENDPOINT: Final = """id, url, kinds, label, state, reason, planned_to, round_no, made_at,
    failing_since, disabled_at"""

_DELIVERY: Final = """delivery_no, endpoint_id, journal_no, round_no, state, tries, made_at,
    next_at, tried_at, ended_at, status, trouble"""

_ADD_ENDPOINT: Final = """
INSERT INTO webhook_endpoint (id, url, kinds, label, planned_to, made_at)
VALUES (%(id)s, %(url)s, %(kinds)s, %(label)s, %(planned_to)s, %(at)s)
"""

_ADD_KEY: Final = """
INSERT INTO webhook_key (endpoint_id, id, secret, made_at)
VALUES (%(endpoint_id)s, %(id)s, %(secret)s, %(at)s)
"""

_END_SECRETS: Final = """
UPDATE webhook_secret SET ends_at = clock_timestamp() + %(overlap)s
WHERE endpoint_id = %(endpoint_id)s
  AND (ends_at IS NULL OR ends_at > clock_timestamp() + %(overlap)s)
"""

_ADD_SIGNING: Final = """
INSERT INTO webhook_secret (endpoint_id, secret_no, sealed, made_at)
VALUES (%(endpoint_id)s, %(secret_no)s, %(sealed)s, %(at)s)
"""

_NEXT_NUMBER: Final = """
SELECT coalesce(max(secret_no), 0) + 1 FROM webhook_secret WHERE endpoint_id = %(endpoint_id)s
"""

_LIST_SEALED: Final = """
SELECT s.endpoint_id, s.secret_no, s.sealed, k.id AS key_id, k.secret, k.made_at
FROM webhook_secret s JOIN webhook_key k ON k.endpoint_id = s.endpoint_id
WHERE s.endpoint_id = ANY (%(ids)s::uuid[]) AND (s.ends_at IS NULL OR s.ends_at > clock_timestamp())
ORDER BY s.endpoint_id, s.secret_no DESC
"""

_FIND_ENDPOINTS: Final = f"""
SELECT {_ENDPOINT} FROM webhook_endpoint WHERE id = ANY (%(ids)s::uuid[])
"""

_LOCK_ENDPOINTS: Final = f"""
SELECT {_ENDPOINT} FROM webhook_endpoint WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id FOR UPDATE
"""

_LIST_ENDPOINTS: Final = f"""
SELECT {_ENDPOINT} FROM webhook_endpoint
WHERE %(after)s::uuid IS NULL OR id > %(after)s ORDER BY id LIMIT %(limit)s
"""

_LIST_BEHIND: Final = """
SELECT id FROM webhook_endpoint
WHERE state = 'active' AND planned_to < (SELECT coalesce(max(journal_no), 0) FROM seal)
ORDER BY id
"""

_NEWEST: Final = "SELECT coalesce(max(journal_no), 0) FROM seal"

_SAVE_ENDPOINT: Final = """
UPDATE webhook_endpoint
SET state = %(state)s, reason = %(reason)s, planned_to = %(planned_to)s, round_no = %(round_no)s,
    failing_since = %(failing_since)s, disabled_at = %(disabled_at)s
WHERE id = %(id)s
"""

_ADD_DELIVERIES: Final = """
INSERT INTO webhook_delivery (endpoint_id, journal_no, round_no, next_at)
SELECT %(endpoint_id)s, journal_no, %(round_no)s, clock_timestamp()
FROM unnest(%(numbers)s::bigint[]) AS journal_no
ON CONFLICT ON CONSTRAINT webhook_delivery_once_a_round DO NOTHING
RETURNING delivery_no
"""

_LIST_DUE: Final = f"""
SELECT due.*
FROM webhook_endpoint e
CROSS JOIN LATERAL (
    SELECT {_DELIVERY} FROM webhook_delivery
    WHERE endpoint_id = e.id AND state = 'waiting' AND next_at <= clock_timestamp()
    ORDER BY next_at, delivery_no LIMIT %(each)s
) due
WHERE e.state = 'active'
ORDER BY due.next_at, due.delivery_no LIMIT %(limit)s
"""

_SAVE_TRY: Final = """
UPDATE webhook_delivery
SET state = %(state)s, tries = tries + 1, tried_at = clock_timestamp(), status = %(status)s,
    trouble = %(trouble)s, next_at = clock_timestamp() + %(wait)s,
    ended_at = CASE WHEN %(state)s = 'waiting' THEN NULL ELSE clock_timestamp() END
WHERE delivery_no = %(delivery_no)s AND state = 'waiting'
"""

_NOTE_TAKEN: Final = """
UPDATE webhook_endpoint SET failing_since = NULL WHERE id = %(id)s AND failing_since IS NOT NULL
"""

_NOTE_FAILED: Final = """
UPDATE webhook_endpoint SET failing_since = coalesce(failing_since, clock_timestamp())
WHERE id = %(id)s
RETURNING clock_timestamp() - failing_since >= %(after)s AND state = 'active'
"""

_REDELIVER: Final = """
UPDATE webhook_delivery
SET state = 'waiting', tries = 0, next_at = clock_timestamp(), ended_at = NULL
WHERE delivery_no = %(delivery_no)s AND state IN ('waiting', 'dead')
"""

_LIST_DELIVERIES: Final = f"""
SELECT {_DELIVERY} FROM webhook_delivery
WHERE delivery_no > %(after)s
  AND (%(endpoint_id)s::uuid IS NULL OR endpoint_id = %(endpoint_id)s)
  AND (%(state)s::text IS NULL OR state = %(state)s)
ORDER BY delivery_no LIMIT %(limit)s
"""

_LIST_EVENTS: Final = """
SELECT event_id, journal_no FROM seal WHERE journal_no = ANY (%(numbers)s::bigint[])
"""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret at rest, with the key that opens it."""

    endpoint_id: UUID
    secret_no: int
    sealed: bytes
    key_id: UUID
    key: bytes
    made_at: datetime


def add_endpoint(
    connection: Connection, endpoint: Endpoint, *, key_id: UUID, key: bytes, at: datetime
) -> None:
    """Write a new endpoint with the key that its secrets are sealed with."""
    columns = {
        "id": endpoint.id,
        "url": endpoint.url,
        "kinds": list(endpoint.kinds),
        "label": endpoint.label,
        "planned_to": endpoint.planned_to,
        "at": at,
    }
    connection.exec_driver_sql(_ADD_ENDPOINT, columns)
    connection.exec_driver_sql(
        _ADD_KEY, {"endpoint_id": endpoint.id, "id": key_id, "secret": key, "at": at}
    )


def next_secret_no(connection: Connection, endpoint_id: UUID) -> int:
    """The number of the secret that comes next; the endpoint is locked."""
    found = connection.exec_driver_sql(_NEXT_NUMBER, {"endpoint_id": endpoint_id})
    return int(found.scalar_one())


def add_secret(
    connection: Connection,
    endpoint_id: UUID,
    *,
    secret_no: int,
    sealed: bytes,
    overlap: timedelta,
    at: datetime,
) -> None:
    """Write a new secret, and let those before it end after the overlap."""
    connection.exec_driver_sql(_END_SECRETS, {"endpoint_id": endpoint_id, "overlap": overlap})
    connection.exec_driver_sql(
        _ADD_SIGNING,
        {"endpoint_id": endpoint_id, "secret_no": secret_no, "sealed": sealed, "at": at},
    )


def list_sealed(connection: Connection, ids: Collection[UUID]) -> list[Sealed]:
    """The live secrets of endpoints, the newest of each first."""
    rows = connection.exec_driver_sql(_LIST_SEALED, {"ids": list(ids)})
    return [
        Sealed(
            row.endpoint_id,
            row.secret_no,
            bytes(row.sealed),
            row.key_id,
            bytes(row.secret),
            row.made_at,
        )
        for row in rows
    ]


def find_endpoints(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Endpoint]:
    """Endpoints by id; an unknown id is missing."""
    rows = connection.exec_driver_sql(_FIND_ENDPOINTS, {"ids": list(ids)}).mappings()
    return {row["id"]: _endpoint(row) for row in rows}


def lock_endpoints(connection: Connection, ids: Collection[UUID]) -> dict[UUID, Endpoint]:
    """Endpoints by id, locked in the order of their ids."""
    rows = connection.exec_driver_sql(_LOCK_ENDPOINTS, {"ids": list(ids)}).mappings()
    return {row["id"]: _endpoint(row) for row in rows}


def list_endpoints(connection: Connection, *, after: UUID | None, limit: int) -> list[Endpoint]:
    """Endpoints in the order of their ids, which is that of their making."""
    rows = connection.exec_driver_sql(_LIST_ENDPOINTS, {"after": after, "limit": limit})
    return [_endpoint(row) for row in rows.mappings()]


def list_behind(connection: Connection) -> list[UUID]:
    """Active endpoints for which sealed events wait to be planned."""
    return list(connection.exec_driver_sql(_LIST_BEHIND).scalars())


def newest_journal_no(connection: Connection) -> int:
    """The number of the newest sealed event; 0 where none is sealed."""
    return int(connection.exec_driver_sql(_NEWEST).scalar_one())


def save_endpoint(connection: Connection, endpoint: Endpoint) -> None:
    """Write what of an endpoint may change; it is locked."""
    connection.exec_driver_sql(
        _SAVE_ENDPOINT,
        {
            "id": endpoint.id,
            "state": endpoint.state.value,
            "reason": endpoint.reason,
            "planned_to": endpoint.planned_to,
            "round_no": endpoint.round_no,
            "failing_since": endpoint.failing_since,
            "disabled_at": endpoint.disabled_at,
        },
    )


def add_deliveries(
    connection: Connection, endpoint: Endpoint, numbers: Sequence[int | None]
) -> list[int]:
    """Write deliveries of events, in their order, to be sent at once; the numbers of new ones."""
    rows = connection.exec_driver_sql(
        _ADD_DELIVERIES,
        {"endpoint_id": endpoint.id, "round_no": endpoint.round_no, "numbers": list(numbers)},
    )
    return sorted(row.delivery_no for row in rows)


def list_due(connection: Connection, *, limit: int, each: int) -> list[Delivery]:
    """Deliveries whose time has come, of active endpoints; at most `each` of one."""
    rows = connection.exec_driver_sql(_LIST_DUE, {"limit": limit, "each": each}).mappings()
    return [_delivery(row) for row in rows]


def save_try(
    connection: Connection,
    delivery_no: int,
    state: DeliveryState,
    *,
    status: int | None,
    trouble: str,
    wait: timedelta | None,
) -> None:
    """Write what came of a try; `wait` is how long to wait for the next, None where it is over."""
    connection.exec_driver_sql(
        _SAVE_TRY,
        {
            "delivery_no": delivery_no,
            "state": state.value,
            "status": status,
            "trouble": trouble,
            "wait": wait,
        },
    )


def note_taken(connection: Connection, endpoint_id: UUID) -> None:
    """The endpoint took something: it is not failing."""
    connection.exec_driver_sql(_NOTE_TAKEN, {"id": endpoint_id})


def note_failed(connection: Connection, endpoint_id: UUID, *, after: timedelta) -> bool:
    """The endpoint took nothing; whether it has been so for long enough to be disabled."""
    arguments = {"id": endpoint_id, "after": after}
    return bool(connection.exec_driver_sql(_NOTE_FAILED, arguments).scalar_one())


def redeliver(connection: Connection, delivery_no: int) -> bool:
    """Have a delivery tried anew now; False where it has arrived, or there is none."""
    return connection.exec_driver_sql(_REDELIVER, {"delivery_no": delivery_no}).rowcount == 1


def list_deliveries(
    connection: Connection,
    *,
    after: int = 0,
    limit: int,
    endpoint_id: UUID | None = None,
    state: DeliveryState | None = None,
) -> list[Delivery]:
    """Deliveries in the order in which they were written."""
    rows = connection.exec_driver_sql(
        _LIST_DELIVERIES,
        {
            "after": after,
            "limit": limit,
            "endpoint_id": endpoint_id,
            "state": state and state.value,
        },
    )
    return [_delivery(row) for row in rows.mappings()]


def find_event_ids(connection: Connection, numbers: Collection[int]) -> Mapping[int, int]:
    """The ids of sealed events by their numbers in the journal."""
    rows = connection.exec_driver_sql(_LIST_EVENTS, {"numbers": list(numbers)})
    return {row.journal_no: row.event_id for row in rows}


def _endpoint(row: RowMapping) -> Endpoint:
    return Endpoint(**{**row, "kinds": tuple(row["kinds"]), "state": EndpointState(row["state"])})


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(**{**row, "state": DeliveryState(row["state"])})
