"""SQL of an import: what the tenant holds already, periods, states, and numbers that go on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from sqlalchemy import Connection

from kernel.database import driver
from kernel.errors import Broken, Refusal

_COUNT: Final = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM account)"

_OPEN_PERIODS: Final = """
INSERT INTO period (during)
SELECT tstzrange(n.first, n.until)
FROM unnest(%s::timestamptz[], %s::timestamptz[]) AS n (first, until)
WHERE NOT EXISTS (SELECT FROM period p WHERE p.during = tstzrange(n.first, n.until))
ORDER BY n.first
"""

_SAVE_STATES: Final = """
UPDATE account a SET state = n.state
FROM unnest(%s::text[], %s::text[]) AS n (code, state)
WHERE a.code = n.code AND a.state <> n.state
"""


def count_books(connection: Connection) -> tuple[int, int]:
    """How many events and accounts there are."""
    row = driver(connection).execute(_COUNT).fetchone()
    if row is None:
        raise Broken("a SELECT without FROM answered no row")
    return row[0], row[1]


def find_imported(connection: Connection) -> tuple[int, bytes] | None:
    """Size and root of the export that these books come from; None where they come from none."""
    row = driver(connection).execute("SELECT size, root FROM imported").fetchone()
    return None if row is None else (row[0], bytes(row[1]))


def add_imported(connection: Connection, size: int, root: bytes) -> None:
    """Say what these books will come from, before the first of them."""
    driver(connection).execute("INSERT INTO imported (size, root) VALUES (%s, %s)", (size, root))


def open_periods(connection: Connection, spans: Sequence[tuple[str, str]]) -> None:
    """Have an open period for each of these spans; one that is there stays as it is."""
    first, until = [span[0] for span in spans], [span[1] for span in spans]
    driver(connection).execute(_OPEN_PERIODS, (first, until))


def save_states(connection: Connection, states: Mapping[str, str]) -> None:
    """Freeze or close accounts, by their names."""
    driver(connection).execute(_SAVE_STATES, (list(states), list(states.values())))


def go_on_with_numbers(connection: Connection) -> None:
    """The next batch gets a number behind all that are there."""
    driver(connection).execute("SELECT batches_go_on()")


def check_now(connection: Connection) -> None:
    """Have all that is checked at the commit checked now."""
    driver(connection).execute("SET CONSTRAINTS ALL IMMEDIATE")


@contextmanager
def told_why(refusal: type[Refusal]) -> Iterator[None]:
    """Turn what a guard or a CHECK says into a refusal; the transaction is lost."""
    try:
        yield
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as trouble:
        raise refusal(why=trouble.diag.message_primary or "") from trouble
    except psycopg.DatabaseError as trouble:
        if not (trouble.sqlstate or "").startswith("HF"):
            raise
        raise refusal(why=trouble.diag.message_primary or "") from trouble
