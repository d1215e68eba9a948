"""Transactions of one tenant: role and search path, snapshots, and a caller's own connection."""

from collections.abc import Iterator
from contextlib import suppress
from threading import Event

import psycopg
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from kernel.database import BadTenantName, Tenant, adopt, snapshot, transaction
from kernel.errors import Broken
from ledger.model import Posted
from ledger.service import balances, kind_balances, post
from tests.fixtures.databases import TestDatabase
from tests.ledger.drafts import fund, prove_clean, wallet

ANN = wallet("ann")


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "a-b", "a b", "a;b", "a\n", "ä", "a" * 32, 'a"b', "_a", "a\u0435"]
)
def test_a_tenants_name_can_stand_in_sql(name: str) -> None:
    """A name is a small letter, then up to thirty small letters, digits and underscores."""
    with pytest.raises(BadTenantName):
        Tenant(name)

    assert Tenant("a" * 31).schema == "tenant_" + "a" * 31


def test_a_transaction_is_the_tenants_and_ends_with_it(own_engine: Engine, tenant: Tenant) -> None:
    """Role and search path are the tenant's inside, and the login's own again behind it."""
    who = "SELECT current_user, current_setting('search_path'), session_user"
    with transaction(own_engine, tenant) as connection:
        inside = connection.exec_driver_sql(who).one()
    with own_engine.connect() as connection:
        after = connection.exec_driver_sql(who).one()

    assert inside[0] == tenant.role
    assert inside[1].split(",")[0] == tenant.schema
    assert after[0] == after[2] == inside[2] == "holdfast_app"
    assert tenant.schema not in after[1]


def test_a_transaction_that_fails_leaves_nothing(own_engine: Engine, tenant: Tenant) -> None:
    """An exception rolls back what was posted, and the next transaction is a clean one."""
    with suppress(KeyError), transaction(own_engine, tenant) as connection:
        post(connection, [fund(5, ANN)])
        raise KeyError("changed my mind")

    with transaction(own_engine, tenant) as connection:
        assert balances(connection, [ANN]) == {ANN: 0}


def test_a_snapshot_sees_one_state_and_writes_nothing(own_engine: Engine, tenant: Tenant) -> None:
    """What others commit meanwhile is not seen, by no statement; and nothing can be written."""
    with transaction(own_engine, tenant) as connection:
        post(connection, [fund(5, ANN)])

    with snapshot(own_engine, tenant) as reading:
        before = balances(reading, [ANN])
        with transaction(own_engine, tenant) as writing:
            post(writing, [fund(7, ANN)])
        assert balances(reading, [ANN]) == before == {ANN: -5}
        assert kind_balances(reading, "custody.wallet") == {"EUR": -5}
        with pytest.raises(DBAPIError, match="read-only"):
            reading.exec_driver_sql(
                "INSERT INTO period (during) VALUES ('[2026-01-01,2026-02-01)')"
            )

    with snapshot(own_engine, tenant) as reading:
        assert balances(reading, [ANN]) == {ANN: -12}
    with transaction(own_engine, tenant) as connection:
        level = connection.exec_driver_sql("SHOW transaction_isolation").scalar_one()
        assert level == "read committed"
        post(connection, [fund(1, ANN)])


@pytest.fixture
def shop(own_database: TestDatabase) -> Iterator[psycopg.Connection]:
    """A marketplace's own connection, with a table of its own that is named like one of ours."""
    with sign_in(own_database.admin_url) as admin:
        admin.execute("CREATE SCHEMA shop")
        admin.execute("CREATE TABLE shop.event (note text NOT NULL)")
        admin.execute("GRANT USAGE ON SCHEMA shop TO holdfast_app")
        admin.execute("GRANT ALL ON shop.event TO holdfast_app")
    with sign_in(own_database.app_url) as shop:
        shop.execute("SET search_path TO shop")
        shop.commit()
        yield shop
        shop.rollback()


def sign_in(url: str) -> psycopg.Connection:
    """A connection made without any of our own settings."""
    parts = make_url(url)
    host = str(parts.query["host"])
    return psycopg.connect(host=host, user=parts.username, dbname=parts.database)


def notes(shop: psycopg.Connection) -> list[str]:
    return [note for (note,) in shop.execute("SELECT note FROM event ORDER BY note")]


def settings(shop: psycopg.Connection) -> tuple[str, ...] | None:
    return shop.execute("SELECT current_user::text, current_setting('search_path')").fetchone()


def test_a_callers_commit_takes_his_rows_and_ours(
    shop: psycopg.Connection, own_engine: Engine, tenant: Tenant
) -> None:
    """What he wrote before and after, and what was posted in between, is there together."""
    before = settings(shop)
    shop.execute("INSERT INTO event VALUES ('before')")
    with adopt(shop, tenant) as connection:
        (posted,) = post(connection, [fund(5, ANN)])
        inside = connection.exec_driver_sql("SELECT current_user::text").scalar_one()
    shop.execute("INSERT INTO event VALUES ('after')")
    assert settings(shop) == before == ("holdfast_app", "shop")

    with snapshot(own_engine, tenant) as reading:
        assert balances(reading, [ANN]) == {ANN: 0}
    shop.commit()

    assert isinstance(posted, Posted)
    assert inside == tenant.role
    assert notes(shop) == ["after", "before"]
    assert settings(shop) == before
    with snapshot(own_engine, tenant) as reading:
        assert balances(reading, [ANN]) == {ANN: -5}
    prove_clean(own_engine, tenant)


def test_a_callers_rollback_takes_both_away(
    shop: psycopg.Connection, own_engine: Engine, tenant: Tenant
) -> None:
    """Neither his row nor our posting outlives his rollback."""
    before = settings(shop)
    shop.execute("INSERT INTO event VALUES ('before')")
    with adopt(shop, tenant) as connection:
        post(connection, [fund(5, ANN)])
    shop.rollback()

    assert notes(shop) == []
    assert settings(shop) == before
    with snapshot(own_engine, tenant) as reading:
        assert balances(reading, [ANN]) == {ANN: 0}


def test_a_caller_may_go_on_after_his_own_mistake(
    shop: psycopg.Connection, own_engine: Engine, tenant: Tenant
) -> None:
    """An exception inside gives him his role and search path back, and his transaction lives on."""
    before = settings(shop)
    with suppress(KeyError), adopt(shop, tenant) as connection:
        post(connection, [fund(5, ANN)])
        raise KeyError("his own")

    assert settings(shop) == before
    shop.execute("INSERT INTO event VALUES ('after')")
    shop.commit()
    assert notes(shop) == ["after"]
    with snapshot(own_engine, tenant) as reading:
        assert balances(reading, [ANN]) == {ANN: -5}


def test_a_caller_may_roll_back_after_our_error(
    shop: psycopg.Connection, own_engine: Engine, tenant: Tenant
) -> None:
    """An error of the database inside is his to roll back; his session is his own again."""
    before = settings(shop)
    with pytest.raises(DBAPIError), adopt(shop, tenant) as connection:
        connection.exec_driver_sql("SELECT 1 / 0")
    shop.rollback()

    assert settings(shop) == before
    with adopt(shop, tenant) as connection:
        post(connection, [fund(5, ANN)])
    shop.commit()
    with snapshot(own_engine, tenant) as reading:
        assert balances(reading, [ANN]) == {ANN: -5}


def test_a_caller_may_adopt_twice_and_within_his_savepoint(
    shop: psycopg.Connection, own_engine: Engine, tenant: Tenant
) -> None:
    """One transaction may post several times, and a savepoint takes back what it holds."""
    with shop.transaction():
        shop.execute("INSERT INTO event VALUES ('kept')")
        with adopt(shop, tenant) as connection:
            post(connection, [fund(5, ANN)])
        with shop.transaction(force_rollback=True):
            shop.execute("INSERT INTO event VALUES ('lost')")
            with adopt(shop, tenant) as connection:
                post(connection, [fund(7, ANN)])
        with adopt(shop, tenant) as connection:
            assert balances(connection, [ANN]) == {ANN: -5}
            post(connection, [fund(1, ANN)])

    assert notes(shop) == ["kept"]
    with snapshot(own_engine, tenant) as reading:
        assert balances(reading, [ANN]) == {ANN: -6}
    prove_clean(own_engine, tenant)


def test_adopting_often_leaves_nothing_behind(shop: psycopg.Connection, tenant: Tenant) -> None:
    """A connection that lives for years is adopted for each deal, and carries nothing along."""
    handlers = len(shop._notice_handlers)
    for _ in range(20):
        with adopt(shop, tenant) as connection:
            assert balances(connection, [ANN]) == {ANN: 0}

    assert len(shop._notice_handlers) == handlers
    shop.rollback()


def test_a_connection_without_a_transaction_is_not_adopted(
    shop: psycopg.Connection, tenant: Tenant
) -> None:
    """In autocommit the role would last for one statement only: that is refused, not tried."""
    shop.autocommit = True

    with pytest.raises(Broken, match="autocommit"), adopt(shop, tenant):
        pytest.fail("it was adopted")

    with shop.transaction(), adopt(shop, tenant) as connection:
        post(connection, [fund(1, ANN)])
    shop.autocommit = False


def test_a_tenant_reaches_no_other_tenants_tables(
    own_engine: Engine, own_database: TestDatabase, tenant: Tenant
) -> None:
    """In one tenant's transaction another tenant's schema is neither seen nor touched."""
    with sign_in(own_database.admin_url) as admin:
        admin.execute("CREATE SCHEMA tenant_other AUTHORIZATION holdfast_owner")
        admin.execute("CREATE TABLE tenant_other.secret ()")

    with (
        transaction(own_engine, tenant) as connection,
        pytest.raises(DBAPIError, match="permission denied"),
    ):
        connection.execute(text("SELECT FROM tenant_other.secret"))


def test_a_writer_is_not_held_up_by_a_reader(own_engine: Engine, tenant: Tenant) -> None:
    """A snapshot that stays open for long locks nothing that posting needs."""
    done = Event()
    with snapshot(own_engine, tenant) as reading:
        balances(reading, [ANN])
        with transaction(own_engine, tenant) as writing:
            writing.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
            post(writing, [fund(1, ANN)])
            done.set()

    assert done.is_set()
