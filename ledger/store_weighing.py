"""The SQL of weighing: accounts as they stand without a lock, and times that no period takes."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from kernel.database import driver
from ledger.model import AccountKey
from ledger.rules import Standing

_FIND: Final = """
SELECT code, id, balance_minor, line_count, 0, lowest_minor, highest_minor, state = 'open'
FROM account WHERE code = ANY (%s::text[])
"""

# A month that has no period yet is opened by the first post into it, if no later one is closed.
_LIST_SHUT: Final = """
SELECT n.at
FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS n (at, month)
WHERE NOT EXISTS (SELECT FROM period p WHERE p.during @> n.at AND p.state = 'open')
  AND (
    EXISTS (
        SELECT FROM period p
        WHERE p.during && tstzrange(n.month, n.month + interval '1 month')
    )
    OR EXISTS (SELECT FROM period p WHERE p.state = 'closed' AND lower(p.during) > n.month)
  )
ORDER BY n.at
"""


def find_standings(connection: Connection, keys: Collection[AccountKey]) -> dict[str, Standing]:
    """The accounts that there are, by code."""
    rows = driver(connection).execute(_FIND, (list(keys),)).fetchall()
    return {row[0]: Standing(*row) for row in rows}


def list_shut(
    connection: Connection, times: Sequence[datetime], *, months: Sequence[datetime]
) -> list[datetime]:
    """Those of the times that no open period has, and for whose month none would be opened."""
    rows = driver(connection).execute(_LIST_SHUT, (list(times), list(months)))
    return [at for (at,) in rows]
