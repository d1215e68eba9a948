"""SQL of a rebuild: digests of derived tables, and what accounts come to by their lines."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from sqlalchemy import Connection

from kernel.database import Tenant, driver
from ledger.store_proof import Span

_STANDS: Final = """
SELECT id, balance_minor, line_count, newest_recorded_at FROM account
WHERE id BETWEEN {first} AND {last} ORDER BY id
"""
_RECOUNTED: Final = """
SELECT a.id, coalesce(n.total, 0), coalesce(n.lines, 0), coalesce(n.newest, '-infinity')
FROM (SELECT id FROM account WHERE id BETWEEN {first} AND {last}) a
LEFT JOIN (
    SELECT account_id, sum(amount_minor)::bigint AS total, count(*) AS lines,
           max(recorded_at) AS newest
    FROM line WHERE account_id BETWEEN {first} AND {last} GROUP BY account_id
) n ON n.account_id = a.id
ORDER BY a.id
"""


class Digest(NamedTuple):
    """How many rows there are, and the SHA-256 of all their bytes in order."""

    rows: int
    sha256: str


class Digester:
    """Rows as COPY writes them, hashed as they come."""

    def __init__(self) -> None:
        self._rows = 0
        self._hash = sha256()

    def add(self, connection: Connection, statement: str) -> None:
        """Take in the rows of a query, in its order."""
        with driver(connection).cursor().copy(f"COPY ({statement}) TO STDOUT".encode()) as rows:
            for row in rows:
                self._hash.update(row)
                self._rows += bytes(row).count(b"\n")

    def digest(self) -> Digest:
        """What came so far."""
        return Digest(self._rows, self._hash.hexdigest())


def digest_table(connection: Connection, table: str) -> Digest:
    """The digest of one of our own tables, in the order of its columns."""
    found = Digester()
    found.add(connection, f"SELECT * FROM {table} t ORDER BY t")
    return found.digest()


def digest_accounts(
    connection: Connection, spans: Iterator[Span], told: Callable[[Span], None]
) -> tuple[Digest, Digest]:
    """Where accounts stand, and where their lines say; `told` after each range."""
    stands, recounted = Digester(), Digester()
    for span in spans:
        first, last = f"(bigint '{span.first}')", f"(bigint '{span.last}')"
        stands.add(connection, _STANDS.format(first=first, last=last))
        recounted.add(connection, _RECOUNTED.format(first=first, last=last))
        told(span)
    return stands.digest(), recounted.digest()


def look_into(connection: Connection, tenant: Tenant) -> None:
    """Let the owner of the tables see this tenant's until the transaction ends."""
    path = (tenant.search_path,)
    driver(connection).execute("SELECT set_config('search_path', %s, true)", path)


def lock_cells(connection: Connection) -> None:
    """Let no sealer write cells until the transaction ends."""
    driver(connection).execute("LOCK TABLE journal_chunk IN SHARE ROW EXCLUSIVE MODE")
