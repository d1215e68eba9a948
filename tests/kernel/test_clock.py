"""The tenant's clock: live by the database, or a sandbox that only moves forward."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from kernel import clock
from kernel.database import connect
from tests.fixtures.databases import TENANT

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

# Enough of an event to stand in the log; the guards of the books are not asked here.
AN_EVENT = """
SET LOCAL session_replication_role = replica;
INSERT INTO event SELECT (json_populate_record(NULL::event, json_build_object(
    'id', 1, 'effective_at', now(), 'recorded_at', now(), 'entry_count', 0,
    'actor_id', gen_random_uuid(), 'actor_kind', 'system', 'kind', 'test', 'subject', '',
    'reason', '', 'detail', '{}', 'leaf_hash', '\\x' || repeat('00', 32)))).*;
SET LOCAL session_replication_role = origin;
"""


def test_a_live_clock_is_the_databases(connection: Connection) -> None:
    """A new tenant lives by the database's own clock, which goes on within a transaction."""
    first, second = clock.now(connection), clock.now(connection)

    assert clock.get_mode(connection) is clock.Mode.LIVE
    assert first < second
    assert first.utcoffset() == timedelta()


def test_a_sandbox_stands_still_until_it_is_moved(connection: Connection) -> None:
    """A sandbox's time is the stored instant, and moves to where it is told."""
    clock.make_sandbox(connection, at=NOON)
    before = clock.now(connection)

    clock.advance(connection, to=NOON + timedelta(days=30))

    assert before == NOON
    assert clock.now(connection) == NOON + timedelta(days=30)
    assert clock.get_mode(connection) is clock.Mode.SANDBOX


def test_moving_to_the_same_instant_is_no_mistake(connection: Connection) -> None:
    """Whoever repeats an advance gets the same time and no refusal."""
    clock.make_sandbox(connection, at=NOON)

    assert clock.advance(connection, to=NOON) == NOON


def test_a_live_clock_cannot_be_moved(connection: Connection) -> None:
    """Advancing a live tenant is refused (clock.not_sandbox) and nothing is written."""
    with pytest.raises(clock.NotSandbox):
        clock.advance(connection, to=NOON)

    assert clock.get_mode(connection) is clock.Mode.LIVE


def test_a_sandbox_never_goes_backwards(connection: Connection) -> None:
    """An earlier instant is refused (clock.backwards), by advance and by making it twice."""
    clock.make_sandbox(connection, at=NOON)

    with pytest.raises(clock.Backwards):
        clock.advance(connection, to=NOON - timedelta(microseconds=1))
    with pytest.raises(clock.Backwards):
        clock.make_sandbox(connection, at=NOON - timedelta(microseconds=1))

    assert clock.now(connection) == NOON


@pytest.mark.parametrize("login", ["connection", "owner_connection"])
@pytest.mark.parametrize(
    ("statement", "rule"),
    [
        ("UPDATE clock SET sandbox_at = sandbox_at - interval '1 us'", "clock_only_moves_forward"),
        ("UPDATE clock SET mode = 'live', sandbox_at = NULL", "clock_sandbox_stays"),
        ("UPDATE clock SET sandbox_at = NULL", "clock_sandbox_has_an_instant"),
        ("UPDATE clock SET sandbox_at = '2300-01-01Z'", "clock_sandbox_at_sane"),
        ("DELETE FROM clock", "clock_has_one_row"),
        ("INSERT INTO clock (mode) VALUES ('live')", "clock_has_one_row"),
        ("TRUNCATE clock", "clock_has_one_row"),
    ],
)
def test_the_database_holds_the_clock(
    request: pytest.FixtureRequest, login: str, statement: str, rule: str
) -> None:
    """Neither the program nor the owner can turn a sandbox back, make it live or take it away."""
    connection: Connection = request.getfixturevalue(login)
    clock.make_sandbox(connection, at=NOON)

    with pytest.raises(DBAPIError) as refused, connection.begin_nested():
        connection.exec_driver_sql(statement)

    is_without_the_right = "permission denied" in str(refused.value)
    assert is_without_the_right or rule in _constraint(refused.value)
    assert not (is_without_the_right and login == "owner_connection")
    assert clock.now(connection) == NOON


def test_a_tenant_with_events_keeps_its_live_clock(admin_connection: Connection) -> None:
    """Once the log has an event the clock stays live (clock.has_events), for the owner too."""
    admin_connection.exec_driver_sql(AN_EVENT.replace("%", "%%"))

    with pytest.raises(clock.HasEvents):
        clock.make_sandbox(admin_connection, at=NOON)
    with pytest.raises(DBAPIError) as refused, admin_connection.begin_nested():
        admin_connection.exec_driver_sql("UPDATE clock SET mode = 'sandbox', sandbox_at = now()")

    assert "clock_sandbox_from_the_start" in _constraint(refused.value)
    assert clock.get_mode(admin_connection) is clock.Mode.LIVE


@pytest.fixture
def admin_connection(admin_url: str) -> Iterator[Connection]:
    """A transaction that may pass by the guards of the books; rolled back."""
    engine = connect(admin_url)
    with engine.connect() as connection, connection.begin() as transaction:
        connection.exec_driver_sql("SELECT set_config('search_path', %s, true)", (TENANT.schema,))
        yield connection
        transaction.rollback()
    engine.dispose()


def _constraint(error: DBAPIError) -> str:
    diag = getattr(error.orig, "diag", None)
    return str(getattr(diag, "constraint_name", ""))
