"""Cells are written once, derived, and nothing but a faster way to the same answer."""

from collections.abc import Iterator
from hashlib import sha256

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from kernel.database import Tenant, snapshot, transaction
from kernel.embedded import EmbeddedServer
from ledger import asof, cells
from ledger.known import Known
from ledger.store_cells import TABLES
from tests.fixtures.databases import TENANT, TestDatabase
from tests.ledger.drafts import bank
from tests.ledger.journal import Journal, journal, scan_kinds

pytestmark = pytest.mark.slow

_ORDER = {
    "journal_chunk": "level, chunk",
    "journal_day": "effective_day, chunk",
    "kind_cell": "level, chunk, effective_day, kind, currency, event_kind",
    "account_cell": "account_id, level, chunk, effective_day",
}


@pytest.fixture(scope="module")
def small(server: EmbeddedServer) -> Iterator[Journal]:
    """Two chunks of the journal, and events behind them."""
    with journal(server, events=2 * cells.EVENTS_PER_CHUNK + 900, waiting=50) as made:
        yield made


def as_owner(database: TestDatabase) -> Engine:
    return create_engine(database.owner_url, poolclass=NullPool)


def enter_as_owner(connection: Connection) -> None:
    path = "SELECT set_config('search_path', %s, true)"
    connection.exec_driver_sql(path, (TENANT.search_path,))


def hashes(connection: Connection) -> dict[str, str]:
    """Every row of every table of cells, in order, as one hash a table."""
    assert set(_ORDER) == set(TABLES)
    found = {}
    for table, order in _ORDER.items():
        rows = connection.exec_driver_sql(f"SELECT t::text FROM {table} t ORDER BY {order}")
        found[table] = sha256("\n".join(row for (row,) in rows).encode()).hexdigest()
    return found


def count(connection: Connection, table: str) -> int:
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def test_cells_rebuilt_are_the_same_byte_for_byte(server: EmbeddedServer) -> None:
    """Statement 15: two levels, written by rounds of the sealer of any size, then dropped."""
    told: list[tuple[int, int]] = []
    with (
        journal(server, events=16 * cells.EVENTS_PER_CHUNK + 10, seed=3) as made,
        as_owner(made.database).begin() as connection,
    ):
        enter_as_owner(connection)
        before = hashes(connection)
        rows = {table: count(connection, table) for table in TABLES}

        cells.rebuild(connection, lambda done, total: told.append((done, total)))

        assert hashes(connection) == before
        assert {table: count(connection, table) for table in TABLES} == rows
        highest = [
            connection.exec_driver_sql(f"SELECT max(level) FROM {table}").scalar_one()
            for table in ("journal_chunk", "kind_cell", "account_cell")
        ]
        assert highest == [1, 1, 1]
    total = 16 * cells.EVENTS_PER_CHUNK
    assert told == [(n * cells.EVENTS_PER_CHUNK, total) for n in range(1, 17)]


def test_two_ways_of_sealing_leave_the_same_cells(server: EmbeddedServer, small: Journal) -> None:
    """The same postings sealed at one time or another: the chunk is one of the journal."""
    with journal(server, events=small.size, waiting=50, is_sealed_late=True) as other:
        found = []
        for made in (small, other):
            with snapshot(made.engine, TENANT) as connection:
                found.append(hashes(connection))

    assert found[0] == found[1]


def test_only_accounts_of_more_than_a_chunk_have_cells(small: Journal) -> None:
    """An account of fewer lines is read line by line and costs no row."""
    cellular = """
    SELECT a.code, a.line_count / 1024, (
        SELECT count(DISTINCT chunk) FROM account_cell WHERE account_id = a.id AND level = 0
    ) FROM account a
    """
    with snapshot(small.engine, TENANT) as connection:
        rows = connection.exec_driver_sql(cellular).all()

    assert any(chunks for _, _, chunks in rows)
    for code, filled, chunks in rows:
        assert chunks <= filled
        assert chunks >= filled - 1 or code == bank().code


def test_cells_of_a_level_sum_to_the_lines_that_they_cover(small: Journal) -> None:
    """Debits, credits and counts of level 0 are those of the first chunks of the journal."""
    sums = """
    SELECT kind, currency, event_kind, sum(line_count)::bigint, sum(debit_minor), sum(credit_minor)
    FROM kind_cell WHERE level = 0 GROUP BY kind, currency, event_kind
    ORDER BY kind, currency, event_kind
    """
    covered = Known(2 * cells.EVENTS_PER_CHUNK, provisional=False)

    with snapshot(small.engine, TENANT) as connection:
        found = [tuple(row) for row in connection.exec_driver_sql(sums)]

        assert found == scan_kinds(connection, covered, None)


def test_without_cells_the_answers_are_the_same(small: Journal) -> None:
    """Cells are no source: dropped, everything is read line by line."""
    known = Known(small.size, provisional=False)
    with as_owner(small.database).connect() as connection, connection.begin() as running:
        enter_as_owner(connection)
        before = asof.kind_turnovers(connection, effective_at=None, known=known)
        for table in TABLES:
            connection.exec_driver_sql(f"DELETE FROM {table}")

        assert asof.kind_turnovers(connection, effective_at=None, known=known) == before

        cells.write(connection, small.size, small.size)

        assert count(connection, "journal_chunk") == 2
        running.rollback()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("act", ["UPDATE {} SET chunk = 0", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_tenants_role_cannot_change_cells(small: Journal, table: str, act: str) -> None:
    """The tenant's role adds cells when it seals; it may not change or drop them."""
    with (
        transaction(small.engine, TENANT) as connection,
        pytest.raises(DBAPIError, match="permission denied"),
        connection.begin_nested(),
    ):
        connection.exec_driver_sql(act.format(table))


def test_a_cell_is_written_once(small: Journal, tenant: Tenant) -> None:
    """The same chunk again is refused by the primary key, whoever writes it."""
    again = "INSERT INTO journal_chunk SELECT * FROM journal_chunk WHERE chunk = 0"
    with (
        transaction(small.engine, tenant) as connection,
        pytest.raises(DBAPIError, match="journal_chunk_written_once"),
        connection.begin_nested(),
    ):
        connection.exec_driver_sql(again)
