"""All SQL of the rails' own statements. Arrays in, frozen dataclasses out."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping

from kernel.errors import Broken
from rails.model_events import RailTransaction, TransactionKind
from rails.model_kept import FoundTransaction, TransactionMove

_FIELDS: Final = """rail, account, transaction_ref, kind, rail_kind, category, amount_minor,
    fee_minor, currency, source_ref, operation_id, occurred_at, available_at, rate_text, facts"""

_SHOWN: Final = """t.seen_no, t.rail, t.account, t.transaction_ref, t.kind, t.rail_kind,
    t.category, t.amount_minor, t.fee_minor, t.currency, t.source_ref, t.operation_id,
    t.occurred_at, t.available_at, t.rate_text, t.facts"""

_ADD: Final = f"""
INSERT INTO rail_transaction ({_FIELDS}, received_at)
SELECT {_FIELDS}, %(at)s
FROM unnest(%(rails)s::text[], %(accounts)s::text[], %(refs)s::text[], %(kinds)s::text[],
            %(rail_kinds)s::text[], %(categories)s::text[], %(amounts)s::bigint[],
            %(fees)s::bigint[], %(currencies)s::text[], %(sources)s::text[],
            %(operations)s::uuid[], %(times)s::timestamptz[], %(available)s::timestamptz[],
            %(rates)s::text[], %(facts)s::jsonb[]) WITH ORDINALITY AS listed ({_FIELDS}, ordinal)
ORDER BY ordinal
ON CONFLICT ON CONSTRAINT rail_transaction_is_kept_once DO NOTHING
"""

_HAS_WORK: Final = """
SELECT EXISTS (SELECT FROM rail_transaction WHERE rail = %(rail)s AND state = 'open')
    OR EXISTS (SELECT FROM rail_transaction WHERE rail = %(rail)s AND state <> 'open'
                   AND became_available_at IS NULL AND available_at <= %(at)s)
"""

# An operation is booked once its end is stored, in that very transaction; a payout when it left.
_LOCK_EXPLAINED: Final = f"""
SELECT {_SHOWN}, o.id AS explaining_id, o.fee_minor AS booked_fee_minor
FROM rail_transaction t
CROSS JOIN LATERAL (
    SELECT id, CASE state WHEN 'done' THEN fee_minor END AS fee_minor FROM rail_operation
    WHERE rail = t.rail AND kind <> 'payee' AND (state IN ('done', 'refused') OR has_left)
      AND ((transaction_ref <> '' AND transaction_ref = t.transaction_ref)
           OR id = t.operation_id
           OR (rail_ref <> '' AND rail_ref = t.source_ref))
    ORDER BY transaction_ref = t.transaction_ref DESC, id = t.operation_id DESC NULLS LAST, id
    LIMIT 1
) o
WHERE t.rail = %(rail)s AND t.state = 'open' AND t.kind NOT IN (
    'fee', 'reserve', 'reserve_back', 'other', 'chargeback', 'chargeback_back')
ORDER BY t.seen_no LIMIT %(limit)s FOR UPDATE OF t SKIP LOCKED
"""

_LOCK_CHARGEBACKS: Final = f"""
SELECT {_SHOWN}, n.notice_id
FROM rail_transaction t
JOIN notice n ON n.rail = t.rail AND n.kind = 'chargeback_funds'
    AND n.facts ->> 'movement' = t.transaction_ref AND n.state = 'applied'
WHERE t.rail = %(rail)s AND t.state = 'open'
ORDER BY t.seen_no LIMIT %(limit)s FOR UPDATE OF t SKIP LOCKED
"""

_LOCK_OWN: Final = f"""
SELECT {_SHOWN} FROM rail_transaction t
WHERE t.rail = %(rail)s AND t.state = 'open' AND t.kind IN ('fee', 'reserve', 'reserve_back')
ORDER BY t.seen_no LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

_LOCK_DUE: Final = f"""
SELECT {_SHOWN} FROM rail_transaction t
WHERE t.rail = %(rail)s AND t.state <> 'open' AND t.became_available_at IS NULL
  AND t.available_at <= %(at)s
ORDER BY t.seen_no LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

_SAVE: Final = """
UPDATE rail_transaction AS stored
SET state = moved.state, explained_by = moved.explained_by,
    event_id = coalesce(moved.event_id, stored.event_id),
    pending_event_id = coalesce(moved.pending_event_id, stored.pending_event_id),
    available_event_id = coalesce(moved.available_event_id, stored.available_event_id),
    became_available_at = coalesce(moved.became_available_at, stored.became_available_at)
FROM unnest(%(numbers)s::bigint[], %(states)s::text[], %(explained)s::text[],
            %(events)s::bigint[], %(pending)s::bigint[], %(available)s::bigint[],
            %(times)s::timestamptz[])
    AS moved (seen_no, state, explained_by, event_id, pending_event_id, available_event_id,
              became_available_at)
WHERE stored.seen_no = moved.seen_no AND stored.state = 'open'
"""

_SAVE_AVAILABLE: Final = """
UPDATE rail_transaction AS stored
SET available_event_id = moved.event_id, became_available_at = %(at)s
FROM unnest(%(numbers)s::bigint[], %(events)s::bigint[]) AS moved (seen_no, event_id)
WHERE stored.seen_no = moved.seen_no AND stored.became_available_at IS NULL
"""


def add_transactions(
    connection: Connection, transactions: Sequence[RailTransaction], at: datetime
) -> int:
    """Keep lines of a statement; how many were never listed before."""
    columns = {
        "rails": [each.rail for each in transactions],
        "accounts": [each.account for each in transactions],
        "refs": [each.transaction_ref for each in transactions],
        "kinds": [each.kind.value for each in transactions],
        "rail_kinds": [each.rail_kind for each in transactions],
        "categories": [each.category for each in transactions],
        "amounts": [each.amount_minor for each in transactions],
        "fees": [each.fee_minor for each in transactions],
        "currencies": [each.currency for each in transactions],
        "sources": [each.source_ref for each in transactions],
        "operations": [each.operation_id for each in transactions],
        "times": [each.occurred_at for each in transactions],
        "available": [each.available_at for each in transactions],
        "rates": [each.rate_text for each in transactions],
        "facts": [json.dumps(dict(each.facts)) for each in transactions],
    }
    return connection.exec_driver_sql(_ADD, {**columns, "at": at}).rowcount


def has_work(connection: Connection, rail: str, at: datetime) -> bool:
    """Whether a line of a rail's statement may have to be booked by now."""
    found = connection.exec_driver_sql(_HAS_WORK, {"rail": rail, "at": at})
    return bool(found.scalar_one())


def lock_explained(connection: Connection, rail: str, limit: int) -> list[FoundTransaction]:
    """Open lines that belong to an operation whose end is booked."""
    arguments = {"rail": rail, "limit": limit}
    return [
        _found(
            row,
            explained_by=f"operation:{row['explaining_id']}",
            booked_fee_minor=row["booked_fee_minor"],
        )
        for row in connection.exec_driver_sql(_LOCK_EXPLAINED, arguments).mappings()
    ]


def lock_chargebacks(connection: Connection, rail: str, limit: int) -> list[FoundTransaction]:
    """Open lines that a chargeback's own movement has booked."""
    arguments = {"rail": rail, "limit": limit}
    return [
        _found(row, explained_by=f"notice:{row['notice_id']}")
        for row in connection.exec_driver_sql(_LOCK_CHARGEBACKS, arguments).mappings()
    ]


def lock_own(connection: Connection, rail: str, limit: int) -> list[FoundTransaction]:
    """Open lines that belong to nothing of ours and say themselves what they are."""
    arguments = {"rail": rail, "limit": limit}
    return [_found(row) for row in connection.exec_driver_sql(_LOCK_OWN, arguments).mappings()]


def lock_due(connection: Connection, rail: str, at: datetime, limit: int) -> list[FoundTransaction]:
    """Booked lines whose money has become available and is not booked so."""
    arguments = {"rail": rail, "at": at, "limit": limit}
    return [_found(row) for row in connection.exec_driver_sql(_LOCK_DUE, arguments).mappings()]


def save_moves(connection: Connection, moves: Sequence[TransactionMove]) -> None:
    """Say how open lines are booked; Broken if one was not open under its lock."""
    columns = {
        "numbers": [move.seen_no for move in moves],
        "states": [move.state for move in moves],
        "explained": [move.explained_by for move in moves],
        "events": [move.event_id for move in moves],
        "pending": [move.pending_event_id for move in moves],
        "available": [move.available_event_id for move in moves],
        "times": [move.became_available_at for move in moves],
    }
    if connection.exec_driver_sql(_SAVE, columns).rowcount != len(moves):
        raise Broken("a line of a statement moved under its lock", moves=len(moves))


def save_available(
    connection: Connection, events: Sequence[tuple[int, int | None]], at: datetime
) -> None:
    """Say by which events the money of lines became available; None: it was all along."""
    columns = {"numbers": [number for number, _ in events], "events": [id_ for _, id_ in events]}
    saved = connection.exec_driver_sql(_SAVE_AVAILABLE, {**columns, "at": at})
    if saved.rowcount != len(events):
        raise Broken("a line of a statement moved under its lock", lines=len(events))


def _found(
    row: RowMapping, *, explained_by: str = "", booked_fee_minor: int | None = None
) -> FoundTransaction:
    return FoundTransaction(
        seen_no=row["seen_no"],
        transaction=RailTransaction(
            rail=row["rail"],
            account=row["account"],
            transaction_ref=row["transaction_ref"],
            kind=TransactionKind(row["kind"]),
            rail_kind=row["rail_kind"],
            category=row["category"],
            amount_minor=row["amount_minor"],
            fee_minor=row["fee_minor"],
            currency=row["currency"],
            source_ref=row["source_ref"],
            operation_id=row["operation_id"],
            occurred_at=row["occurred_at"],
            available_at=row["available_at"],
            rate_text=row["rate_text"],
            facts=row["facts"],
        ),
        explained_by=explained_by,
        booked_fee_minor=booked_fee_minor,
    )
