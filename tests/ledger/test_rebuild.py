"""Everything derived comes out of the lines again, byte for byte; what does not is named."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from kernel.database import Tenant, connect, snapshot, transaction
from kernel.embedded import EmbeddedServer
from ledger import rebuild, seal
from ledger.rebuild import Derived
from ledger.service import post
from ledger.store_cells import TABLES
from tests.fixtures.databases import TestDatabase, cloned_database
from tests.ledger.drafts import NOON, fund, wallet

EVENTS = 4_500


@pytest.fixture(scope="module")
def filled(server: EmbeddedServer, tenant: Tenant) -> Iterator[TestDatabase]:
    """Books with a whole chunk of the journal and whole chunks of one account, back-dated too."""
    with ExitStack() as stack:
        database = stack.enter_context(cloned_database(server))
        engine = connect(database.app_url)
        stack.callback(engine.dispose)
        for half in range(2):
            with transaction(engine, tenant) as connection:
                days = [NOON - timedelta(days=n * 7 % 90) for n in range(EVENTS // 2)]
                post(
                    connection,
                    [fund(1 + n, wallet(f"w{n % 3}"), at=at) for n, at in enumerate(days)],
                )
            with transaction(engine, tenant) as connection:
                assert seal.seal(connection, at=datetime.now(UTC)).event_count, half
        yield database


@pytest.fixture
def owner(filled: TestDatabase) -> Iterator[Connection]:
    """A transaction of the owner of the tables; rolled back."""
    engine = create_engine(filled.owner_url, poolclass=NullPool)
    with engine.connect() as connection, connection.begin() as running:
        yield connection
        running.rollback()


@pytest.fixture
def dba(filled: TestDatabase, tenant: Tenant) -> Iterator[Connection]:
    """A superuser whom no trigger stops; rolled back."""
    engine = create_engine(filled.admin_url, poolclass=NullPool)
    with engine.connect() as connection, connection.begin() as running:
        connection.exec_driver_sql(
            "SELECT set_config('search_path', %s, true),"
            " set_config('session_replication_role', 'replica', true)",
            (tenant.schema,),
        )
        yield connection
        running.rollback()


def quiet(what: str, done: int, total: int) -> None:
    assert what
    assert 0 <= done <= total


def by_table(derived: list[Derived]) -> dict[str, Derived]:
    return {each.table: each for each in derived}


def test_a_rebuild_of_sound_tables_changes_no_byte(owner: Connection, tenant: Tenant) -> None:
    """Statement 15: written anew, the sums are the same bytes."""
    derived = rebuild.rebuild(owner, tenant, quiet)

    assert [each.table for each in derived] == list(TABLES)
    assert all(each.is_identical for each in derived)
    assert all(each.is_now.rows for each in derived)


def test_dropped_tables_come_back_byte_for_byte(owner: Connection, tenant: Tenant) -> None:
    """Statement 15: with every sum gone, the lines alone give the same tables again."""
    before = by_table(rebuild.rebuild(owner, tenant, quiet))
    for table in TABLES:
        owner.exec_driver_sql(f"DELETE FROM {table}")

    derived = by_table(rebuild.rebuild(owner, tenant, quiet))

    assert {table: each.is_now for table, each in derived.items()} == {
        table: each.is_now for table, each in before.items()
    }
    assert all(each.was.rows == 0 for each in derived.values())
    assert not any(each.is_identical for each in derived.values())


@pytest.mark.parametrize("table", [t for t in TABLES if t != "journal_chunk"])
def test_a_sum_that_was_altered_is_found_and_mended(
    dba: Connection, tenant: Tenant, table: str
) -> None:
    """One row less, and the table is not what the lines give; then it is again."""
    dba.exec_driver_sql(f"DELETE FROM {table} WHERE ctid = (SELECT min(ctid) FROM {table})")

    first = by_table(rebuild.rebuild(dba, tenant, quiet))
    second = by_table(rebuild.rebuild(dba, tenant, quiet))

    assert [name for name, each in first.items() if not each.is_identical] == [table]
    assert all(each.is_identical for each in second.values())
    assert second[table].is_now == first[table].is_now


@pytest.mark.parametrize("pieces", [200_000, 1_000])
def test_accounts_and_tree_are_what_their_lines_and_leaves_give(
    filled: TestDatabase, tenant: Tenant, pieces: int
) -> None:
    """In one range or in many: the same digest from both sides."""
    engine = connect(filled.app_url)
    with snapshot(engine, tenant) as connection:
        derived = by_table(rebuild.compare(connection, quiet, pieces=pieces))
    engine.dispose()

    assert set(derived) == {"account", "tree_node"}
    assert all(each.is_identical for each in derived.values())
    assert derived["account"].is_now.rows == 4
    assert derived["tree_node"].is_now.rows == EVENTS // 256


@pytest.mark.parametrize(
    ("fault", "table"),
    [
        ("UPDATE account SET balance_minor = balance_minor - 1 WHERE subject = 'w0'", "account"),
        ("UPDATE account SET line_count = line_count + 1 WHERE subject = 'w0'", "account"),
        ("UPDATE account SET newest_recorded_at = now() WHERE subject = 'w0'", "account"),
        ("UPDATE tree_node SET hash = sha256(hash) WHERE position = 3", "tree_node"),
        ("DELETE FROM tree_node WHERE position = 3", "tree_node"),
    ],
)
def test_what_stands_otherwise_is_named(dba: Connection, fault: str, table: str) -> None:
    """A superuser's change of what is derived shows in its table alone."""
    assert dba.exec_driver_sql(fault).rowcount == 1

    derived = rebuild.compare(dba, quiet)

    assert [each.table for each in derived if not each.is_identical] == [table]


def test_the_tenants_role_cannot_rebuild(filled: TestDatabase, tenant: Tenant) -> None:
    """Whoever posts may not drop what auditors read."""
    engine: Engine = connect(filled.app_url)

    with pytest.raises(Exception, match="permission denied"):  # noqa: SIM117  one refusal
        with transaction(engine, tenant) as connection:
            rebuild.rebuild(connection, tenant, quiet)

    engine.dispose()
