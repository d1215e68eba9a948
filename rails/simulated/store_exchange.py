"""All SQL of exchange at the simulated bank: what fills have moved."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

KIND: Final = "exchanged"

_LIST_MADE: Final = """
SELECT DISTINCT operation_id FROM simulated_rail.movement
WHERE platform = %s AND account = 'custody_bank' AND kind = %s AND operation_id = ANY (%s::uuid[])
"""
_ADD_MOVEMENTS: Final = """
INSERT INTO simulated_rail.movement
    (platform, account, currency, amount_minor, kind, operation_id, effective_at)
SELECT %s, given.account, given.currency, given.amount_minor, %s, given.id, %s
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::bigint[])
    WITH ORDINALITY AS given (id, account, currency, amount_minor, place)
ORDER BY given.place
"""


def list_made(connection: Connection, platform: str, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these fills have moved their money."""
    rows = connection.exec_driver_sql(_LIST_MADE, (platform, KIND, list(ids)))
    return {row[0] for row in rows}


def add_movements(
    connection: Connection,
    platform: str,
    rows: Sequence[tuple[UUID, str, str, int]],
    *,
    at: datetime,
) -> None:
    """Write movements (fill, account, currency, signed minor units) in one statement."""
    if not rows:
        return
    cells = [list(column) for column in zip(*rows, strict=True)]
    connection.exec_driver_sql(_ADD_MOVEMENTS, (platform, KIND, at, *cells))
