"""SQL around the journal-entry tests: how many rows each finds, and the first of them."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection

from kernel.database import driver

# psql writes :'name' for a value of the caller; casts (::numeric) have two colons.
_VALUE: Final = re.compile(r"(?<!:):'(\w+)'")


# Each value read as what it stands for: on empty books no test would come to look at it.
_CHECK: Final = """
SELECT %(since)s::timestamptz, %(until)s::timestamptz, now() AT TIME ZONE %(zone)s,
       date_trunc(%(same_within)s, now()), 1 %% %(round_units)s::numeric,
       %(night_from)s::int, %(night_until)s::int, %(few_entries)s::bigint, %(few_uses)s::bigint,
       %(few_pairs)s::bigint, %(late_days)s::numeric * interval '1 day',
       %(quick_minutes)s::numeric * interval '1 minute', %(limit_units)s::numeric,
       %(margin_bps)s::numeric
"""


class Found(NamedTuple):
    """One row that a test found: a sentence, and where it stands; None where nowhere."""

    finding: str
    journal_no: int | None
    event_id: int | None


def check_values(connection: Connection, given: Mapping[str, str]) -> None:
    """Raise psycopg.DataError where a value cannot be read as what it stands for."""
    driver(connection).execute(_CHECK, given)


def list_found(
    connection: Connection, query: str, given: Mapping[str, str], *, limit: int
) -> tuple[int, list[Found]]:
    """How many rows a query of `ledger/sql/entry_tests.sql` finds, and the first `limit` of them.

    `given` are the values of its names, as texts. The server counts; we hold `limit` rows.
    """
    named = _VALUE.sub(r"%(\1)s::text", query.replace("%", "%%").rstrip().rstrip(";"))
    rows = (
        driver(connection)
        .execute(
            f"SELECT f.finding, f.journal_no, f.event_id, count(*) OVER () FROM ({named}) f"
            " LIMIT %(rows_shown)s".encode(),
            {**given, "rows_shown": limit},
        )
        .fetchall()
    )
    return (rows[0][3] if rows else 0), [Found(*row[:3]) for row in rows]
