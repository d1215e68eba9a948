"""All SQL of operations, notices and cursors. Arrays in, frozen dataclasses out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, RowMapping

from kernel.errors import Broken
from rails.model import (
    OperationKind,
    OperationState,
    RailAccount,
    RailBalance,
    RailOperation,
    RailOutcome,
    RailResult,
)
from rails.rules import Standing

_OPERATION: Final = """id, kind, handler, subject, amount_minor, currency, method, facts, rail,
    key_no, rail_ref, created_at"""

_ADD: Final = """
INSERT INTO rail_operation
    (id, kind, handler, subject, amount_minor, currency, method, facts, rail, created_at)
SELECT id, kind, handler, subject, amount_minor, currency, method, facts::jsonb, rail, %(at)s
FROM unnest(%(ids)s::uuid[], %(kinds)s::text[], %(handlers)s::text[], %(subjects)s::text[],
            %(amounts)s::bigint[], %(currencies)s::text[], %(methods)s::text[], %(facts)s::text[],
            %(rails)s::text[])
    WITH ORDINALITY
    AS new (id, kind, handler, subject, amount_minor, currency, method, facts, rail, ordinal)
ORDER BY ordinal
"""

_TAKE: Final = f"""
UPDATE rail_operation
SET state = 'sent', sent_at = %(at)s, leased_at = clock_timestamp(), attempts = attempts + 1,
    key_at = coalesce(key_at, %(at)s), retry_at = NULL
WHERE id = ANY (ARRAY(
    SELECT id FROM rail_operation
    WHERE state = 'created' AND rail = %(rail)s AND (retry_at IS NULL OR retry_at <= %(at)s)
    ORDER BY intent_no LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
RETURNING {_OPERATION}, intent_no
"""

_WITHDRAW: Final = """
UPDATE rail_operation SET state = 'withdrawn'
WHERE id = ANY (ARRAY(
    SELECT id FROM rail_operation
    WHERE id = ANY (%(ids)s::uuid[]) AND state = 'created' AND attempts = 0
    ORDER BY id FOR UPDATE))
"""

_LOCK: Final = """
SELECT id, handler, kind, subject, amount_minor, currency, state, cleared, has_left, rail_ref
FROM rail_operation WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE
"""

_SAVE_RESULTS: Final = """
UPDATE rail_operation AS stored
SET state = heard.state, fee_minor = heard.fee_minor, rail_ref = heard.rail_ref,
    code = heard.code, cleared = stored.cleared OR heard.cleared, occurred_at = heard.occurred_at,
    has_left = stored.has_left OR heard.has_left,
    transaction_ref = coalesce(nullif(heard.transaction_ref, ''), stored.transaction_ref),
    leased_at = clock_timestamp()
FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(fees)s::bigint[], %(refs)s::text[],
            %(codes)s::text[], %(cleared)s::boolean[], %(times)s::timestamptz[],
            %(left)s::boolean[], %(transactions)s::text[])
    AS heard (id, state, fee_minor, rail_ref, code, cleared, occurred_at, has_left, transaction_ref)
WHERE stored.id = heard.id
"""

_SAVE_UNKNOWN: Final = """
UPDATE rail_operation SET state = 'unknown' WHERE id = ANY (%(ids)s::uuid[]) AND state = 'sent'
"""

_SAVE_UNSENT: Final = """
UPDATE rail_operation AS stored
SET state = 'created', retry_at = absent.retry_at, key_no = stored.key_no + absent.spent,
    key_at = CASE absent.spent WHEN 0 THEN stored.key_at END
FROM unnest(%(ids)s::uuid[], %(attempts)s::integer[], %(spent)s::integer[],
            %(retries)s::timestamptz[])
    AS absent (id, attempts, spent, retry_at)
WHERE stored.id = absent.id AND stored.attempts = absent.attempts
  AND stored.state IN ('sent', 'unknown')
"""

_SAVE_ASKED: Final = """
UPDATE rail_operation
SET leased_at = clock_timestamp(), state = CASE state WHEN 'sent' THEN 'unknown' ELSE state END
WHERE id = ANY (%(ids)s::uuid[]) AND state IN ('sent', 'unknown', 'pending')
"""

_FIND_ATTEMPTS: Final = "SELECT id, attempts FROM rail_operation WHERE id = ANY (%(ids)s::uuid[])"

_LIST_UNRESOLVED: Final = f"""
SELECT {_OPERATION}, attempts, key_at, sent_at FROM rail_operation
WHERE state IN ('sent', 'unknown', 'pending') AND rail = %(rail)s
  AND (state = 'unknown' OR leased_at < %(older_than)s)
ORDER BY leased_at, intent_no LIMIT %(limit)s
"""

_LIST_OPERATIONS: Final = f"""
SELECT {_OPERATION} FROM rail_operation WHERE id = ANY (%(ids)s::uuid[]) ORDER BY intent_no
"""

_LIST_SENT: Final = f"""
SELECT {_OPERATION} FROM rail_operation
WHERE id = ANY (%(ids)s::uuid[]) AND state IN ('sent', 'unknown', 'pending') ORDER BY intent_no
"""

_LIST_RAILS: Final = "SELECT DISTINCT rail FROM rail_operation ORDER BY rail"

_LIST_OPEN: Final = f"""
SELECT {_OPERATION} FROM rail_operation
WHERE state IN ('created', 'sent', 'unknown', 'pending') AND handler = %(handler)s
ORDER BY intent_no
"""

_BETWEEN: Final = """
SELECT place, currency, sum(amount_minor)::bigint AS amount_minor, is_coming
FROM (
    SELECT facts ->> 'target' AS place, currency, amount_minor, false AS is_coming
    FROM rail_operation WHERE kind = ANY (%(kinds)s) AND state = 'done' AND rail <> ALL (%(banks)s)
    UNION ALL
    SELECT facts ->> 'source', currency, -amount_minor, false
    FROM rail_operation WHERE kind = ANY (%(kinds)s) AND state = 'done' AND rail <> ALL (%(banks)s)
    UNION ALL
    SELECT facts ->> 'source', currency, amount_minor, true
    FROM rail_operation WHERE kind = ANY (%(kinds)s) AND state = 'pending'
        AND rail <> ALL (%(banks)s) AND facts ->> 'source' = 'processor_available'
) AS moved
WHERE is_coming OR place IN ('custody_bank', 'platform_bank')
GROUP BY place, currency, is_coming ORDER BY place, currency, is_coming
"""

_FIND_POSITION: Final = "SELECT position FROM rail_cursor WHERE rail = %(rail)s"

_SAVE_POSITION: Final = """
INSERT INTO rail_cursor (rail, position) VALUES (%(rail)s, %(position)s)
ON CONFLICT (rail) DO UPDATE SET position = excluded.position
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """An operation under its lock, with what we know of it so far."""

    handler: str
    kind: OperationKind
    subject: str
    amount_minor: int
    currency: str
    standing: Standing
    rail_ref: str


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An operation whose outcome is open; `attempts` tells this sending from a later one.

    `key_at` is when its key was first taken to be given to the rail, `sent_at` when last.
    """

    operation: RailOperation
    attempts: int
    key_at: datetime
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class Unsent:
    """An operation to be sent again, with its key or (`key_is_spent`) with the next one."""

    operation_id: UUID
    attempts: int
    key_is_spent: bool = False
    retry_at: datetime | None = None


def add_operations(
    connection: Connection, operations: Sequence[RailOperation], at: datetime
) -> None:
    """Write intents, in their order; the database refuses an id that is there already."""
    columns = {
        "ids": [operation.id for operation in operations],
        "kinds": [operation.kind.value for operation in operations],
        "handlers": [operation.handler for operation in operations],
        "subjects": [operation.subject for operation in operations],
        "amounts": [operation.amount_minor for operation in operations],
        "currencies": [operation.currency for operation in operations],
        "methods": [operation.method for operation in operations],
        "facts": [json.dumps(dict(operation.facts)) for operation in operations],
        "rails": [operation.rail for operation in operations],
    }
    connection.exec_driver_sql(_ADD, {**columns, "at": at})


def take_operations(
    connection: Connection, limit: int, at: datetime, *, rail: str
) -> list[RailOperation]:
    """Mark a rail's oldest intents sent and give them, in the order in which they were written."""
    arguments = {"limit": limit, "at": at, "rail": rail}
    rows = connection.exec_driver_sql(_TAKE, arguments).mappings().all()
    return [_operation(row) for row in sorted(rows, key=lambda row: int(row["intent_no"]))]


def withdraw_operations(connection: Connection, ids: Sequence[UUID]) -> int:
    """Withdraw those of the operations that no rail was told of; how many."""
    return connection.exec_driver_sql(_WITHDRAW, {"ids": list(ids)}).rowcount


def lock_operations(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Locked]:
    """Lock operations in id order; an id that is not ours is left out."""
    rows = connection.exec_driver_sql(_LOCK, {"ids": list(ids)}).mappings()
    return {
        row["id"]: Locked(
            row["handler"],
            OperationKind(row["kind"]),
            row["subject"],
            row["amount_minor"],
            row["currency"],
            Standing(
                OperationState(row["state"]), cleared=row["cleared"], has_left=row["has_left"]
            ),
            row["rail_ref"],
        )
        for row in rows
    }


def save_results(connection: Connection, results: Sequence[RailResult]) -> None:
    """Move operations on to what the rail said; Broken if one of them is not there."""
    moved = connection.exec_driver_sql(
        _SAVE_RESULTS,
        {
            "ids": [result.operation_id for result in results],
            "states": [result.outcome.value for result in results],
            "fees": [result.fee_minor for result in results],
            "refs": [result.rail_ref for result in results],
            "codes": [result.code for result in results],
            "cleared": [_is_final(result) for result in results],
            "times": [result.occurred_at for result in results],
            "left": [result.has_left for result in results],
            "transactions": [result.transaction_ref for result in results],
        },
    )
    if moved.rowcount != len(results):
        raise Broken("an operation was lost under its lock", results=len(results))


def save_unknown(connection: Connection, ids: Sequence[UUID]) -> int:
    """Mark operations whose reply was lost; how many were still waiting for it."""
    return connection.exec_driver_sql(_SAVE_UNKNOWN, {"ids": list(ids)}).rowcount


def save_unsent(connection: Connection, absent: Sequence[Unsent]) -> int:
    """Put operations that the rail never saw back to be sent, unless someone sent them since."""
    columns = {
        "ids": [row.operation_id for row in absent],
        "attempts": [row.attempts for row in absent],
        "spent": [int(row.key_is_spent) for row in absent],
        "retries": [row.retry_at for row in absent],
    }
    return connection.exec_driver_sql(_SAVE_UNSENT, columns).rowcount


def find_attempts(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, int]:
    """How often each operation was sent by now."""
    rows = connection.exec_driver_sql(_FIND_ATTEMPTS, {"ids": list(ids)})
    return {row.id: row.attempts for row in rows}


def save_asked(connection: Connection, ids: Sequence[UUID]) -> None:
    """Note that the rail was asked about operations, so that others are asked about first."""
    connection.exec_driver_sql(_SAVE_ASKED, {"ids": list(ids)})


def list_unresolved(
    connection: Connection, older_than: datetime, limit: int, *, rail: str
) -> list[Unresolved]:
    """Unknown operations, and sent or pending ones untouched since `older_than` (real time)."""
    rows = connection.exec_driver_sql(
        _LIST_UNRESOLVED, {"older_than": older_than, "limit": limit, "rail": rail}
    ).mappings()
    return [
        Unresolved(_operation(row), row["attempts"], row["key_at"], row["sent_at"]) for row in rows
    ]


def list_operations(connection: Connection, ids: Sequence[UUID]) -> list[RailOperation]:
    """Operations by id, in the order in which they were written."""
    rows = connection.exec_driver_sql(_LIST_OPERATIONS, {"ids": list(ids)}).mappings()
    return [_operation(row) for row in rows]


def list_rails(connection: Connection) -> list[str]:
    """The rails that were ever asked for anything."""
    return [row.rail for row in connection.exec_driver_sql(_LIST_RAILS)]


def list_sent(connection: Connection, ids: Sequence[UUID]) -> list[RailOperation]:
    """Those operations that a rail may be at work on."""
    rows = connection.exec_driver_sql(_LIST_SENT, {"ids": list(ids)}).mappings()
    return [_operation(row) for row in rows]


def list_open(connection: Connection, handler: str) -> list[RailOperation]:
    """Operations of one handler that the rail has neither done nor refused yet."""
    rows = connection.exec_driver_sql(_LIST_OPEN, {"handler": handler}).mappings()
    return [_operation(row) for row in rows]


def list_between(connection: Connection, banks: Sequence[str]) -> list[tuple[RailBalance, bool]]:
    """What rails other than `banks` brought to our banks or took, and (True) what is coming."""
    kinds = [OperationKind.BANK_TRANSFER.value, OperationKind.TOP_UP.value]
    rows = connection.exec_driver_sql(_BETWEEN, {"kinds": kinds, "banks": list(banks)})
    return [
        (RailBalance(RailAccount(row.place), row.currency, row.amount_minor), row.is_coming)
        for row in rows
    ]


def find_position(connection: Connection, rail: str) -> str:
    """How far a rail's notices were read; empty for not at all."""
    found = connection.exec_driver_sql(_FIND_POSITION, {"rail": rail}).scalar_one_or_none()
    return str(found or "")


def save_position(connection: Connection, *, rail: str, position: str) -> None:
    """Remember how far a rail's notices were read."""
    connection.exec_driver_sql(_SAVE_POSITION, {"rail": rail, "position": position})


def _is_final(result: RailResult) -> bool:
    return result.cleared and result.outcome is RailOutcome.DONE


def _operation(row: RowMapping) -> RailOperation:
    return RailOperation(
        id=row["id"],
        kind=OperationKind(row["kind"]),
        handler=row["handler"],
        subject=row["subject"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        method=row["method"],
        facts=row["facts"],
        rail=row["rail"],
        key_no=row["key_no"],
        rail_ref=row["rail_ref"],
        created_at=row["created_at"],
    )
