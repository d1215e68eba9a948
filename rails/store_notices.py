"""All SQL of the inbox of notices. Arrays in, frozen dataclasses out."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, RowMapping

from rails.model import Notice, RailOutcome

_NOTICE: Final = """rail, notice_id, kind, rail_ref, operation_id, outcome, amount_minor, currency,
    fee_minor, code, cleared, occurred_at, facts, has_left, transaction_ref"""

_ADD_NOTICES: Final = f"""
INSERT INTO notice ({_NOTICE}, state, tries, received_at)
SELECT {_NOTICE}, 'applied', 1, %(at)s
FROM unnest(%(rails)s::text[], %(notice_ids)s::text[], %(kinds)s::text[], %(rail_refs)s::text[],
            %(operation_ids)s::uuid[], %(outcomes)s::text[], %(amounts)s::bigint[],
            %(currencies)s::text[], %(fees)s::bigint[], %(codes)s::text[], %(cleared)s::boolean[],
            %(times)s::timestamptz[], %(facts)s::jsonb[], %(left)s::boolean[],
            %(transactions)s::text[]) AS heard ({_NOTICE})
ORDER BY rail, notice_id
ON CONFLICT ON CONSTRAINT notice_is_heard_once DO NOTHING
RETURNING rail, notice_id
"""

_SAVE_NOTICES: Final = """
UPDATE notice SET state = %(state)s, trouble = %(trouble)s, retry_at = %(retry_at)s,
    tries = tries + %(more)s
WHERE (rail, notice_id) IN (SELECT * FROM unnest(%(rails)s::text[], %(notice_ids)s::text[]))
"""

_LOCK_PARKED: Final = f"""
SELECT {_NOTICE}, tries FROM notice WHERE state = 'parked' AND retry_at <= %(at)s
ORDER BY retry_at, rail, notice_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

_LIST_EXCEPTIONS: Final = f"""
SELECT {_NOTICE}, trouble FROM notice WHERE state = 'exception'
ORDER BY received_at, rail, notice_id LIMIT %(limit)s
"""


def add_notices(
    connection: Connection, notices: Sequence[Notice], at: datetime
) -> set[tuple[str, str]]:
    """Keep notices; the keys (rail, notice id) of those never seen before."""
    columns = {
        "rails": [notice.rail for notice in notices],
        "notice_ids": [notice.notice_id for notice in notices],
        "kinds": [notice.kind for notice in notices],
        "rail_refs": [notice.rail_ref for notice in notices],
        "operation_ids": [notice.operation_id for notice in notices],
        "outcomes": [notice.outcome and notice.outcome.value for notice in notices],
        "amounts": [notice.amount_minor for notice in notices],
        "currencies": [notice.currency for notice in notices],
        "fees": [notice.fee_minor for notice in notices],
        "codes": [notice.code for notice in notices],
        "cleared": [notice.cleared for notice in notices],
        "times": [notice.occurred_at for notice in notices],
        "facts": [json.dumps(dict(notice.facts)) for notice in notices],
        "left": [notice.has_left for notice in notices],
        "transactions": [notice.transaction_ref for notice in notices],
    }
    rows = connection.exec_driver_sql(_ADD_NOTICES, {**columns, "at": at})
    return {(row.rail, row.notice_id) for row in rows}


def save_notices(
    connection: Connection,
    notices: Sequence[Notice],
    *,
    state: str,
    trouble: str = "",
    retry_at: datetime | None = None,
    more_tries: int = 0,
) -> None:
    """Move notices to a state of the inbox: applied, parked until `retry_at`, or exception."""
    columns = {
        "rails": [notice.rail for notice in notices],
        "notice_ids": [notice.notice_id for notice in notices],
        "state": state,
        "trouble": trouble,
        "retry_at": retry_at,
        "more": more_tries,
    }
    connection.exec_driver_sql(_SAVE_NOTICES, columns)


def lock_parked(connection: Connection, at: datetime, limit: int) -> list[tuple[Notice, int]]:
    """Parked notices whose time has come, each with the number of times it was tried."""
    rows = connection.exec_driver_sql(_LOCK_PARKED, {"at": at, "limit": limit}).mappings()
    return [(_notice(row), row["tries"]) for row in rows]


def list_exceptions(connection: Connection, limit: int) -> list[tuple[Notice, str]]:
    """Notices that someone must look at, oldest first, each with what was wrong."""
    rows = connection.exec_driver_sql(_LIST_EXCEPTIONS, {"limit": limit}).mappings()
    return [(_notice(row), row["trouble"]) for row in rows]


def _notice(row: RowMapping) -> Notice:
    return Notice(
        rail=row["rail"],
        notice_id=row["notice_id"],
        kind=row["kind"],
        rail_ref=row["rail_ref"],
        operation_id=row["operation_id"],
        outcome=RailOutcome(row["outcome"]) if row["outcome"] else None,
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        fee_minor=row["fee_minor"],
        code=row["code"],
        cleared=row["cleared"],
        occurred_at=row["occurred_at"],
        facts=row["facts"],
        has_left=row["has_left"],
        transaction_ref=row["transaction_ref"],
    )
